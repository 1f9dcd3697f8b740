"""The registry: which node has which index, name and addresses. It is kept with the CA key and decides the next ones.

JSON: ``{"format": 1, "nodes": [{"index": ..., "name": ..., "node_id": hex, "ipv4": ..., "ipv6": ...,
"not_after_s": ...}, ...]}``; the last is the end of the certificate's validity, in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

import msgspec

from treecast.base.errors import MalformedError, OperatorError
from treecast.base.ids import NODE_ID_BYTES, NodeId, NodeIndex
from treecast.base.limits import MAX_REGISTERED_NODES
from treecast.identity.certificate import MAX_TIME_S
from treecast.identity.ids import MAX_NODE_INDEX
from treecast.identity.network import Network, require_name

REGISTRY_MALFORMED = "registry_malformed"
MAX_REGISTRY_BYTES = MAX_REGISTERED_NODES * 512  # an entry has at most 300 bytes


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: Annotated[int, msgspec.Meta(ge=1, le=MAX_NODE_INDEX)]
    name: str
    node_id: str
    ipv4: str
    ipv6: str
    not_after_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_S)]


class _RegistryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    nodes: Annotated[list[_Entry], msgspec.Meta(max_length=MAX_REGISTERED_NODES)]


_decode = msgspec.json.Decoder(_RegistryFile).decode


@dataclass(frozen=True, slots=True)
class Issued:
    """One node that has a certificate, valid until ``not_after_s`` (seconds since 1970)."""

    index: NodeIndex
    name: str
    node_id: NodeId
    ipv4: IPv4Address
    ipv6: IPv6Address
    not_after_s: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Index, name and addresses of a new node."""

    index: NodeIndex
    ipv4: IPv4Address
    ipv6: IPv6Address


@dataclass(frozen=True, slots=True)
class Registry:
    """All nodes that were issued, in the order of issue."""

    nodes: tuple[Issued, ...]

    @classmethod
    def decode(cls, data: bytes) -> Registry:
        """A registry file; MalformedError ``registry_malformed`` when it is not one or gives anything out twice."""
        if len(data) > MAX_REGISTRY_BYTES:
            raise MalformedError(REGISTRY_MALFORMED)
        try:
            registry = cls(tuple(_from_entry(entry) for entry in _decode(data).nodes))
        except (msgspec.DecodeError, ValueError, OperatorError) as error:
            raise MalformedError(REGISTRY_MALFORMED) from error
        for column in ("index", "name", "node_id", "ipv4", "ipv6"):
            if len({getattr(node, column) for node in registry.nodes}) != len(registry.nodes):
                raise MalformedError(REGISTRY_MALFORMED)
        return registry

    def encode(self) -> bytes:
        """The inverse of ``decode``: one line per node, for people who compare two versions."""
        entries = (
            _Entry(node.index, node.name, str(node.node_id), str(node.ipv4), str(node.ipv6), node.not_after_s)
            for node in self.nodes
        )
        lines = b",\n".join(msgspec.json.encode(entry) for entry in entries)
        return b'{"format": 1, "nodes": [\n' + lines + b"\n]}\n"

    def with_node(self, node: Issued) -> Registry:
        """This registry with a further node, or with a new entry of a node it has (by index)."""
        if any(known.index == node.index for known in self.nodes):
            return Registry(tuple(node if known.index == node.index else known for known in self.nodes))
        return Registry((*self.nodes, node))

    def node(self, name: str) -> Issued | None:
        return next((node for node in self.nodes if node.name == name), None)


EMPTY_REGISTRY = Registry(())


def assign(
    network: Network, registry: Registry, name: str, ipv4: IPv4Address | None, ipv6: IPv6Address | None
) -> Assignment:
    """The next free index and the wanted addresses, or else the next free ones; OperatorError where one is taken."""
    require_name(name, "node")
    if len(registry.nodes) >= MAX_REGISTERED_NODES:
        raise OperatorError(f"network {network.name} is full: it has {MAX_REGISTERED_NODES} nodes")
    for node in registry.nodes:
        if node.name == name:
            raise OperatorError(
                f"network {network.name} has a node {name} already: choose another name, or renew it with --replace"
            )
        if ipv4 == node.ipv4 or ipv6 == node.ipv6:
            taken = node.ipv4 if ipv4 == node.ipv4 else node.ipv6
            raise OperatorError(f"{taken} is taken by node {node.name}: choose another address")
    taken_ipv6 = {node.ipv6 for node in registry.nodes}
    index = _next_index(registry)
    if ipv6 is None:
        while node_ipv6(network.ipv6, index) in taken_ipv6:
            index = NodeIndex(index + 1)
    if index > MAX_NODE_INDEX:
        raise OperatorError(f"network {network.name} has given out its last node index")
    return Assignment(
        index=index,
        ipv4=_require_ipv4(network, ipv4) if ipv4 else _next_ipv4(network, {node.ipv4 for node in registry.nodes}),
        ipv6=_require_ipv6(network, ipv6) if ipv6 else node_ipv6(network.ipv6, index),
    )


def keep(
    network: Network, registry: Registry, name: str, ipv4: IPv4Address | None, ipv6: IPv6Address | None
) -> Assignment:
    """Index and addresses of a node, for a new certificate; OperatorError for a node that is not there, or a change."""
    node = registry.node(name)
    if node is None:
        raise OperatorError(f"network {network.name} has no node {name}: leave out --replace to add it")
    if (ipv4 or node.ipv4) != node.ipv4 or (ipv6 or node.ipv6) != node.ipv6:
        raise OperatorError(f"node {name} keeps its addresses {node.ipv4} and {node.ipv6}: leave out --ipv4 and --ipv6")
    return Assignment(node.index, node.ipv4, node.ipv6)


def node_ipv6(prefix: IPv6Network, index: NodeIndex) -> IPv6Address:
    """A node's own address unless it was given another: the prefix with the node index in the interface id."""
    return prefix.network_address + index


def _next_index(registry: Registry) -> NodeIndex:
    """One more than the highest: an index is never used twice."""
    return NodeIndex(max((node.index for node in registry.nodes), default=0) + 1)


def _next_ipv4(network: Network, taken: Set[IPv4Address]) -> IPv4Address:
    for address in network.ipv4.hosts():  # without the network's and the broadcast address; ends: taken is bounded
        if address not in taken:
            return address
    raise OperatorError(f"the prefix {network.ipv4} of network {network.name} is full: it has no free address left")


def _require_ipv4(network: Network, address: IPv4Address) -> IPv4Address:
    _require_inside(network.ipv4, address)
    if address in (network.ipv4.network_address, network.ipv4.broadcast_address):
        raise OperatorError(f"{address} is the network or broadcast address of {network.ipv4}: choose another address")
    return address


def _require_ipv6(network: Network, address: IPv6Address) -> IPv6Address:
    _require_inside(network.ipv6, address)
    if address == network.ipv6.network_address:  # RFC 4291 section 2.6.1
        raise OperatorError(f"{address} is the anycast address of {network.ipv6}'s routers: choose another address")
    return address


def _require_inside(prefix: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> None:
    if address not in prefix:
        raise OperatorError(f"{address} is not in the network's prefix {prefix}: choose an address in it")


def _from_entry(entry: _Entry) -> Issued:
    node_id = NodeId(bytes.fromhex(entry.node_id))
    if len(node_id) != NODE_ID_BYTES or "%" in entry.ipv6:
        raise MalformedError(REGISTRY_MALFORMED)
    return Issued(
        index=NodeIndex(entry.index),
        name=require_name(entry.name, "node"),
        node_id=node_id,
        ipv4=IPv4Address(entry.ipv4),
        ipv6=IPv6Address(entry.ipv6),
        not_after_s=entry.not_after_s,
    )
