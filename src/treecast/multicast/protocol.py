"""The differences between IGMP and MLD, and nothing else: everything above is one state machine for both.

On the source address of queries. RFC 9776 section 4.1.11 lets a querier use any address of its interface, but on a
TAP the host that must answer is the kernel which owns that interface, and Linux discards IPv4 packets whose source
is one of its own addresses before IGMP sees them ("martian source"; measured on 6.18 with rp_filter 0, 1 and 2;
accept_local=1 would lift it). It does answer general, group and source queries from 0.0.0.0, the source that RFC 4541
section 2.1.1 gives to a querier without an address, with every rp_filter setting. So the source on a TAP is 0.0.0.0.
On a TAP in a bridge (switch mode) other hosts and switches want a querier with an address, routers want reports from
one of their subnet (pimd ignores others), and the kernel is one host of the LAN: there each query is sent twice, from
the machine's address on the LAN and from 0.0.0.0; a host that receives both answers once.
Programs of this machine that query (igmpproxy, pimd) make its kernel a router: it takes no report from its own address
either, and those programs ignore one from 0.0.0.0, for it is of no subnet of theirs (measured). So the kernel gets
reports from a *neighbour*: another address of its subnet. In switch mode that copy goes to the kernel's MAC alone.
Queries of the own kernel are answered, but elect nobody and doubt nothing: the kernel is a host on the port
as well, and perhaps does not receive them itself.
For IPv6 no such rule exists: the kernel answers queries from its own link-local address, and ignores those from ``::``.
``tests/lab/multicast`` holds the kernel to this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.flows import LINK_LOCAL_GROUPS, LINK_LOCAL_SCOPE
from treecast.wire import igmp, mld
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.group_membership import MembershipMessage, ReceivedMessage

NO_ADDRESS = IPv4Address(0)
"""The IPv4 source of queries into a TAP."""

_SSM_IPV4 = IPv4Network("232.0.0.0/8")
_SSM_IPV6 = IPv6Network("ff30::/12")

Subnets = tuple[IPv4Interface, ...]
"""Addresses with the prefixes of their subnets."""


@dataclass(frozen=True, slots=True)
class OwnKernel:
    """This machine's kernel on a port: its MAC there, and an address from which it takes reports (0.0.0.0: none)."""

    mac: MacAddress
    neighbour: IPv4Address = NO_ADDRESS


@dataclass(frozen=True, slots=True)
class PortAddresses:
    """Sources of its messages on a port. ``ipv4`` may be 0.0.0.0. ``link_local`` None: that of the node's MAC,
    for a switch serves IPv6 hosts without IPv6 of its machine. ``kernel``: the machine's own is a host on this port.
    ``lan``: all that it may report from there.
    """

    ipv4: IPv4Address
    link_local: IPv6Address | None
    kernel: OwnKernel | None = None
    lan: Subnets = ()


def in_vlan(kernel: OwnKernel | None, vlan: int) -> OwnKernel | None:
    """The own kernel as a host in a VLAN: its subnet there is not known."""
    return kernel if kernel is None or not vlan else replace(kernel, neighbour=NO_ADDRESS)


def neighbour_of(address: IPv4Interface) -> IPv4Address:
    """The highest other host address of the subnet; 0.0.0.0 where there is none."""
    network = address.network
    if network.prefixlen == network.max_prefixlen:
        return NO_ADDRESS
    highest = network.broadcast_address - (network.prefixlen < network.max_prefixlen - 1)
    return highest - 1 if highest == address.ip else highest


@dataclass(frozen=True, slots=True)
class PortSource:
    """The source of our own frames on a port. ``address``: see the module's text; link-local for MLD. ``kernel``: the
    machine's own is there. ``lan``: all addresses that reports may come from.
    """

    mac: MacAddress
    address: IPAddress
    vlan: VlanTag | None = None
    kernel: OwnKernel | None = None
    lan: Subnets = ()

    def toward(self, querier: IPAddress) -> IPAddress:
        """The address to report to a querier from: the first whose subnet it is in, for it may ignore any other."""
        return next((own.ip for own in self.lan if querier in own.network), self.address)

    @property
    def is_kernels_own(self) -> bool:
        """The kernel has this address and would discard IGMP queries from it, so it gets them from 0.0.0.0 too."""
        return self.kernel is not None and self.address.version == 4 and not self.address.is_unspecified

    def is_own_kernel(self, mac: MacAddress) -> bool:
        return self.kernel is not None and self.kernel.mac == mac


@dataclass(frozen=True, slots=True)
class Protocol:
    """``leaves_from`` is the lowest version with a leave message; ``sources_per_query`` fits an MTU of 1280."""

    name: str
    ip_version: int
    ethertype: EtherType
    newest_version: int
    leaves_from: int
    general: IPAddress
    sources_per_query: int
    parse_frame: Callable[[EthernetFrame], ReceivedMessage]
    message_frame: Callable[[MembershipMessage, PortSource], bytes]

    def check_source(self, source: PortSource) -> None:
        """ValueError when queries must not come from this address."""
        if source.address.version != self.ip_version:
            raise ValueError(f"{self.name} queries need an IPv{self.ip_version} source, not {source.address}")
        if self.ip_version == 6 and not source.address.is_link_local:
            raise ValueError(f"MLD queries need a link-local source (RFC 9777 section 5.1.14), not {source.address}")

    def reason(self, what: str) -> str:
        """The drop reason of this protocol for ``what``."""
        return f"{self.name}_{what}"


def is_link_scoped(group: IPAddress) -> bool:
    """Groups that every node gets and nobody tracks: 224.0.0.0/24 (RFC 4541 section 2.1.2), IPv6 scopes 0 to 2."""
    if isinstance(group, IPv4Address):
        return group in LINK_LOCAL_GROUPS
    return group.packed[1] & 0x0F <= LINK_LOCAL_SCOPE


def is_source_specific(group: IPAddress) -> bool:
    """The ranges of RFC 4607: 232.0.0.0/8 and ff3x::/16."""
    return group in (_SSM_IPV4 if group.version == 4 else _SSM_IPV6)


def _igmp_frame(message: MembershipMessage, source: PortSource) -> bytes:
    if not isinstance(source.address, IPv4Address):
        raise TypeError(f"IGMP has IPv4 sources, not {source.address}")
    return igmp.message_frame(message, source.mac, source.address, source.vlan)


def _mld_frame(message: MembershipMessage, source: PortSource) -> bytes:
    if not isinstance(source.address, IPv6Address):
        raise TypeError(f"MLD has IPv6 sources, not {source.address}")
    return mld.message_frame(message, source.mac, source.address, source.vlan)


IGMP = Protocol(
    name="igmp",
    ip_version=4,
    ethertype=EtherType.IPV4,
    newest_version=3,
    leaves_from=2,
    general=igmp.NO_GROUP,
    sources_per_query=(1280 - 24 - 12) // 4,
    parse_frame=igmp.parse_frame,
    message_frame=_igmp_frame,
)

MLD = Protocol(
    name="mld",
    ip_version=6,
    ethertype=EtherType.IPV6,
    newest_version=2,
    leaves_from=1,
    general=mld.NO_GROUP,
    sources_per_query=(1280 - 48 - 28) // 16,
    parse_frame=mld.parse_frame,
    message_frame=_mld_frame,
)
