"""The registry: which node has which index, name, keys, addresses and rights. It decides the next ones.

Kept with the CA key.

JSON: ``{"format": 1, "last_serial": ..., "nodes": [{"index": ..., "name": ..., "static_key": hex, "signing_key": hex,
"ipv4": ..., "ipv6": ..., "serial": ..., "not_after_s": ..., "roles": [...], "send_to": null or [prefix, ...],
"receive_from": the same, "hosts": ..., "groups": ..., "area": ..., "revoked": ...}, ...]}``: what the node's newest
certificate has; both keys are the public ones, ``not_after_s`` is in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

import msgspec

from treecast.base.errors import MalformedError, OperatorError
from treecast.base.ids import NodeId, NodeIndex
from treecast.base.limits import MAX_REGISTERED_NODES
from treecast.identity.certificate import MAX_TIME_S
from treecast.identity.ids import KEY_BYTES, MAX_NODE_INDEX, derive_node_id
from treecast.identity.network import Network, require_name
from treecast.identity.rights import MAX_PREFIXES_PER_LIST, Rights, parse_groups, parse_roles, role_names

REGISTRY_MALFORMED = "registry_malformed"
MAX_REGISTRY_BYTES = MAX_REGISTERED_NODES * 2560  # an entry has at most 2,300 bytes, and without prefixes 550
_LAST_SERIAL = 2**63 - 1

_U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_Serial = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SERIAL)]
_PrefixTexts = Annotated[list[str], msgspec.Meta(max_length=MAX_PREFIXES_PER_LIST)] | None


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: Annotated[int, msgspec.Meta(ge=1, le=MAX_NODE_INDEX)]
    name: str
    static_key: str
    signing_key: str
    ipv4: str
    ipv6: str
    serial: _Serial
    not_after_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_S)]
    roles: list[str]
    send_to: _PrefixTexts
    receive_from: _PrefixTexts
    hosts: _U32
    groups: _U32
    area: _U32
    revoked: bool = False


class _RegistryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    last_serial: _Serial
    nodes: Annotated[list[_Entry], msgspec.Meta(max_length=MAX_REGISTERED_NODES)]


_decode = msgspec.json.Decoder(_RegistryFile).decode


@dataclass(frozen=True, slots=True)
class Issued:
    """One node that has a certificate, valid until ``not_after_s`` (seconds since 1970). Both keys are public ones, and
    get no certificate any more where they are ``revoked``.
    """

    index: NodeIndex
    name: str
    static_key: bytes
    signing_key: bytes
    ipv4: IPv4Address
    ipv6: IPv6Address
    serial: int
    not_after_s: int
    rights: Rights
    revoked: bool = False

    @property
    def node_id(self) -> NodeId:
        return derive_node_id(self.static_key, self.signing_key)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Index, name and addresses of a new node."""

    index: NodeIndex
    ipv4: IPv4Address
    ipv6: IPv6Address


@dataclass(frozen=True, slots=True)
class Registry:
    """All nodes that were issued, in the order of issue. ``last_serial``: that of the newest certificate of all."""

    nodes: tuple[Issued, ...]
    last_serial: int

    @classmethod
    def decode(cls, data: bytes) -> Registry:
        """A registry file; MalformedError ``registry_malformed`` when it is not one or gives anything out twice."""
        if len(data) > MAX_REGISTRY_BYTES:
            raise MalformedError(REGISTRY_MALFORMED)
        try:
            file = _decode(data)
            registry = cls(tuple(_from_entry(entry) for entry in file.nodes), file.last_serial)
        except (msgspec.DecodeError, ValueError, OperatorError) as error:
            raise MalformedError(REGISTRY_MALFORMED) from error
        for column in ("index", "name", "static_key", "signing_key", "ipv4", "ipv6", "serial"):
            if len({getattr(node, column) for node in registry.nodes}) != len(registry.nodes):
                raise MalformedError(REGISTRY_MALFORMED)
        if any(node.serial > registry.last_serial for node in registry.nodes):
            raise MalformedError(REGISTRY_MALFORMED)
        return registry

    def encode(self) -> bytes:
        """The inverse of ``decode``: one line per node, for people who compare two versions."""
        lines = b",\n".join(msgspec.json.encode(_entry_of(node)) for node in self.nodes)
        return b'{"format": 1, "last_serial": %d, "nodes": [\n%b\n]}\n' % (self.last_serial, lines)

    def with_node(self, node: Issued) -> Registry:
        """This registry with a further node, or with a new entry of a node it has (by index)."""
        last_serial = max(self.last_serial, node.serial)
        if any(known.index == node.index for known in self.nodes):
            return Registry(tuple(node if known.index == node.index else known for known in self.nodes), last_serial)
        return Registry((*self.nodes, node), last_serial)

    def node(self, name: str) -> Issued | None:
        return next((node for node in self.nodes if node.name == name), None)


EMPTY_REGISTRY = Registry((), 0)


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


def _entry_of(node: Issued) -> _Entry:
    rights = node.rights
    return _Entry(
        index=node.index,
        name=node.name,
        static_key=node.static_key.hex(),
        signing_key=node.signing_key.hex(),
        ipv4=str(node.ipv4),
        ipv6=str(node.ipv6),
        serial=node.serial,
        not_after_s=node.not_after_s,
        roles=role_names(rights.roles),
        send_to=None if rights.send_to is None else [str(prefix) for prefix in rights.send_to],
        receive_from=None if rights.receive_from is None else [str(prefix) for prefix in rights.receive_from],
        hosts=rights.hosts,
        groups=rights.groups,
        area=rights.area,
        revoked=node.revoked,
    )


def _from_entry(entry: _Entry) -> Issued:
    """ValueError or OperatorError for what is none."""
    keys = bytes.fromhex(entry.static_key), bytes.fromhex(entry.signing_key)
    if any(len(key) != KEY_BYTES for key in keys) or "%" in entry.ipv6:
        raise MalformedError(REGISTRY_MALFORMED)
    return Issued(
        index=NodeIndex(entry.index),
        name=require_name(entry.name, "node"),
        static_key=keys[0],
        signing_key=keys[1],
        ipv4=IPv4Address(entry.ipv4),
        ipv6=IPv6Address(entry.ipv6),
        serial=entry.serial,
        not_after_s=entry.not_after_s,
        rights=Rights(
            roles=parse_roles(entry.roles),
            send_to=None if entry.send_to is None else tuple(map(parse_groups, entry.send_to)),
            receive_from=None if entry.receive_from is None else tuple(map(parse_groups, entry.receive_from)),
            hosts=entry.hosts,
            groups=entry.groups,
            area=entry.area,
        ),
        revoked=entry.revoked,
    )
