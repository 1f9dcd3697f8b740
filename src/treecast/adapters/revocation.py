"""A node's certificates are taken back: where the CA key is, and in the directory of a node that is to know."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treecast.adapters import storage
from treecast.adapters.ca_records import sign_revocation
from treecast.adapters.files import PUBLIC_MODE, exclusive, explained, read_file, replace_file, require_place
from treecast.adapters.revocations_file import add_ca_records, add_revocation, revoked_in
from treecast.base.errors import OperatorError
from treecast.base.ids import NodeIndex
from treecast.identity.network import Network
from treecast.identity.node import Authority
from treecast.identity.registry import Issued
from treecast.wire.control import MAX_ADVERTISEMENT_BYTES
from treecast.wire.revocation import RevocationContent


def revoke_node(network_directory: Path, out: Path, name: str) -> tuple[Issued, str]:
    """Revokes all certificates that a node has and writes that to ``out``; OperatorError. Once more does no harm.

    Returns also, in words, what was damaged in the network's ``revocations.json``; empty for nothing.
    """
    with _authority(network_directory) as authority:
        node, registry = authority.revoke(name)
        wire = sign_revocation(authority.key, node.index, node.serial, name)
        with _writing(out, name, wire):
            storage.write_registry(network_directory, registry)  # first: never again a certificate for these keys
            damage = add_ca_records(network_directory, authority.network, [wire])
    return node, damage


def void_older(network_directory: Path, out: Path, name: str) -> tuple[Issued, str]:
    """Revokes a node's certificates before its newest one and writes that to ``out``; OperatorError. Returns also what
    ``revoke_node`` does.

    The record names serials, and those of a node only rise: one for all before the newest.
    """
    with _authority(network_directory) as authority:
        node = authority.void_older(name)
        wire = sign_revocation(authority.key, node.index, node.serial - 1, name)
        with _writing(out, name, wire):
            damage = add_ca_records(network_directory, authority.network, [wire])
    return node, damage


@contextmanager
def _authority(network_directory: Path) -> Iterator[Authority]:
    storage.load_authority(network_directory)
    with (
        explained(f"lock the network in {network_directory}"),
        exclusive(network_directory / storage.NETWORK_LOCK_FILE),
    ):
        yield storage.load_authority(network_directory)


@contextmanager
def _writing(out: Path, name: str, wire: bytes) -> Iterator[None]:
    """The block's files are written before ``out``, where nothing stands in its place."""
    require_place(out, f"{name}.revocation")
    with explained(f"write {out}"):
        if os.path.lexists(out) and read_file(out, MAX_ADVERTISEMENT_BYTES) != wire:
            raise OperatorError(f"{out} is there already, and another one: remove it, or choose another --out")
        yield
        replace_file(out, wire, PUBLIC_MODE)


@dataclass(frozen=True, slots=True)
class Applied:
    """A revocation in a node's directory. ``damage``: what was damaged there, in words; empty for nothing."""

    node: NodeIndex
    content: RevocationContent
    damage: str
    network: Network
    is_running: bool


def apply_revocation(directory: Path, path: Path) -> Applied:
    """Puts a revocation into a node's directory; OperatorError."""
    network = storage.load_network(directory)
    try:
        with storage.acquire_node_lock(directory):
            return Applied(*add_revocation(directory, network, path), network, is_running=False)
    except storage.NodeRunsError:
        return Applied(*add_revocation(directory, network, path), network, is_running=True)


def revoked_names(directory: Path) -> list[str]:
    """The nodes that a network's directory, or a node's, knows to be revoked; OperatorError."""
    if (directory / storage.REGISTRY_FILE).is_file():
        return [node.name for node in storage.load_authority(directory).registry.nodes if node.revoked]
    found = revoked_in(directory, storage.load_network(directory))
    return list(dict.fromkeys(content.name for _, content in found))
