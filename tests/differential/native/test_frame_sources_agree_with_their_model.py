"""Random sources and groups of frames: which of them a data plane delivers, against its plain-Python model.

The frames leave by the TAP of one plane, as those of a member that says whatever it likes, and come to another one.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from lab.planes import LIMIT_S, DataPlanes, mac
from lab.waiting import wait_until
from tests.differential.native.envelopes import CHAINS, behind
from tests.differential.native.test_forwarder_agrees_with_its_model import MARK, drops_since, heard
from tests.lab.offload.raw_frames import packet_socket
from treecast.base import commands as c
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.ids import NodeIndex
from treecast.sim.frame_sources import why_refused

FRAMES = 200
SENDER, RECEIVER = 1, 2
NODES = (SENDER, RECEIVER, 3, 4)
V4 = {node: ip_address(f"10.9.0.{node}") for node in NODES}
V6 = {node: ip_address(f"fd09::{node}") for node in NODES}
OTHERS = (*map(ip_address, ("192.0.2.7", "0.0.0.0", "2001:db8::7", "::")),)
REASONS = ("source_of_another_node", "frame_not_permitted")
MACS = (*map(mac, NODES), mac(9), bytes.fromhex("02aa00000001"), bytes.fromhex("00005e000107"))
TAGS = (b"", b"", b"\x81\x00\xe0\x00", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x07", b"\x81\x00\x00\x00" * 5)
ALL_NODES = ip_address("ff02::1")
GROUPS = (*map(ip_address, ("239.1.1.1", "239.2.2.2", "224.0.0.251", "ff15::1:1", "ff18::2", "ff01::3")), ALL_NODES)
PERMITTED = (None, None, (), (ip_network("239.1.0.0/16"), ip_network("ff15::/16")), (ip_network("224.0.0.0/3"),))
"""Lists of certificates, and a prefix with more than groups in it."""


def address(rng: Random, version: int) -> IPAddress:
    own = V4 if version == 4 else V6
    return rng.choice((*own.values(), *(other for other in OTHERS if other.version == version)))


def destination(rng: Random, version: int) -> IPAddress:
    """A group, or an address of the receiver."""
    own = V4 if version == 4 else V6
    return rng.choice((own[RECEIVER], *(group for group in GROUPS if group.version == version)))


def payload(rng: Random) -> tuple[int, bytes]:
    """EtherType and bytes: ARP, IPv4, IPv6 with whatever in front of a Neighbor Advertisement, anything."""
    kind = rng.randrange(5)
    if kind == 0:
        sender = address(rng, 4).packed
        return 0x0806, bytes.fromhex("0001080006040002") + rng.choice(MACS) + sender + bytes(10)
    if kind == 1:
        start = bytes.fromhex("450000240000400004110000")
        return 0x0800, start + address(rng, 4).packed + destination(rng, 4).packed + bytes(16)
    if kind == 2:
        return rng.choice((0x9000, 0x88F7)), rng.randbytes(46)
    advertised = bytes((rng.choice((136, 136, 135)), 0, 0, 0, 0x20, 0, 0, 0)) + address(rng, 6).packed
    protocol, upper = rng.choice(((58, advertised), (58, advertised), (17, bytes(16)), (59, b"")))
    packet = bytearray(behind(rng.choice(((), (), *CHAINS)), destination(rng, 6), protocol, upper))
    packet[8:24] = address(rng, 6).packed
    return 0x86DD, bytes(packet)


def frame(rng: Random, number: int) -> bytes:
    """A frame to the receiver's MAC, so that it goes there whatever it holds; sometimes a bit is wrong somewhere."""
    tag = rng.choice(TAGS)
    ethertype, body = payload(rng)
    whole = bytearray(mac(RECEIVER) + rng.choice(MACS) + tag + ethertype.to_bytes(2, "big") + body)
    if rng.random() < 0.2:
        whole[rng.randrange(12 + len(tag), len(whole))] ^= 1 << rng.randrange(8)
    return bytes(whole) + MARK + number.to_bytes(4, "big")


def certificates(rng: Random) -> dict[NodeIndex, c.CertifyNode]:
    return {
        NodeIndex(node): c.CertifyNode(
            NodeIndex(node),
            rng.random() < 0.8 or node != SENDER,
            rng.random() < 0.4,
            (V4[node], V6[node]),
            bytes(32),
            rng.choice(PERMITTED),
        )
        for node in NODES
        if node == SENDER or rng.random() < 0.8
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_same_frames_are_delivered(planes: DataPlanes, seed: int) -> None:
    rng = Random(seed)
    sender, receiver = planes.planes
    certified = certificates(rng)
    receiver.do(*(c.UncertifyNode(NodeIndex(node)) for node in NODES), *certified.values())
    sender.do(*(c.SetHost(vlan, MacAddress(mac(RECEIVER)), NodeIndex(RECEIVER)) for vlan in (0, 7)))
    frames = [frame(rng, number) for number in range(FRAMES)]
    refused = Counter(why_refused(NodeIndex(SENDER), one, certified) for one in frames)
    expected = Counter(one for one in frames if why_refused(NodeIndex(SENDER), one, certified) is None)
    assert 0 < refused.pop(None) < FRAMES
    receiver.forwarder.take_refusals()
    before, sent_before = receiver.forwarder.drops(), sender.forwarder.drops()
    with packet_socket(receiver.machine, vnet=False) as ear, packet_socket(sender.machine, vnet=False) as mouth:
        for one in frames:
            mouth.send(one)
        arrived = Counter(heard(ear, expected.total()))
        assert arrived == expected

        def all_counted() -> bool:
            counted = drops_since(receiver.forwarder.drops(), before)
            return Counter({reason: counted[reason] for reason in REASONS}) == refused

        wait_until(all_counted, LIMIT_S, f"{refused} frames counted")
    assert drops_since(sender.forwarder.drops(), sent_before) == Counter()
    of_others = refused[REASONS[0]]
    assert receiver.forwarder.take_refusals() == ([(SENDER, REASONS[0], of_others)] if of_others else [])
