"""Flows: the frames that one tree carries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration

GroupKey = tuple[int, IPAddress]
"""VLAN (0: untagged) and group."""


PrefixKey = tuple[int, IPNetwork]
"""VLAN and a prefix of groups."""

KeyFlow = tuple[int, IPNetwork, IPAddress | None]
"""VLAN, groups and, where it is for one alone, the source of the frames that a key is for."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A group's frames from one source, or from any source that has no flow of its own (None). VLAN 0: untagged.

    With a ``prefix_length`` it is the frames of all groups of the prefix that begins with ``group`` and that nobody
    joined by themselves.
    """

    vlan: int
    group: IPAddress
    source: IPAddress | None
    prefix_length: int | None = None

    @classmethod
    def of_prefix(cls, key: PrefixKey) -> Flow:
        vlan, prefix = key
        return cls(vlan, prefix.network_address, None, prefix.prefixlen)

    @property
    def prefix(self) -> IPNetwork | None:
        return None if self.prefix_length is None else ip_network((self.group, self.prefix_length))

    def carries(self, group: IPAddress, source: IPAddress | None) -> bool:
        """Whether it may carry the group, in any VLAN, from that source; None: from any."""
        prefix = self.prefix
        if prefix is not None:
            return prefix.version == group.version and group in prefix
        return self.group == group and (source is None or self.source in (None, source))

    @property
    def of_key(self) -> KeyFlow:
        """The frames that a key of this flow is for."""
        length = self.group.max_prefixlen if self.prefix_length is None else self.prefix_length
        return self.vlan, ip_network((self.group, length)), self.source


SENDER_LIFETIME: Duration = 210.0
"""A source that is silent for so long is no sender any more: the Keepalive_Period of RFC 7761 section 4.11."""


SENDER_PAUSE: Duration = 10.0
"""A source that is silent for so long has stopped, until it begins again."""


@dataclass(frozen=True, slots=True)
class CountedFlow:
    """Frames of one source to a group. ``port``: of this node, where they come in; None: they were given to hosts here.

    ``root``: the node at which they entered the overlay. ``packets`` and ``bytes`` are all that were counted,
    ``since_packets`` and ``since_bytes`` those since ``since_s``, when the source began, or began again after
    SENDER_LIFETIME. ``pps`` and ``bps``: of the last seconds, None: not measured yet.
    """

    vlan: int
    group: IPAddress
    source: IPAddress
    root: NodeIndex
    port: int | None
    packets: int
    bytes: int
    since_s: Duration
    since_packets: int
    since_bytes: int
    silent_s: Duration
    pps: float | None
    bps: float | None

    @property
    def key(self) -> GroupKey:
        return (self.vlan, self.group)

    @property
    def is_sending(self) -> bool:
        return self.silent_s < SENDER_LIFETIME


LINK_LOCAL_SCOPE = 2
_IPV6_SCOPE_BITS = 16
LINK_LOCAL_GROUPS = IPv4Network("224.0.0.0/24")


def is_routed_prefix(prefix: IPNetwork) -> bool:
    """Whether it holds groups, and not link-local ones alone, which all nodes get (RFC 4541 section 2.1.2)."""
    if not prefix.is_multicast:
        return False
    if isinstance(prefix, IPv4Network):
        return not prefix.subnet_of(LINK_LOCAL_GROUPS)
    scope = prefix.network_address.packed[1] & 0x0F
    return prefix.prefixlen < _IPV6_SCOPE_BITS or scope > LINK_LOCAL_SCOPE


def is_of_any(flow: Flow, prefixes: Collection[IPNetwork]) -> bool:
    """Whether a group of the flow's is one of these."""
    if not prefixes:
        return False  # most often; to make a network of an address takes longer than all else of a new tree
    own = flow.prefix or ip_network(flow.group)
    return any(prefix_holds(one, own) or prefix_holds(own, one) for one in prefixes)


def prefix_holds(prefix: IPNetwork, other: IPNetwork) -> bool:
    """Whether all of the other one is in it."""
    if isinstance(prefix, IPv4Network):
        return isinstance(other, IPv4Network) and other.subnet_of(prefix)
    return isinstance(other, IPv6Network) and other.subnet_of(prefix)


BROADCAST: Flow | None = None
"""The broadcast tree, in place of a flow: it carries broadcast and link-local groups to all nodes."""
