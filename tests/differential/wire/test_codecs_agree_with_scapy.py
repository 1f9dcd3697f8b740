"""Our codecs and scapy's read each other's frames alike."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.igmp import IGMP_MR, IGMPv2_LG, IGMPv2_MR, IGMPv3_MQ, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from treecast.base.addresses import MacAddress
from treecast.wire import arp, ethernet, igmp, ipv6, mld, ndp
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
    decode_float,
    encode_float,
)
from treecast.wire.ndp import NeighborAdvertisement, NeighborSolicitation

MAC, SCAPY_MAC = MacAddress(b"\x02\0\0\0\0\x01"), "02:00:00:00:00:01"
SOURCE4, SOURCE6 = IPv4Address("10.0.0.1"), IPv6Address("fe80::1")

macs = st.binary(min_size=6, max_size=6).map(lambda data: MacAddress(bytes((data[0] & 0xFE,)) + data[1:]))
ipv4s = st.integers(0, 2**32 - 1).map(IPv4Address)
ipv6s = st.integers(1, 2**120).map(IPv6Address)
groups4 = st.integers(0, 2**28 - 1).map(lambda low: IPv4Address("224.0.0.0") + low)
groups6 = st.integers(0, 2**120 - 1).map(lambda low: IPv6Address("ff00::") + low)
flags = st.tuples(st.booleans(), st.integers(0, 7))
types = st.sampled_from(RecordType)
quick = settings(max_examples=40, deadline=None, derandomize=True)


def records(groups: Any, sources: Any) -> Any:
    record = st.builds(GroupRecord, types, groups, st.lists(sources, max_size=4).map(tuple))
    return st.lists(record, min_size=1, max_size=4).map(tuple)


def checksums_hold(packet: Any) -> bool:
    """Whether scapy, making every checksum of its own, comes to the same bytes."""
    before = bytes(packet)
    again = packet.copy()
    for layer in again.layers():
        for name in ("chksum", "cksum"):
            if name in again[layer].fields:
                del again[layer].fields[name]
    return bytes(again) == before


@quick
@given(macs, macs, st.integers(0, 4095), st.integers(0, 7), st.booleans(), st.binary(min_size=1, max_size=40))
def test_tagged_frames(to: MacAddress, by: MacAddress, vlan: int, prio: int, dei: bool, data: bytes) -> None:
    ours = EthernetFrame(to, by, 0x88B5, data, VlanTag(vlan, prio, dei))
    theirs = Ether(dst=str(to), src=str(by)) / Dot1Q(vlan=vlan, prio=prio, dei=int(dei), type=0x88B5) / data
    assert bytes(theirs) == ethernet.emit(ours)
    assert ethernet.parse(bytes(theirs)) == ours


@quick
@given(st.sampled_from(ArpOperation), macs, ipv4s, macs, ipv4s)
def test_arp(operation: ArpOperation, mac: MacAddress, ip: IPv4Address, to: MacAddress, other: IPv4Address) -> None:
    ours = ArpPacket(operation, mac, ip, to, other)
    theirs = ARP(op=int(operation), hwsrc=str(mac), psrc=str(ip), hwdst=str(to), pdst=str(other))
    assert bytes(theirs) == arp.emit(ours)


@quick
@given(groups4, st.integers(0, 255), flags, st.integers(0, 255), st.lists(ipv4s, max_size=4))
def test_igmpv3_queries(
    group: IPv4Address, code: int, flags: tuple[bool, int], interval: int, sources: list[IPv4Address]
) -> None:
    time, query_interval = decode_float(code, 4), decode_float(interval, 4)
    query = MembershipQuery(3, group, time / 10, *flags, query_interval, tuple(sources))
    packet = Ether(igmp.message_frame(query, MAC, SOURCE4))
    assert checksums_hold(packet)
    theirs = packet[IGMPv3_MQ]
    assert (theirs.fields["mrcode"], theirs.gaddr, theirs.qqic) == (time, str(group), interval)
    assert (bool(theirs.s), theirs.qrv, theirs.numsrc) == (*flags, len(sources))
    assert theirs.srcaddrs == [str(source) for source in sources]
    assert igmp.parse(bytes(theirs)) == query


@quick
@given(records(groups4, ipv4s))
def test_igmpv3_reports(parts: tuple[GroupRecord, ...]) -> None:
    frame = igmp.message_frame(MembershipReport(parts), MAC, SOURCE4)
    theirs = Ether(frame)
    assert checksums_hold(theirs)
    assert any(isinstance(option, IPOption_Router_Alert) for option in theirs[IP].options)
    assert (theirs[IP].ttl, theirs[IP].dst, theirs.dst) == (1, "224.0.0.22", "01:00:5e:00:00:16")
    seen = [(r.rtype, r.maddr, r.srcaddrs) for r in theirs[IGMPv3_MR].records]
    assert seen == [(p.record_type, str(p.group), [str(source) for source in p.sources]) for p in parts]
    built = IGMPv3_MR(records=[IGMPv3_MR_Group(rtype=int(t), maddr=g, srcaddrs=s) for t, g, s in seen])
    assert igmp.parse(bytes(built)) == MembershipReport(parts)


@quick
@given(groups4)
def test_older_igmp(group: IPv4Address) -> None:
    assert igmp.parse(bytes(IGMP_MR(gaddr=str(group)))) == OlderReport(1, group)
    assert igmp.parse(bytes(IGMPv2_MR(gaddr=str(group)))) == OlderReport(2, group)
    assert igmp.parse(bytes(IGMPv2_LG(gaddr=str(group)))) == LeaveGroup(group)
    for message in (OlderReport(2, group), LeaveGroup(group)):  # scapy gives IGMPv1 a Router Alert too
        assert checksums_hold(Ether(igmp.message_frame(message, MAC, SOURCE4)))


def each_of_chain(record: Any) -> list[Any]:
    """Scapy reads a record that follows another as that one's payload."""
    chain = []
    while isinstance(record, ICMPv6MLDMultAddrRec):
        chain.append(record)
        record = record.payload
    return chain


def mld_packet(message: Any, destination: IPv6Address) -> bytes:
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])
    return bytes(Ether(src=SCAPY_MAC) / IPv6(src=str(SOURCE6), dst=str(destination), hlim=1) / alert / message)


@quick
@given(
    groups6, st.integers(0, 65535), st.booleans(), st.integers(0, 7), st.integers(0, 255), st.lists(ipv6s, max_size=4)
)
def test_mldv2_queries(
    group: IPv6Address, code: int, suppress: bool, robustness: int, interval: int, sources: list[IPv6Address]
) -> None:
    theirs = ICMPv6MLQuery2(
        mladdr=str(group),
        mrd=code,
        S=int(suppress),
        QRV=robustness,
        QQIC=interval,
        sources=[str(source) for source in sources],
        sources_number=len(sources),
    )
    frame = mld_packet(theirs, group)
    query = mld.parse_frame(ethernet.parse(frame)).message
    assert isinstance(query, MembershipQuery)
    assert (query.version, query.group, query.sources) == (2, group, tuple(sources))
    assert (query.suppress, query.robustness) == (suppress, robustness)
    assert encode_float(round(query.max_response_time * 1000), 12) == code
    assert mld.message_frame(query, MAC, SOURCE6) == ethernet.emit(
        EthernetFrame(ethernet.multicast_mac(group), MAC, EtherType.IPV6, frame[14:])
    )


@quick
@given(records(groups6, ipv6s))
def test_mldv2_reports(parts: tuple[GroupRecord, ...]) -> None:
    frame = mld.message_frame(MembershipReport(parts), MAC, SOURCE6)
    theirs = Ether(frame)
    assert checksums_hold(theirs)
    assert (theirs[IPv6].hlim, theirs[IPv6].dst, theirs.dst) == (1, "ff02::16", "33:33:00:00:00:16")
    chained = [record for first in theirs[ICMPv6MLReport2].records for record in each_of_chain(first)]
    seen = [(r.rtype, r.dst, [str(IPv6Address(source)) for source in r.sources]) for r in chained]
    assert seen == [(p.record_type, str(p.group), [str(source) for source in p.sources]) for p in parts]
    built = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=int(t), dst=g, sources=s) for t, g, s in seen])
    received = mld.parse_frame(ethernet.parse(mld_packet(built, mld.MLDV2_ROUTERS)))
    assert received.message == MembershipReport(parts)


@quick
@given(groups6, st.booleans())
def test_older_mld(group: IPv6Address, leaves: bool) -> None:
    theirs = ICMPv6MLDone(mladdr=str(group)) if leaves else ICMPv6MLReport(mladdr=str(group))
    ours = LeaveGroup(group) if leaves else OlderReport(1, group)
    destination = mld.ALL_ROUTERS if leaves else group
    assert mld.parse_frame(ethernet.parse(mld_packet(theirs, destination))).message == ours


@quick
@given(ipv6s, macs, st.booleans(), st.booleans(), st.booleans())
def test_neighbor_discovery(
    target: IPv6Address, mac: MacAddress, router: bool, solicited: bool, override: bool
) -> None:
    option = ndp.link_layer_option(ndp.OPTION_TARGET_LINK_LAYER, mac)
    ours = NeighborAdvertisement(target, router, solicited, override, (option,))
    theirs = ICMPv6ND_NA(tgt=str(target), R=int(router), S=int(solicited), O=int(override))
    packet = bytes(IPv6(src=str(SOURCE6), dst="fe80::2", hlim=255) / theirs / ICMPv6NDOptDstLLAddr(lladdr=str(mac)))
    assert ndp.parse(ipv6.parse(packet)) == ours
    assert packet[40:] == ndp.emit(ours, SOURCE6, IPv6Address("fe80::2"))
    asked = ICMPv6ND_NS(tgt=str(target)) / ICMPv6NDOptSrcLLAddr(lladdr=str(mac))
    packet = bytes(IPv6(src=str(SOURCE6), dst="fe80::2", hlim=255) / asked)
    solicitation = NeighborSolicitation(target, (ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, mac),))
    assert ndp.parse(ipv6.parse(packet)) == solicitation
