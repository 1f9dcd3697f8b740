"""Malformed frames from a host at the TAP: each is counted under its reason, nothing changes, the stream goes on."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw
from scapy.utils import checksum

from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.hostile.siege import Siege, answers, counting
from tests.lab.overlay.asking import wait_members, wait_received
from treecast.api.client import fetch_groups, fetch_hosts, fetch_status
from treecast.base.addresses import MacAddress
from treecast.base.limits import MAX_HOSTS_PER_PORT
from treecast.wire.group_membership import OlderReport
from treecast.wire.igmp import message_frame

MAC = "02:54:00:00:00:02"  # of n1, whose host speaks
LINK_LOCAL = "fe80::54:ff:fe00:2"
OTHER_MAC = "02:00:00:00:00:99"
REPORTERS = "01:00:5e:00:00:16"
MLD_REPORTERS = "33:33:00:00:00:16"
SPRAY = 5000
AT_A_TIME = 100


def summed(body: bytes, pseudo: bytes = b"") -> bytes:
    """The message with its Internet checksum in place (RFC 1071): bytes 2 and 3."""
    whole = body[:2] + b"\0\0" + body[4:]
    return whole[:2] + checksum(pseudo + whole).to_bytes(2, "big") + whole[4:]


def with_fields(packet: Packet, fields: dict[str, object]) -> Packet:
    for name, value in fields.items():
        setattr(packet, name, value)
    return packet


def igmp(body: bytes, *, good_sum: bool = True, **fields: object) -> bytes:
    """A frame with an IGMP message; ``fields`` of the IPv4 header as scapy names them."""
    ip = IP(src="10.77.0.2", dst="224.0.0.22", ttl=1, proto=2, options=[IPOption_Router_Alert()])
    return bytes(Ether(src=MAC, dst=REPORTERS) / with_fields(ip, fields) / Raw(summed(body) if good_sum else body))


def mld(body: bytes, *, good_sum: bool = True, alert: bool = True, source: str = LINK_LOCAL, hops: int = 1) -> bytes:
    target = "ff02::16"
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    pseudo += len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    message = Raw(summed(body, pseudo) if good_sum else body)
    ip = IPv6(src=source, dst=target, hlim=hops, nh=0 if alert else 58)
    options = IPv6ExtHdrHopByHop(nh=58, options=[RouterAlert()]) if alert else None
    return bytes(Ether(src=MAC, dst=MLD_REPORTERS) / (ip / options / message if options else ip / message))


def arp(**fields: object) -> bytes:
    """A broadcast ARP frame; ``fields`` as scapy names them."""
    request = ARP(op=1, hwsrc=MAC, psrc="10.77.0.2", pdst="10.77.0.77")
    return bytes(Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / with_fields(request, fields))


def nd(message: Packet, *, source: str = LINK_LOCAL, target: str = "ff02::1", hops: int = 255) -> bytes:
    return bytes(Ether(src=MAC, dst="33:33:00:00:00:01") / IPv6(src=source, dst=target, hlim=hops, nh=58) / message)


def group4(group: str) -> bytes:
    return IPv4Address(group).packed


def group6(group: str) -> bytes:
    return IPv6Address(group).packed


REPORT3 = bytes((0x22, 0, 0, 0, 0, 0, 0, 1))
RECORD3 = bytes((4, 0, 0, 0)) + group4("239.99.0.1")
REPORT2 = bytes((0x16, 0, 0, 0)) + group4("239.99.0.2")
MLD_REPORT = bytes((143, 0, 0, 0, 0, 0, 0, 1))
MLD_RECORD = bytes((4, 0, 0, 0)) + group6("ff15::99")
SOLICITATION = ICMPv6ND_NS(tgt="fe80::1")

IGMP_FRAMES = [
    ("igmp_truncated", igmp(REPORT2[:5])),
    ("igmp_bad_checksum", igmp(REPORT2, good_sum=False)),
    ("igmp_bad_checksum", igmp(REPORT3 + RECORD3, good_sum=False)),
    ("igmp_truncated_records", igmp(REPORT3[:7] + bytes((5,)) + RECORD3)),
    ("igmp_truncated_records", igmp(REPORT3 + bytes((4, 0, 1, 0)) + group4("239.99.0.1"))),
    ("igmp_truncated_records", igmp(REPORT3 + bytes((4, 255, 0, 0)) + group4("239.99.0.1"))),
    ("igmp_truncated_sources", igmp(bytes((0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 3)))),
    ("igmp_bad_length", igmp(bytes((0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125)))),
    ("igmp_ttl_not_1", igmp(REPORT3 + RECORD3, ttl=64)),
    ("igmp_source_not_unicast", igmp(REPORT3 + RECORD3, src="239.1.1.1")),
    ("igmp_fragment", igmp(REPORT3 + RECORD3, flags="MF")),
    ("frame_malformed", igmp(REPORT3 + RECORD3, ihl=4)),
    ("frame_malformed", igmp(REPORT3 + RECORD3, len=2000)),
    ("frame_malformed", igmp(REPORT3 + RECORD3)[:20]),
    ("ipv4_bad_checksum", igmp(REPORT3 + RECORD3, chksum=1)),
]
MLD_FRAMES = [
    ("mld_truncated", mld(MLD_REPORT[:6])),
    ("mld_bad_checksum", mld(MLD_REPORT + MLD_RECORD, good_sum=False)),
    ("mld_truncated_records", mld(MLD_REPORT[:7] + bytes((9,)) + MLD_RECORD)),
    ("mld_truncated_records", mld(MLD_REPORT + bytes((4, 0, 1, 0)) + group6("ff15::99"))),
    ("mld_hop_limit_not_1", mld(MLD_REPORT + MLD_RECORD, hops=64)),
    ("mld_no_router_alert", mld(MLD_REPORT + MLD_RECORD, alert=False)),
    ("mld_source_not_link_local", mld(MLD_REPORT + MLD_RECORD, source="fd00::1")),
    ("frame_malformed", mld(MLD_REPORT + MLD_RECORD)[:40]),
]
ARP_FRAMES = [
    ("arp_truncated", arp()[:30]),
    ("arp_not_ethernet_ipv4", arp(hwtype=6)),
    ("arp_not_ethernet_ipv4", arp(plen=16)),
    ("arp_unknown_operation", arp(op=9)),
    ("arp_sender_not_unicast", arp(hwsrc="01:00:5e:00:00:01")),
    ("arp_sender_mismatch", arp(hwsrc=OTHER_MAC)),
]
TRUNCATED_NS = bytes((135, 0, 0, 0, 0, 0))
ND_FRAMES = [
    ("ndp_hop_limit_not_255", nd(SOLICITATION, hops=64)),
    ("ndp_bad_checksum", nd(ICMPv6ND_NS(tgt="fe80::1", cksum=1))),
    ("ndp_bad_code", nd(ICMPv6ND_NS(tgt="fe80::1", code=3))),
    ("ndp_target_not_unicast", nd(ICMPv6ND_NS(tgt="ff02::1"))),
    ("ndp_bad_options", nd(SOLICITATION / Raw(bytes((1, 0, 0, 0, 0, 0, 0, 0))))),
    ("ndp_bad_options", nd(SOLICITATION / Raw(bytes((1, 9, 0, 0, 0, 0, 0, 0))))),
    ("ndp_unspecified_source_with_link_layer", nd(SOLICITATION / ICMPv6NDOptSrcLLAddr(lladdr=MAC), source="::")),
    ("ndp_destination_not_solicited_node", nd(SOLICITATION, source="::")),
    ("ndp_source_not_link_local", nd(ICMPv6ND_RA(), source="fd00::1")),
    ("ndp_solicited_to_multicast", nd(ICMPv6ND_NA(tgt="fe80::1", S=1))),
    ("ndp_sender_mismatch", nd(SOLICITATION / ICMPv6NDOptSrcLLAddr(lladdr=OTHER_MAC))),
    ("ndp_truncated", nd(Raw(TRUNCATED_NS))),
]


@contextmanager
def host_of(node: TreecastNode) -> Iterator[socket.socket]:
    """A packet socket that sends frames as the node's own kernel does (packet(7))."""
    with node.machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        own.bind((INTERFACE, 0))
    with own:
        yield own


@pytest.mark.parametrize("frames", [IGMP_FRAMES, MLD_FRAMES, ARP_FRAMES, ND_FRAMES], ids=["igmp", "mld", "arp", "nd"])
def test_malformed_frames_are_counted_by_what_is_wrong_with_them(siege: Siege, frames: list[tuple[str, bytes]]) -> None:
    node = siege.net[1]
    expected = Counter(reason for reason, _ in frames)
    with siege.undisturbed(), host_of(node) as host, counting(node, expected):
        for _, frame in frames:
            host.send(frame)


def spray() -> Iterator[bytes]:
    """Frames of SPRAY joins of as many groups, and of as many new hosts that ask for somebody."""
    mac, reporter = MacAddress.parse(MAC), IPv4Address("10.77.0.2")
    for number in range(SPRAY):
        joined = IPv4Address("239.100.0.0") + number
        yield message_frame(OlderReport(2, joined), mac, reporter)
        host = bytes((2, 0, 0, 0)) + number.to_bytes(2, "big")
        said = host + (IPv4Address("10.77.1.0") + number).packed
        yield b"\xff" * 6 + host + bytes.fromhex("08060001080006040001") + said + bytes(6) + group4("10.77.0.77")


def test_a_spray_of_joins_and_hosts_stays_bounded_and_the_stream_goes_on(overlay: OverlayFactory) -> None:
    net = overlay(2)
    source, node = net.nodes
    receiver = Receiver(node.machine, "239.1.1.1", 5022, interface=INTERFACE)
    wait_members(source, "239.1.1.1", {"n1"})
    stream = Sender(source.machine, "239.1.1.1", 5022, interface=INTERFACE, rate_pps=500)
    wait_received(receiver, 100)
    before = node.resident_bytes
    with host_of(node) as host:
        for frame in spray():
            host.send(frame)
    answers(node)
    answers(source)
    status = fetch_status(node.directory)
    hosts = [host for host in fetch_hosts(node.directory) if host.node == "n1"]
    groups = fetch_groups(node.directory)
    refused = sum(count for reason, count in status.drops.items() if reason.startswith("punt_"))
    refused += status.drops.get("host_table_full", 0)
    print(f"\n{len(groups)} groups, {len(hosts)} hosts, {refused} refused; {node.resident_bytes / before:.2f} x memory")
    assert len(hosts) <= MAX_HOSTS_PER_PORT
    assert len(groups) <= SPRAY + 2
    assert refused > 0
    assert node.resident_bytes < before + 64 * 2**20
    wait_received(receiver, receiver.snapshot().received + 500)
    sent = stream.stop()
    wait_received(receiver, sent.sent - 1)
    got = receiver.stop()
    assert (got.lost, got.duplicated) == (0, 0)
    assert source.peers_up() == {"n1"}
    for log in (source.log, node.log):
        assert "Traceback" not in log.read_text()
