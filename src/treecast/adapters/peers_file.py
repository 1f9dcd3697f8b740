"""``peers.json`` in a node's directory: the nodes it knew, and where they were, for its next start."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.remembered_file import Entries, ForeignError, load_remembered, raw, write_remembered
from treecast.base.addresses import Endpoint
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.limits import MAX_REMEMBERED_ENDPOINTS, MAX_REMEMBERED_NODES
from treecast.links.memory import FORGOTTEN_AFTER_HOURS, Remembered

PEERS_FILE = "peers.json"
MAX_PEERS_FILE_BYTES = 131_072
"""256 nodes with names of 63 characters and four IPv6 endpoints each have 120 kB."""


class _NodeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    node: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,63}\Z")]
    endpoints: Annotated[list[str], Meta(max_length=MAX_REMEMBERED_ENDPOINTS)]
    linked_unix_s: Annotated[int, Meta(ge=0, le=2**40)]
    missed_hours: Annotated[int, Meta(ge=0, lt=FORGOTTEN_AFTER_HOURS)] = 0
    overlay: Annotated[list[str], Meta(max_length=2)] = []
    serial: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        """ValueError when an endpoint or an address is none."""
        self.value()

    def value(self) -> Remembered:
        endpoints = tuple(Endpoint.parse(endpoint) for endpoint in self.endpoints)
        overlay = tuple(ip_address(own) for own in self.overlay)
        node, when = NodeIndex(self.node), (self.linked_unix_s, self.missed_hours)
        return Remembered(node, self.name, endpoints, *when, overlay, self.serial)


_NODE = msgspec.json.Decoder(_NodeRecord)


class _PeersFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    nodes: Annotated[list[msgspec.Raw], Meta(max_length=MAX_REMEMBERED_NODES)]


def load_peers(directory: Path, network: NetworkId) -> tuple[Remembered, ...]:
    """The nodes that an earlier run knew; none without a file. OperatorError, DamagedError among them."""

    def values(file: _PeersFile, entries: Entries) -> tuple[Remembered, ...]:
        if file.network != str(network):
            raise ForeignError("is of another network")
        return tuple(node.value() for node in entries.sound(file.nodes, _NODE))

    write = partial(write_peers, directory, network)
    return load_remembered(directory / PEERS_FILE, MAX_PEERS_FILE_BYTES, _PeersFile, values, write)


def write_peers(directory: Path, network: NetworkId, nodes: Iterable[Remembered]) -> None:
    """OperatorError."""
    records = [
        _NodeRecord(
            one.node,
            one.name,
            [str(endpoint) for endpoint in one.endpoints],
            one.linked_unix_s,
            one.missed_hours,
            [str(own) for own in one.overlay],
            one.serial,
        )
        for one in nodes
    ]
    write_remembered(directory / PEERS_FILE, _PeersFile(str(network), [raw(record) for record in records]))
