"""The directories of a network and of a node.

A network: ``network.json``, ``ca.key``, ``nodes.json``, and ``revocations.json`` where a node was revoked; it stays
with whoever admits nodes. A node: ``network.json``, ``node.key``, ``node.cert``, a copy of the network's
``revocations.json``; while it runs also ``node.lock`` and ``control.sock``, and from then on ``peers.json``,
``vlans.json`` and ``pim.json``. Errors are sentences for people.
``adapters.admission``: the same with keys that are made at the node.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from treecast.adapters.files import (
    PUBLIC_MODE,
    SECRET_MODE,
    HeldLock,
    NewFile,
    StagedDirectory,
    exclusive,
    explained,
    opened,
    read_file,
    replace_file,
    require_open,
)
from treecast.adapters.node_directory import (
    CA_KEY_FILE,
    CERTIFICATE_FILE,
    NODE_KEY_FILE,
    NODE_LOCK_FILE,
    REQUEST_FILE,
    node_directory,
)
from treecast.adapters.ownership import require_unwritten
from treecast.adapters.revocations_file import REVOCATIONS_FILE, revocations_for_new
from treecast.base.errors import MalformedError, OperatorError
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.base.time import iso_date
from treecast.identity.certificate import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_EXTENSION_UNKNOWN,
    CERTIFICATE_NOT_YET_VALID,
    Certificate,
    CertificateError,
)
from treecast.identity.ids import KEY_BYTES
from treecast.identity.keys import MAX_KEY_FILE_BYTES, NodeKeys, SigningKey, parse_ca_key, parse_node_keys
from treecast.identity.network import MAX_NETWORK_FILE_BYTES, NETWORK_KEY_MISSING, Network, new_network
from treecast.identity.newest import has_same_keys
from treecast.identity.node import Authority, NodeIdentity, NodeRequest, keys_match
from treecast.identity.registry import EMPTY_REGISTRY, MAX_REGISTRY_BYTES, Registry
from treecast.identity.rights import NO_LIMITS, GivenLimits, Role, advice_to_bridge

NETWORK_FILE = "network.json"
REGISTRY_FILE = "nodes.json"
NETWORK_LOCK_FILE = "network.lock"
OTHERS_MODES = 0o077

T = TypeVar("T")


class NodeRunsError(OperatorError):
    """A node runs in the directory."""


def create_network(directory: Path, name: str, ipv4: str, ipv6: str | None) -> Network:
    """Makes a network's directory with a new CA key; OperatorError, and then nothing is there."""
    ca_key = SigningKey(os.urandom(KEY_BYTES))
    network = new_network(name, ipv4, ipv6, ca_key.public, os.urandom(KEY_BYTES))
    files = (
        NewFile(CA_KEY_FILE, ca_key.pem(), SECRET_MODE),
        NewFile(REGISTRY_FILE, EMPTY_REGISTRY.encode(), SECRET_MODE),
        NewFile(NETWORK_FILE, network.encode(), SECRET_MODE),
    )
    require_vacant(directory)
    with explained(f"make the network in {directory}"), StagedDirectory(directory, files) as staged:
        staged.publish()
    return network


def add_node(network_directory: Path, directory: Path, request: NodeRequest, now_unix_s: float) -> NodeIdentity:
    """Admits a node and makes its directory; OperatorError, and then neither is done.

    A node that is replaced in its own directory keeps its keys there: only its certificate is another one. A running
    node takes it when it starts again.
    """
    load_authority(network_directory)  # before a lock file is put into a directory that is no network's
    with explained(f"lock the network in {network_directory}"), exclusive(network_directory / NETWORK_LOCK_FILE):
        authority = load_authority(network_directory)
        kept = _keys_of(directory, authority.network, request.name) if request.replace else None
        keys = kept or NodeKeys.from_seeds(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
        identity, registry = authority.admit(request, keys, now_unix_s)
        if kept is not None:
            write_registry(network_directory, registry)
            with explained(f"write {directory / CERTIFICATE_FILE}"):
                replace_file(directory / CERTIFICATE_FILE, identity.certificate.encode(), PUBLIC_MODE)
            return identity
        files = (
            *revocations_for_new(network_directory, authority),
            NewFile(NODE_KEY_FILE, keys.pem(), SECRET_MODE),
            NewFile(CERTIFICATE_FILE, identity.certificate.encode(), PUBLIC_MODE),
            NewFile(NETWORK_FILE, identity.network.encode(), SECRET_MODE),
        )
        require_vacant(directory)
        with explained(f"make the node in {directory}"), StagedDirectory(directory, files) as staged:
            # The registry goes first: when the machine dies here, an index is lost. Given out twice would be worse.
            write_registry(network_directory, registry)
            try:
                staged.publish()
            except BaseException:
                write_registry(network_directory, authority.registry)
                raise
    return identity


def renew_node(
    network_directory: Path,
    directory: Path,
    name: str,
    validity_days: int,
    roles: Role | None,
    now_unix_s: float,
    limits: GivenLimits = NO_LIMITS,
) -> Certificate:
    """Writes a new certificate for a node's keys into ``directory``, which need not have these; OperatorError."""
    load_authority(network_directory)
    if (directory / CA_KEY_FILE).exists():
        raise OperatorError(f"{directory} is a network's directory, with {CA_KEY_FILE}: choose another --dir")
    with explained(f"lock the network in {network_directory}"), exclusive(network_directory / NETWORK_LOCK_FILE):
        certificate, registry = load_authority(network_directory).renew(name, validity_days, roles, now_unix_s, limits)
        path = directory / CERTIFICATE_FILE
        with explained(f"write {path}"):
            _require_none_of_another(directory, certificate)
            write_registry(network_directory, registry)
            directory.mkdir(parents=True, exist_ok=True)
            replace_file(path, certificate.encode(), PUBLIC_MODE)
    return certificate


def _require_none_of_another(directory: Path, certificate: Certificate) -> None:
    """OperatorError where the directory is another node's, or has other keys than the certificate is for."""
    path, name = directory / CERTIFICATE_FILE, certificate.name
    with suppress(FileNotFoundError, MalformedError):
        found = Certificate.decode(read_file(path, MAX_CERTIFICATE_BYTES))
        if (found.network_id, found.node_index) != (certificate.network_id, certificate.node_index):
            raise OperatorError(f"{path} is the certificate of another node ({found.name}): choose another --dir")
        if not has_same_keys(found, certificate):
            raise OperatorError(
                f"{path} is for other keys than {name} has been admitted with since: choose another --dir, and put "
                f"what comes of it where {name} has those keys"
            )
    with suppress(FileNotFoundError, MalformedError):
        path = directory / NODE_KEY_FILE
        if not keys_match(certificate, parse_node_keys(read_file(path, MAX_KEY_FILE_BYTES))):
            raise OperatorError(
                f"{path} has other keys than {name} was admitted with: choose another --dir, or have these signed with "
                "treecast node sign --replace"
            )


def require_bridge_role(directory: Path) -> None:
    """OperatorError when the node of this directory may not carry LANs."""
    certificate = load_certificate(directory)
    if Role.BRIDGE not in certificate.rights.roles:
        raise OperatorError(
            f"node {certificate.name} has not the role bridge, without which it may not carry a LAN: where the CA key "
            f"is, run {advice_to_bridge(certificate.name, certificate.rights.roles)}, and put the new "
            f"{CERTIFICATE_FILE} into {directory}"
        )


def _keys_of(directory: Path, network: Network, name: str) -> NodeKeys | None:
    """The keys in a directory of this very node; None where it is not that."""
    try:
        certificate = Certificate.decode(read_file(directory / CERTIFICATE_FILE, MAX_CERTIFICATE_BYTES))
    except (OSError, MalformedError):
        return None
    if (certificate.network_id, certificate.name) != (network.id, name):
        return None
    path = directory / NODE_KEY_FILE
    keys = load_key(path, parse_node_keys, f"{path} is missing: choose another --dir, for new keys")
    return keys if keys_match(certificate, keys) else None


def load_network(directory: Path) -> Network:
    """The network of a network's or a node's directory; OperatorError."""
    missing = f"there is no network in {directory}: make one with treecast network create"
    path = directory / NETWORK_FILE
    with suppress(PermissionError):  # to be said of the file itself
        if any((directory / name).is_file() for name in (CERTIFICATE_FILE, NODE_KEY_FILE, NODE_LOCK_FILE, CA_KEY_FILE)):
            missing = f"{path} is missing: put it back, every node of the network has the same, and so has its CA"

    def decode(data: bytes) -> Network:
        try:
            return Network.decode(data)
        except MalformedError as error:
            if error.reason != NETWORK_KEY_MISSING:
                raise
            raise OperatorError(
                f"{path} has no network key: it is of a version of before, so make the network anew, with treecast "
                "network create and node add"
            ) from error

    leaked = "make the network anew if others may have read it, for a new network key"
    return _load_secret(path, MAX_NETWORK_FILE_BYTES, decode, missing, leaked)


def load_authority(directory: Path) -> Authority:
    """The CA of a network's directory, which nobody else writes; OperatorError."""
    network = load_network(directory)
    missing = f"{directory} has no {CA_KEY_FILE}: use the directory that treecast network create made"
    key = load_key(directory / CA_KEY_FILE, parse_ca_key, missing)
    missing = f"{directory} has no {REGISTRY_FILE}, which lists the network's nodes: put a copy back"
    path = directory / REGISTRY_FILE
    registry = load_file(path, MAX_REGISTRY_BYTES, Registry.decode, missing, SECRET_MODE)
    _require_unwritten_by_others(directory)
    return Authority(network, key, registry)


def _require_unwritten_by_others(network_directory: Path) -> None:
    """OperatorError where others may have entered keys of theirs, for the CA to sign, or taken revocations away."""
    registry, revocations = network_directory / REGISTRY_FILE, network_directory / REVOCATIONS_FILE
    for path in (network_directory, registry):
        harm = f"have put keys of theirs into {registry} for the CA to sign"
        require_unwritten(path, harm, ", and put a good copy of that back if they have")
    if revocations.exists():
        require_unwritten(revocations, "have taken revocations out of it", ", and revoke again what is missing")


def load_node(directory: Path, now_unix_s: float) -> NodeIdentity:
    """A node's identity, its certificate verified and valid now; OperatorError."""
    node = load_unverified(directory)
    try:
        node.certificate.verify(node.network.ca_public_key, now_unix_s)
    except CertificateError as error:
        refusal = refusal_of(directory / CERTIFICATE_FILE, node.certificate, error.reason, now_unix_s)
        raise OperatorError(refusal) from error
    return node


def load_unverified(directory: Path) -> NodeIdentity:
    """A node's files, which are all there and readable, its key that of its certificate, in a directory that nobody
    else writes; OperatorError.
    """
    node_directory(directory)
    if (directory / REQUEST_FILE).is_file() and not (directory / CERTIFICATE_FILE).is_file():
        raise OperatorError(
            f"the node in {directory} has no certificate yet: have {directory / REQUEST_FILE} signed where the CA key "
            "is, with treecast node sign, and take what comes of it with treecast node accept"
        )
    network, certificate = load_network(directory), load_certificate(directory)
    require_unwritten(directory, "put other keys and another certificate into it")
    path = directory / NODE_KEY_FILE
    keys = load_key(path, parse_node_keys, f"{path} is missing: put the node's key back")
    if not keys_match(certificate, keys):
        raise OperatorError(f"{path} does not belong to the certificate: put the right one back")
    return NodeIdentity(network, certificate, keys)


def node_files(directory: Path) -> list[Path]:
    """The files that a running node reads, now and later."""
    return [directory / name for name in (NETWORK_FILE, NODE_KEY_FILE, CERTIFICATE_FILE)]


def load_certificate(directory: Path) -> Certificate:
    """A node's certificate as it lies there, not verified; OperatorError."""
    path = directory / CERTIFICATE_FILE
    missing = (
        f"{path} is missing: put it back, or renew it where the CA key is, with treecast node renew NAME, and "
        f"copy the new {CERTIFICATE_FILE} here"
    )
    return load_file(path, MAX_CERTIFICATE_BYTES, Certificate.decode, missing)


def acquire_node_lock(directory: Path) -> HeldLock:
    """The right to be the node of ``directory``, until released or the process ends; OperatorError when one runs."""
    with explained(f"lock {directory}"):
        try:
            return HeldLock(directory / NODE_LOCK_FILE)
        except BlockingIOError:
            raise NodeRunsError(f"a node is running in {directory} already: stop it first") from None


def refusal_of(path: Path, certificate: Certificate, reason: str, now_unix_s: float) -> str:
    today = iso_date(int(now_unix_s))
    if reason == CERTIFICATE_EXPIRED:
        expiry, name = iso_date(certificate.not_after_s), certificate.name
        return (
            f"the certificate {path} expired on {expiry}, and this machine's clock says {today}: if that is wrong, set "
            f"it; if not, renew the certificate where the CA key is, with treecast node renew "
            f"{name}, and copy the new {CERTIFICATE_FILE} here"
        )
    if reason == CERTIFICATE_NOT_YET_VALID:
        start = iso_date(certificate.not_before_s)
        return f"the certificate {path} is valid from {start}, and it is {today} by this machine's clock: set it"
    if reason == CERTIFICATE_EXTENSION_UNKNOWN:
        return f"the certificate {path} has an extension that this version of Treecast does not know: install a newer"
    return f"the certificate {path} was not signed by the network's CA ({reason}): put the right one back"


def write_registry(directory: Path, registry: Registry) -> None:
    with explained(f"write {directory / REGISTRY_FILE}"):
        replace_file(directory / REGISTRY_FILE, registry.encode(), SECRET_MODE)


def require_vacant(directory: Path) -> None:
    with explained(f"use {directory}"):
        if directory.is_dir() and any(directory.iterdir()):
            raise OperatorError(f"{directory} is there already and not empty: choose another --dir")
        if os.path.lexists(directory) and not directory.is_dir():
            raise OperatorError(f"{directory} is there already and not a directory: choose another --dir")


def load_key(path: Path, parse: Callable[[bytes], T], missing: str) -> T:
    """Private keys, when nobody but their owner may open the file."""
    return _load_secret(path, MAX_KEY_FILE_BYTES, parse, missing, "take new keys if others may have read it")


def _load_secret(path: Path, limit_bytes: int, parse: Callable[[bytes], T], missing: str, leaked: str) -> T:
    """A file's record, when nobody but its owner may open it; ``leaked``: what to do where others may have."""
    record = load_file(path, limit_bytes, parse, missing, SECRET_MODE)
    with explained(f"read {path}"):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS_MODES:
        raise OperatorError(f"{path} is open to other accounts (mode {mode:04o}): chmod 600 {path}, and {leaked}")
    return record


def load_file(path: Path, limit_bytes: int, parse: Callable[[bytes], T], missing: str, mode: int = PUBLIC_MODE) -> T:
    """A file's record; ``missing`` is the sentence for a file that is not there, ``mode`` what it should have."""
    with explained(f"read {path}"), opened(path):
        try:
            require_open(path, mode)
            data = read_file(path, limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            raise OperatorError(missing) from None
    try:
        return parse(data)
    except MalformedError as error:
        raise OperatorError(f"{path} is damaged ({error.reason}): put a good copy back") from error
