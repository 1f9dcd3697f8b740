"""Frames that cross an overlay per ARP request: what the other machines' overlay interfaces see of it.

The source sends requests by a packet socket and then an announcement (RFC 5227 section 3), which every overlay must
carry to all; on each path frames keep their order, so when the announcement is there, all that crosses is there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

from bench.sides import Side
from lab.machine import Machine
from lab.waiting import paced
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import arp, ethernet
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType

REQUESTS = 10
INTERVAL_S = 0.05
LIMIT_S = 10.0
FRAME_BYTES = 2048
ETH_P_ALL = 3  # linux/if_ether.h
UNKNOWN_HOST_OFFSET = 200  # in a lab of fewer machines nobody has this address


def crossings_per_request(side: Side, machines: Sequence[Machine], *, known: bool) -> float:
    """Copies of a request, and answers to it, that cross the overlay from or to the first of ``machines``.

    ``known``: for the address of another machine; else for one that nobody has.
    """
    source, *others = machines
    side.prepare(others)
    own = IPv4Address(side.ipv4(source))
    target = IPv4Address(side.ipv4(others[0])) if known else own + UNKNOWN_HOST_OFFSET
    with ExitStack() as stack:
        receivers = [stack.enter_context(arp_socket(other, side.interface(other))) for other in others]
        sender = stack.enter_context(arp_socket(source, side.interface(source)))
        mac = MacAddress(sender.getsockname()[4])
        sender.send(arp_request(mac, own, own))
        for each in receivers:
            _until_announced(each, own, target)
        for _ in paced(range(REQUESTS), INTERVAL_S):
            sender.send(arp_request(mac, own, target))
        sender.send(arp_request(mac, own, own))
        return sum(_until_announced(each, own, target) for each in receivers) / REQUESTS


def arp_request(mac: MacAddress, sender: IPv4Address, target: IPv4Address) -> bytes:
    """A broadcast request; an announcement when both are the same."""
    packet = ArpPacket(ArpOperation.REQUEST, mac, sender, MacAddress(bytes(6)), target)
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, mac, EtherType.ARP, arp.emit(packet)))


@contextmanager
def arp_socket(machine: Machine, interface: str) -> Iterator[socket.socket]:
    """A packet socket that sees the frames of an interface, in both directions."""
    with machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        own.bind((interface, ETH_P_ALL))
    with own:
        own.settimeout(LIMIT_S)
        yield own


def _until_announced(own: socket.socket, asker: IPv4Address, target: IPv4Address) -> int:
    """Frames between the two until the asker announces itself. TimeoutError when it does not."""
    seen = 0
    while True:
        packet = _arp(own.recv(FRAME_BYTES))
        if packet is None:
            continue
        if packet.is_gratuitous and packet.sender_ip == asker:
            return seen
        seen += {packet.sender_ip, packet.target_ip} == {asker, target}


def _arp(data: bytes) -> ArpPacket | None:
    try:
        frame = ethernet.parse(data)
        return arp.parse(frame.payload) if frame.ethertype == EtherType.ARP else None
    except MalformedError:
        return None
