"""Which of a LAN's frames cross: what a bridge floods, within limits, but not what bridges speak; loops are cut."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address
from threading import Event

from msgspec.structs import replace
from scapy.layers.inet import IP
from scapy.packet import Raw

from lab import Machine, wait_until
from lab.sites import LIMIT_S, Sites
from tests.lab.offload.raw_frames import AUXDATA, PACKET_AUXDATA, SOL_PACKET
from tests.lab.overlay.asking import drops, grown, wait_members
from tests.lab.overlay.machines import talk
from treecast.api.client import fetch_bridge
from treecast.base.addresses import MacAddress
from treecast.base.storm_control import LAN_LIMITS
from treecast.wire.beacon import BEACON_ETHERTYPE, BeaconState, beacon_frame, parse_beacon

ETH_P_ALL, EXPERIMENTAL = 3, 0x88B6
BROADCAST_PPS = LAN_LIMITS.broadcast_pps or 0
BROADCAST = b"\xff" * 6
BPDU_GROUP = bytes.fromhex("0180c2000000")
TP_STATUS_VLAN_VALID = 0x10  # linux/if_packet.h


@contextmanager
def raw(machine: Machine, ethertype: int) -> Iterator[socket.socket]:
    with machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with own:
        own.bind(("eth0", ethertype))
        own.settimeout(0.2)
        yield own


def mac(machine: Machine) -> bytes:
    return bytes.fromhex(machine.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip().replace(":", ""))


def everything(own: socket.socket) -> list[bytes]:
    """Reads frames until none comes for a while."""
    frames: list[bytes] = []
    while True:
        try:
            frames.append(own.recv(65536))
        except TimeoutError:
            return frames


def tags(own: socket.socket, payload: bytes) -> list[int | None]:
    """The VLAN of each frame with this payload, None for an untagged one: the kernel tells it beside the frame."""
    found: list[int | None] = []
    while True:
        try:
            frame, ancillary, _, _ = own.recvmsg(2048, socket.CMSG_SPACE(AUXDATA.size))
        except TimeoutError:
            return found
        if payload not in frame:
            continue
        for level, kind, data in ancillary:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, _ = AUXDATA.unpack_from(data)
                found.append(tci & 0x0FFF if status & TP_STATUS_VLAN_VALID else None)


def test_tags_cross_with_their_frames(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    source, ethertype = mac(here), EXPERIMENTAL.to_bytes(2, "big")
    with raw(here, 0) as mouth, raw(there, ETH_P_ALL) as ear:
        ear.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        for vlan in (7, 4094):
            mouth.send(
                BROADCAST + source + b"\x81\x00" + vlan.to_bytes(2, "big") + ethertype + b"tag?".ljust(46, b"\0")
            )
        mouth.send(BROADCAST + source + ethertype + b"tag?".ljust(46, b"\0"))
        assert tags(ear, b"tag?") == [7, 4094, None]


def test_bridge_protocol_frames_are_not_carried(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    source = mac(here)
    bpdu = BPDU_GROUP + source + b"\x00\x26\x42\x42\x03" + bytes(35)
    after = BROADCAST + source + EXPERIMENTAL.to_bytes(2, "big") + b"after".ljust(46, b"\0")
    with raw(here, 0) as mouth, raw(there, ETH_P_ALL) as ear:
        for _ in range(5):
            mouth.send(bpdu)
        mouth.send(after)
        frames = everything(ear)
    assert after in [frame[: len(after)] for frame in frames]
    assert not [frame for frame in frames if frame.startswith(BPDU_GROUP)]


TRAILER_BYTES = 80


def packet(destination: str, protocol: int, body: bytes, trailer_bytes: int = TRAILER_BYTES) -> bytes:
    """An IPv4 packet behind its EtherType, but for the trailer at its end: a switch may cut what is behind it."""
    length = 20 + len(body) + trailer_bytes
    header = IP(src="10.99.1.1", dst=destination, proto=protocol, ttl=8, len=length)
    return b"\x08\x00" + bytes(header / Raw(body))


def crossing(source: bytes) -> dict[str, bytes]:
    """Frames that a switch knows nothing of, by name; they end with it."""
    tag, service_tag, to_group = b"\x81\x00\x00\x07", b"\x88\xa8\x00\x09", "01005e430003"
    parts = {
        "PTP": ("011b19000000", b"\x88\xf7"),
        "PROFINET": ("010ecf000000", b"\x88\x92"),
        "GOOSE": ("010ccd010001", b"\x88\xb8"),
        "AVDECC": ("91e0f0000100", b"\x22\xf0"),
        "IS-IS": ("09002b000005", b"\x00\x40\xfe\xfe\x03"),
        "NLB": ("03bf0a630163", packet("10.99.1.99", 17, b"\x13\x88\x13\x88\0\x1e\0\0")),
        "NLB by IGMP": ("01005e7f0163", packet("10.99.1.99", 17, b"\x13\x88\x13\x88\0\x1e\0\0")),
        "DVMRP": ("01005e000004", packet("224.0.0.4", 2, b"\x13\x01\xec\xfe\0\0\0\0", trailer_bytes=0)),
        "experiment": ("011b19000000", b"\x88\xb5"),
        "GVRP": ("0180c2000021", b"\x00\x40\x42\x42\x03"),
        "802.1ad": (to_group, service_tag + packet("239.67.0.3", 17, bytes(8))),
        "802.1ad over 802.1Q": (to_group, service_tag + tag + packet("239.67.0.3", 17, bytes(8))),
        "802.1Q twice": (to_group, tag + tag + packet("239.67.0.3", 17, bytes(8))),
        "802.1Q twice to all": ("ffffffffffff", tag + tag + b"\x08\x06"),
        "broken, to all": ("ffffffffffff", b"\x08\x00"),
        "LLDP": ("0180c200000e", b"\x88\xcc"),
        "802.1X": ("0180c2000003", b"\x88\x8e"),
    }
    return {
        name: bytes.fromhex(group) + source + rest + f"<{name}>".encode().rjust(TRAILER_BYTES, b"\0")
        for name, (group, rest) in parts.items()
    }


def named(names: Iterable[str], frames: list[bytes]) -> set[str]:
    """The names that are at the end of frames."""
    return {name for name in names if any(f"<{name}>".encode() in frame for frame in frames)}


def test_what_a_linux_bridge_floods_crosses(sites: Sites) -> None:
    """The LAN of the lab is one, without snooping: a host beside the sender gets what one elsewhere should."""
    here, beside, there = *sites.lans[0].hosts[:2], sites.lans[1].hosts[0]
    frames = crossing(mac(here))
    with raw(here, 0) as mouth, raw(beside, ETH_P_ALL) as near, raw(there, ETH_P_ALL) as far:
        for frame in frames.values():
            mouth.send(frame)
        heard = [named(frames, everything(ear)) for ear in (far, near)]
    expected = frames.keys() - {"LLDP", "802.1X"}
    assert [sorted(expected - one) for one in heard] == [[], []], "what did not come elsewhere, and beside the sender"
    assert heard == [expected, expected]


def test_frames_to_one_host_cross_whatever_they_carry(sites: Sites) -> None:
    here, there = sites.lans[0].hosts[0], sites.lans[1].hosts[0]
    talk(here, sites.lans[1].host_ipv4(1))
    twice, service_tag = b"\x81\x00\x00\x07\x81\x00\x00\x08\x08\x00", b"\x88\xa8\x00\x09\x08\x00"
    rests = {name: f"<{name}>".encode().ljust(46, b"\0") for name in ("unknown", "length", "twice", "802.1ad")}
    ethertypes = {"unknown": b"\x88\xb7", "length": b"\x00\x2e", "twice": twice, "802.1ad": service_tag}
    with raw(here, 0) as mouth, raw(there, ETH_P_ALL) as ear:
        mouth.send(BROADCAST + mac(here) + twice + bytes(46))  # its VLAN learns of the hosts
        with raw(there, 0) as other_mouth:
            other_mouth.send(BROADCAST + mac(there) + twice + bytes(46))

        def all_crossed() -> bool:
            for name, rest in rests.items():
                mouth.send(mac(there) + mac(here) + ethertypes[name] + rest)
            heard = everything(ear)
            return all(any(rest in frame for frame in heard) for rest in rests.values())

        wait_until(all_crossed, LIMIT_S, "all have crossed")


def test_ipv6_groups_of_every_kind_reach_who_joined(sites: Sites) -> None:
    """Flags and scopes of each kind (RFC 4291 section 2.7): link-local ones with flags too."""
    here, there = sites.lans[0].hosts[0], sites.lans[1].hosts[0]
    groups = ["ff02::67:3", "ff12::67:3", "ff32::67:3", "fff2::67:3", "ff13::67:3", "ff75::67:3", "ffee::67:3"]
    with there.enter():
        ear = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        ear.bind(("::", 5067))
        index = socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder)
        for group in groups:
            ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, ip_address(group).packed + index)
    with here.enter():
        mouth = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        own = socket.if_nametoindex("eth0")
        mouth.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 4)
    with ear, mouth:
        for group in groups[4:]:
            wait_members(sites.overlay[0], group, {"n1"}, LIMIT_S)
        for group in groups:
            mouth.sendto(group.encode(), (group, 5067, 0, own))
        ear.settimeout(LIMIT_S)
        assert {ear.recv(100).decode() for _ in groups} == set(groups)


def test_a_broadcast_storm_is_limited_at_the_port(sites: Sites) -> None:
    here, there = (lan.hosts[0] for lan in sites.lans[:2])
    before = drops(sites.overlay[0])
    head = BROADCAST + mac(here) + EXPERIMENTAL.to_bytes(2, "big")
    with raw(here, 0) as mouth, raw(there, EXPERIMENTAL) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**24)
        began = time.monotonic()
        for number in range(6000):
            mouth.send(head + number.to_bytes(4, "big").ljust(46, b"\0"))
        frames = everything(ear)
        allowed = BROADCAST_PPS * (1 + time.monotonic() - began)  # a second's, and those of the time since
    dropped = grown(before, drops(sites.overlay[0]))["storm_broadcast"]
    assert dropped > 0
    assert len(frames) + dropped <= 6000
    assert BROADCAST_PPS / 2 < len(frames) <= allowed


def test_a_lan_that_reflects_is_cut_off_and_comes_back(sites: Sites) -> None:
    here, there = sites.lans[:2]
    node = sites.overlay[0]
    talk(here.hosts[0], there.host_ipv4(1))
    with ThreadPoolExecutor(max_workers=1) as pool:
        ended = Event()
        work = pool.submit(reflect, here.hosts[1], ended)
        try:
            wait_until(lambda: fetch_bridge(node.directory).looped, LIMIT_S, "its own beacon has come back")
            assert fetch_bridge(node.directory).state == "silent"
            lost = here.hosts[0].run(["ping", "-c", "2", "-i", "0.2", "-W", "1", there.host_ipv4(1)], check=False)
            assert " 0 received" in lost.stdout
            assert drops(node)["beacon_own"] > 0
            wait_until(lambda: "lan_loop" in {p.kind for p in node.status().problems}, LIMIT_S, "it is said")
            assert drops(node)["port_blocked"] > 0
        finally:
            ended.set()
        work.result(LIMIT_S)
    wait_until(lambda: fetch_bridge(node.directory).state == "forwarding", LIMIT_S, "the loop is gone")
    talk(here.hosts[0], there.host_ipv4(1))


def test_beacons_that_a_host_makes_up_stop_no_node_and_are_counted(sites: Sites) -> None:
    here, there = sites.lans[:2]
    node = sites.overlay[0]
    before = drops(node)
    with raw(here.hosts[1], BEACON_ETHERTYPE) as mouth:
        mouth.settimeout(LIMIT_S)
        genuine = mouth.recv(2048)
        heard = parse_beacon(genuine[14:])
        for forged in (replace(heard.beacon, state=BeaconState.SILENT), replace(heard.beacon, node_index=99)):
            mouth.send(beacon_frame(forged, MacAddress(genuine[6:12]), lambda _: heard.signature))
    counted = {"beacon_bad_signature": 1, "beacon_unknown_node": 1}
    wait_until(lambda: counted.items() <= grown(before, drops(node)).items(), LIMIT_S, "forged beacons")
    assert fetch_bridge(node.directory).state == "forwarding"
    talk(here.hosts[0], there.host_ipv4(1))


def reflect(machine: Machine, ended: Event) -> None:
    """Sends each beacon back, as a second way round a LAN does with what is for a group."""
    with raw(machine, BEACON_ETHERTYPE) as own:
        while not ended.is_set():
            try:
                frame, address = own.recvfrom(2048)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING:
                own.send(frame)
