"""The directory that is meant, of a node or a network. Apart from ``storage``: requests to a node need no keys."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from treecast.adapters.files import explained, opened
from treecast.base.errors import OperatorError

CERTIFICATE_FILE = "node.cert"
NODE_KEY_FILE = "node.key"
NODE_LOCK_FILE = "node.lock"
REQUEST_FILE = "node.request"
CA_KEY_FILE = "ca.key"
DIRECTORY_VARIABLE = "TREECAST_DIR"
STANDARD_DIRECTORY = Path("/etc/treecast")


@dataclass(frozen=True, slots=True)
class _Kind:
    """``files``: a directory of this kind has one of them; ``is_at_hand``: it may be in the working directory, too."""

    what: str
    files: tuple[str, ...]
    verb: str
    argument: str
    is_at_hand: bool


_NODE_FILES = (CERTIFICATE_FILE, NODE_KEY_FILE, NODE_LOCK_FILE)
"""A node that runs answers, whichever of its files somebody has taken away."""

_NODE = _Kind("node", _NODE_FILES, "treecast node add", "DIR", is_at_hand=False)
_NETWORK = _Kind("network", (CA_KEY_FILE,), "treecast network create", "--network DIR", is_at_hand=True)


def node_directory(given: Path | None) -> Path:
    """The directory of the node that is meant: the given one; else the only one in ``$TREECAST_DIR``; where that is not
    set, the working directory if it is a node's, or the only one in ``/etc/treecast``. OperatorError when there is
    none, or more than one to choose from.
    """
    return _directory_of(_NODE, given)


def directory_of_request(given: Path | None) -> Path:
    """The same for a node that has asked for its certificate."""
    return _directory_of(replace(_NODE, verb="treecast node request", argument="--dir"), given)


def _directory_of(kind: _Kind, given: Path | None) -> Path:
    if given is None:
        here = Path.cwd() if _is_one(Path(), kind) and not os.environ.get(DIRECTORY_VARIABLE) else None
        return here or _only(kind)
    with explained(f"read {given}"), opened(given / CERTIFICATE_FILE):
        if not given.is_dir():
            raise OperatorError(f"there is no directory {given}: make a node with {kind.verb}")
        if not _is_one(given, kind):
            raise OperatorError(f"{given} is not a node's directory: make one with {kind.verb}")
    return given


def network_directory(given: Path | None) -> Path:
    """The directory of the network that is meant, found as ``node_directory`` finds one, or in the working directory,
    where ``treecast network create`` makes it; a given one is not checked.
    """
    return _only(_NETWORK) if given is None else given


def any_directory(given: Path | None) -> Path:
    """The directory of a network or of a node, found as ``node_directory`` finds one; a given one is not checked."""
    if given is not None:
        return given
    networks = _found(_NETWORK)
    if len(networks) == 1:
        return networks[0]
    if networks and len(_found(_NODE)) != 1:
        raise _several("networks", networks, "DIR")
    return _only(_NODE if _found(_NODE) else replace(_NETWORK, argument="DIR"))


def command_for_new_keys(network: Path, name: str) -> str:
    """The command that gives a node new keys, as it works where it is printed: in a directory that is not there yet."""
    names = (Path(f"{name}-{number}") for number in count(2))
    place = Path(name) if not os.path.lexists(name) else next(one for one in names if not os.path.lexists(one))
    return shlex.join(["treecast", "node", "add", name, "--replace", "--network", str(network), "--dir", str(place)])


def _found(kind: _Kind) -> list[Path]:
    """The directories in the first place that has any."""
    return next((found for found in (_those_in(place, kind) for place in _places(kind)) if found), [])


def _places(kind: _Kind) -> list[Path]:
    variable = os.environ.get(DIRECTORY_VARIABLE, "")
    place = Path(variable) if variable else STANDARD_DIRECTORY
    return [place] if variable or not kind.is_at_hand else [place, Path()]


def _several(what: str, found: list[Path], argument: str) -> OperatorError:
    names = ", ".join(map(str, found))
    return OperatorError(f"there are several {what} ({names}): name one as {argument}")


def _only(kind: _Kind) -> Path:
    found, places = _found(kind), _places(kind)
    if len(found) == 1:
        return found[0]
    if found:
        raise _several(f"{kind.what}s", found, kind.argument)
    variable, place = os.environ.get(DIRECTORY_VARIABLE, ""), places[0]
    raise OperatorError(
        f"there is no {kind.what} in {place}{f' (${DIRECTORY_VARIABLE})' if variable else ''}"
        f"{', nor in the working directory' if len(places) > 1 else ''}: name its directory as {kind.argument}, or "
        f"make one with {kind.verb}"
    )


def _those_in(place: Path, kind: _Kind) -> list[Path]:
    """The place itself, or all of the kind that are in it."""
    with explained(f"read {place}"):
        if _is_one(place, kind):
            return [place]
        inside = sorted(place.iterdir()) if place.is_dir() else []
        return [directory for directory in inside if _is_one(directory, kind)]


def _is_one(directory: Path, kind: _Kind) -> bool:
    return any((directory / name).is_file() for name in kind.files)
