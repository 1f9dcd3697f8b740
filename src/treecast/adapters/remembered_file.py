"""Files that a node writes for its next start: entries of one kind, each left out by itself when it is damaged.

Such a file is never in the way of a start: without it the node only has to learn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from treecast.adapters.files import SECRET_MODE, explained, read_file, replace_file
from treecast.base.errors import OperatorError

Record = TypeVar("Record", bound=msgspec.Struct)
T = TypeVar("T")


class DamagedError(OperatorError):
    """A file of an earlier run, or part of it, is of no use, and is written anew. ``kept``: the values that are."""

    def __init__(self, text: str, kept: tuple[Any, ...]) -> None:
        super().__init__(text)
        self.kept = kept


class ForeignError(ValueError):
    """A file of an earlier run is not this node's: in words that follow its path."""


def load_remembered(
    path: Path,
    limit_bytes: int,
    kind: type[Record],
    values: Callable[[Record, Entries], tuple[T, ...]],
    write: Callable[[tuple[T, ...]], None],
) -> tuple[T, ...]:
    """Reads the values of an earlier run; none without a file. DamagedError, with the file written anew; OperatorError.

    ``values``: of the file; ValueError when it is not as written, ForeignError. ``write`` may raise OperatorError.
    """
    with explained(f"read {path}"):
        try:
            data = read_file(path, limit_bytes)
        except FileNotFoundError:
            return ()
    kept: tuple[T, ...] = ()
    if len(data) > limit_bytes:
        fault = f"is longer than {limit_bytes} bytes"
    else:
        try:
            entries = Entries()
            kept = values(msgspec.json.decode(data, type=kind), entries)
            fault = entries.fault()
        except ForeignError as error:
            fault = str(error)
        except (ValueError, RecursionError):  # also msgspec.DecodeError, UnicodeDecodeError
            fault = "is damaged"
    if not fault:
        return kept
    consequence = "it is written anew"
    try:
        write(kept)
    except OperatorError as error:
        consequence = str(error)
    raise DamagedError(f"{path} {fault}: {consequence}", kept)


class Entries:
    """The entries of a file that are as written, and a count of the others."""

    def __init__(self) -> None:
        self._all = self._damaged = 0

    def sound(self, entries: Iterable[msgspec.Raw], decoder: msgspec.json.Decoder[T]) -> list[T]:
        """These as values; the others are left out."""
        found: list[T] = []
        for entry in entries:
            self._all += 1
            try:
                found.append(decoder.decode(entry))
            except (ValueError, RecursionError):
                self._damaged += 1
        return found

    def leave_out(self, count: int) -> None:
        """Counts sound ones that are of no use."""
        self._damaged += count

    def fault(self) -> str:
        """The fault in words; empty for none."""
        if not self._damaged:
            return ""
        which = "entry, which is" if self._damaged == 1 else "entries, which are"
        return f"has, among {self._all}, {self._damaged} damaged {which} left out"


def raw(entry: object) -> msgspec.Raw:
    """An entry as ``Entries`` reads it."""
    return msgspec.Raw(msgspec.json.encode(entry))


def write_remembered(path: Path, record: msgspec.Struct) -> None:
    """OperatorError."""
    with explained(f"write {path}"):
        replace_file(path, encode_remembered(record), SECRET_MODE)


def encode_remembered(record: msgspec.Struct) -> bytes:
    """The content of such a file."""
    return msgspec.json.encode(record) + b"\n"
