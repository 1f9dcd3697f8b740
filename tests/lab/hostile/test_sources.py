"""A member that sends frames as another one: none reaches a program or a kernel's table, each is counted.

::

      n0: a stream to n2        n1: sends as n0        n2: subscribes, knows n0 as a neighbour
     +-------------------+     +---------------+      +---------------+
     | treecast0         |     | treecast0     |      | treecast0     |
     +--------||---------+     +------||-------+      +------||-------+
     =========++======================++===== switch0 =======++========
"""

from __future__ import annotations

import json
import socket

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.hostile.test_frames import host_of
from tests.lab.overlay.asking import drops, wait_members, wait_received

GROUP = "239.90.0.7"
GROUP_MAC = "01:00:5e:5a:00:07"
ALL_NODES_MAC = "33:33:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
PORT = 5023
PROGRAM_PORT = 5024
RATE_PPS = 500
TIMES = 25
LIMIT_S = 20.0
MAC = "02:54:00:00:00:0{}".format


def hidden(frame: Packet) -> bytes:
    """The frame behind two tags of VLAN 0, which kernels pass; the member's own node takes it for no ARP or ND."""
    return bytes(Ether(src=frame.src, dst=frame.dst) / Dot1Q(vlan=0) / Dot1Q(vlan=0) / frame.payload)


def forged(victim: TreecastNode, other: TreecastNode) -> list[bytes]:
    """Frames of n1 that say to be of ``other``, n0: unicast, multicast and broadcast."""
    own, its, to = MAC(2), MAC(1), MAC(3)
    udp, to_program = (UDP(sport=PORT, dport=port) / Raw(b"as another one") for port in (PORT, PROGRAM_PORT))
    reply = ARP(op=2, hwsrc=own, psrc=other.ipv4, hwdst=to, pdst=victim.ipv4)
    advertisement = ICMPv6ND_NA(tgt=other.ipv6, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=own)
    return [
        bytes(Ether(src=its, dst=GROUP_MAC) / IP(src=other.ipv4, dst=GROUP, ttl=8) / udp),
        bytes(Ether(src=own, dst=GROUP_MAC) / IP(src=other.ipv4, dst=GROUP, ttl=8) / udp),
        bytes(Ether(src=its, dst=to) / IP(src=other.ipv4, dst=victim.ipv4) / to_program),
        bytes(Ether(src=own, dst=to) / IP(src=other.ipv4, dst=victim.ipv4) / to_program),
        bytes(Ether(src=own, dst=to) / IPv6(src=other.ipv6, dst=victim.ipv6) / to_program),
        hidden(Ether(src=own, dst=to) / reply),
        hidden(Ether(src=own, dst=BROADCAST) / reply),
        hidden(Ether(src=own, dst=ALL_NODES_MAC) / IPv6(src="fe80::54:ff:fe00:2", dst="ff02::1") / advertisement),
    ]


def neighbours(node: TreecastNode) -> dict[str, str]:
    """The MAC that its machine's kernel has for each address."""
    shown = node.machine.run(["ip", "-json", "neigh", "show", "dev", INTERFACE]).stdout
    return {entry["dst"]: entry["lladdr"] for entry in json.loads(shown) if "lladdr" in entry}


def program(node: TreecastNode) -> socket.socket:
    """A socket for whatever comes to its port, IPv4 or IPv6; reading does not wait."""
    with node.machine.enter():
        own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    own.bind(("::", PROGRAM_PORT))
    return own


def test_frames_with_the_mac_or_an_address_of_another_member_are_dropped_and_its_stream_goes_on(
    overlay: OverlayFactory,
) -> None:
    honest, hostile, victim = overlay(3).nodes
    receiver = Receiver(victim.machine, GROUP, PORT, interface=INTERFACE)
    for node in (honest, hostile):
        wait_members(node, GROUP, {victim.name})
    for address in (honest.ipv4, honest.ipv6):
        victim.machine.run(["ping", "-c", "1", "-W", "5", address])
    stream = Sender(honest.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    wait_received(receiver, 100)
    frames = forged(victim, honest)
    before = drops(victim).get("source_of_another_node", 0)

    def counted() -> int:
        return drops(victim).get("source_of_another_node", 0) - before

    with program(victim) as listening, host_of(hostile) as host:
        for frame in frames * TIMES:
            host.send(frame)
        wait_until(lambda: counted() >= len(frames) * TIMES, LIMIT_S, "all forged frames are counted")
        assert counted() == len(frames) * TIMES
        with pytest.raises(BlockingIOError):
            listening.recv(1)
    known = neighbours(victim)
    assert {known[honest.ipv4], known[honest.ipv6]} == {MAC(1)}
    wait_received(receiver, receiver.snapshot().received + 100)
    sent = stream.stop()
    wait_received(receiver, sent.sent - 1)
    got = receiver.stop()
    assert (got.lost, got.duplicated, got.other) == (0, 0, 0)
