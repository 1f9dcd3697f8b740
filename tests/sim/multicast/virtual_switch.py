"""A ``SwitchMembership`` in virtual time: frames of hosts and routers go in on a port and VLAN, messages come out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from random import Random

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.membership import SourceFilter
from treecast.base.time import Duration, Instant
from treecast.multicast import MembershipConfig, SwitchMembership, SwitchOutput
from treecast.wire import ethernet, igmp, ipv4, ipv6, mld, mrd, pim
from treecast.wire.checksum import ipv6_pseudo_header, with_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.group_membership import (
    GroupRecord,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    RecordType,
)
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

MAC = MacAddress(b"\x02\0\0\0\0\xfe")
LINK_LOCAL = IPv6Address("fe80::64")
ROUTER = 200
UPSTREAM = 250


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the switch: when, where, and what."""

    at: float
    port: int
    vlan: int
    message: MembershipMessage


class VirtualSwitch:
    """Hosts and routers are small numbers. Port 0, untagged, begins at once."""

    def __init__(self, config: MembershipConfig | None = None, *, ipv4_source: str = "10.0.0.100") -> None:
        self.now = Instant(1000.0)
        self.drops = Drops()
        self.config = config or MembershipConfig()
        self.switch = SwitchMembership(
            self.config,
            self.drops,
            mac=MAC,
            link_local=LINK_LOCAL,
            rng=Random(7),
            ipv4=IPv4Address(ipv4_source),
        )
        self.said: list[Said] = []
        self.changes: list[tuple[int, IPAddress, SourceFilter]] = []
        self.touched: list[tuple[int, int, IPAddress]] = []
        self.segments: list[tuple[int, int]] = []
        self.new_routers: list[int] = []
        self.note(self.switch.start(self.now))

    def report(
        self, group: IPAddress, kind: RecordType, *sources: IPAddress, port: int = 0, vlan: int = 0, host: int = 1
    ) -> None:
        message = MembershipReport((GroupRecord(kind, group, sources),))
        self.hear(message, group.version, port=port, vlan=vlan, sender=host)

    def query(
        self,
        group: IPAddress,
        *sources: IPAddress,
        version: int = 0,
        response: Duration = 1,
        port: int = 0,
        vlan: int = 0,
        router: int = ROUTER,
    ) -> None:
        """Another router's query; ``version`` 0: the newest."""
        newest = 3 if group.version == 4 else 2
        message = MembershipQuery(version or newest, group, response, False, 2, 125, sources)
        if version and version < newest:
            message = MembershipQuery(version, group, response)
        self.hear(message, group.version, port=port, vlan=vlan, sender=router)

    def hear(
        self, message: MembershipMessage, ip_version: int, *, port: int = 0, vlan: int = 0, sender: int = 1
    ) -> None:
        tag = VlanTag(vlan) if vlan else None
        if ip_version == 4:
            frame = igmp.message_frame(message, mac(sender), IPv4Address("10.0.0.0") + sender, tag)
        else:
            frame = mld.message_frame(message, mac(sender), IPv6Address("fe80::") + sender, tag)
        self.receive(ethernet.parse(frame), port)

    def hello(
        self, ip_version: int = 4, *, hold_time: int | None = None, port: int = 0, vlan: int = 0, router: int = ROUTER
    ) -> None:
        self.receive(hello_frame(ip_version, hold_time, vlan, router), port)

    def join_prune(
        self,
        group: IPAddress,
        *,
        joins: Iterable[PimSource] = (),
        prunes: Iterable[PimSource] = (),
        hold_time: Duration = 210,
        upstream: int = UPSTREAM,
        router: int = ROUTER,
        port: int = 0,
        vlan: int = 0,
        prefix_length: int | None = None,
    ) -> None:
        """A PIM Join/Prune of one router to another."""
        length = group.max_prefixlen if prefix_length is None else prefix_length
        asked = PimGroup(group, length, tuple(joins), tuple(prunes))
        message = PimJoinPrune(
            router_address(group.version, router), router_address(group.version, upstream), hold_time, (asked,)
        )
        self.receive(ethernet.parse(pim.join_prune_frame(message, mac(router), VlanTag(vlan) if vlan else None)), port)

    def receive(self, frame: EthernetFrame, port: int = 0) -> None:
        self.note(self.switch.receive(self.now, port, frame))

    def set_proxied(self, group: IPAddress, wanted: SourceFilter, vlan: int = 0) -> None:
        self.switch.set_proxied(self.now, vlan, group, wanted)
        self.note(self.switch.advance(self.now))

    def run(self, duration: Duration) -> list[Said]:
        """Let time pass, waking the switch exactly when it asked to be; returns what it said in that time."""
        end, first = Instant(self.now + duration), len(self.said)
        while (deadline := self.switch.next_deadline()) is not None and deadline <= end:
            assert deadline >= self.now
            self.now = deadline
            self.note(self.switch.advance(self.now))
            again = self.switch.next_deadline()
            assert again is None or again > self.now, "a timer that is due was not run"
        self.now = end
        return self.said[first:]

    def reports(self, said: Iterable[Said] | None = None) -> list[MembershipMessage]:
        """Reports sent as a host."""
        return [s.message for s in (self.said if said is None else said) if not isinstance(s.message, MembershipQuery)]

    def note(self, output: SwitchOutput) -> None:
        for sent in output.frames:
            frame = ethernet.parse(sent.frame)
            parse = igmp.parse_frame if frame.ethertype == EtherType.IPV4 else mld.parse_frame
            self.said.append(Said(self.now, sent.port, frame.vlan_id or 0, parse(frame).message))
        self.changes += [(change.vlan, change.group, change.filter) for change in output.changes]
        self.touched += output.touched
        self.segments += output.segments
        self.new_routers += output.new_routers


def mac(number: int) -> MacAddress:
    return MacAddress(b"\x02\0\0\0\0" + bytes((number,)))


def mrd_frame(ip_version: int, message: bytes) -> EthernetFrame:
    """An RFC 4286 message of the router; its checksum is filled in."""
    if ip_version == 4:
        packet = Ipv4Packet(
            IPv4Address("10.0.0.200"), mrd.ALL_SNOOPERS_IPV4, ipv4.PROTOCOL_IGMP, 1, with_checksum(message, 2)
        )
        return EthernetFrame(
            ethernet.multicast_mac(mrd.ALL_SNOOPERS_IPV4), mac(ROUTER), EtherType.IPV4, ipv4.emit(packet)
        )
    source = IPv6Address("fe80::c8")
    pseudo = ipv6_pseudo_header(source, mrd.ALL_SNOOPERS_IPV6, len(message), ipv6.NEXT_HEADER_ICMPV6)
    body = with_checksum(message, 2, pseudo)
    packet6 = Ipv6Packet(
        source, mrd.ALL_SNOOPERS_IPV6, ipv6.NEXT_HEADER_ICMPV6, 1, body, hop_by_hop=ipv6.ROUTER_ALERT_MLD
    )
    return EthernetFrame(ethernet.multicast_mac(mrd.ALL_SNOOPERS_IPV6), mac(ROUTER), EtherType.IPV6, ipv6.emit(packet6))


def router_address(ip_version: int, number: int) -> IPAddress:
    return IPv4Address("10.0.0.0") + number if ip_version == 4 else IPv6Address("fe80::") + number


def hello_frame(ip_version: int, hold_time: int | None = None, vlan: int = 0, router: int = ROUTER) -> EthernetFrame:
    """A PIM Hello of the router, with a Holdtime option if one is given."""
    options = b"\0\x14\0\4\0\0\0\1" + (b"" if hold_time is None else b"\0\1\0\2" + hold_time.to_bytes(2, "big"))
    body = b"\x20\0\0\0" + options
    tag = VlanTag(vlan) if vlan else None
    if ip_version == 4:
        own = IPv4Address("10.0.0.0") + router
        packet = Ipv4Packet(own, pim.ALL_PIM_ROUTERS_IPV4, pim.PROTOCOL_PIM, 1, with_checksum(body, 2))
        destination = ethernet.multicast_mac(pim.ALL_PIM_ROUTERS_IPV4)
        return EthernetFrame(destination, mac(router), EtherType.IPV4, ipv4.emit(packet), tag)
    source = IPv6Address("fe80::") + router
    pseudo = ipv6_pseudo_header(source, pim.ALL_PIM_ROUTERS_IPV6, len(body), pim.PROTOCOL_PIM)
    packet6 = Ipv6Packet(source, pim.ALL_PIM_ROUTERS_IPV6, pim.PROTOCOL_PIM, 1, with_checksum(body, 2, pseudo))
    destination = ethernet.multicast_mac(pim.ALL_PIM_ROUTERS_IPV6)
    return EthernetFrame(destination, mac(router), EtherType.IPV6, ipv6.emit(packet6), tag)
