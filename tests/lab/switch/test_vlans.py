"""A listener in a VLAN of a bridged LAN that only answers queries, as kernels do once they have reported.

::

      h1.1 sends in VLAN 7                   h2.1 listens in VLAN 7
     ===+======+===                         ===+======+===
               n0 ============ underlay ============= n1
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from threading import Event, Thread

from lab import Lab, Machine, wait_until
from lab.sites import LIMIT_S, make_sites, show_logs
from tests.lab.offload.raw_frames import AUXDATA, ETH_P_ALL, PACKET_AUXDATA, SOL_PACKET
from treecast.api.client import fetch_bridge
from treecast.base.addresses import MacAddress
from treecast.wire import arp, ethernet, igmp, ipv4
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType
from treecast.wire.ipv4 import Ipv4Packet

TAG, GROUP, ALL_SYSTEMS = VlanTag(7), IPv4Address("239.7.7.7"), IPv4Address("224.0.0.1")
LISTENER, SPEAKER, NOBODY = (IPv4Address("10.7.0.0") + host for host in (2, 1, 99))
PACKET_ADD_MEMBERSHIP, PACKET_MR_ALLMULTI = 1, 2  # linux/if_packet.h
TP_STATUS_VLAN_VALID = 0x10
UDP_HEADER = bytes.fromhex("1394139400100000")
PAYLOAD = b"in VLAN7"


class Listener:
    """A member that answers general queries in its VLAN, and counts datagrams of the group there."""

    def __init__(self, own: socket.socket, mac: MacAddress) -> None:
        self.received = 0
        self._own = own
        report = MembershipReport((GroupRecord(RecordType.MODE_IS_EXCLUDE, GROUP, ()),))
        self._answer = igmp.message_frame(report, mac, LISTENER, TAG)

    def run(self, over: Event) -> None:
        query = ethernet.multicast_mac(ALL_SYSTEMS).packed
        while not over.is_set():
            try:
                frame, ancillary, _, _ = self._own.recvmsg(2048, socket.CMSG_SPACE(AUXDATA.size))
            except TimeoutError:
                continue
            if not any(_vlan_of(data) == TAG.vlan_id for _, kind, data in ancillary if kind == PACKET_AUXDATA):
                continue
            if frame.startswith(query):
                self._own.send(self._answer)
            self.received += PAYLOAD in frame


def _vlan_of(auxdata: bytes) -> int | None:
    status, _, _, _, _, tci, _ = AUXDATA.unpack_from(auxdata)
    return tci & 0xFFF if status & TP_STATUS_VLAN_VALID else None


@contextmanager
def raw(machine: Machine, ethertype: int) -> Iterator[tuple[socket.socket, MacAddress]]:
    with machine.enter():
        own, index = socket.socket(socket.AF_PACKET, socket.SOCK_RAW), socket.if_nametoindex("eth0")
    with own:
        own.bind(("eth0", ethertype))
        own.settimeout(0.2)
        own.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        wanted = index.to_bytes(4, "little") + PACKET_MR_ALLMULTI.to_bytes(2, "little") + bytes(10)
        own.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, wanted)
        yield own, MacAddress(own.getsockname()[4])


@contextmanager
def beside(*loops: Thread, over: Event) -> Iterator[None]:
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        over.set()
        for loop in loops:
            loop.join()


def request(mac: MacAddress) -> bytes:
    packet = ArpPacket(ArpOperation.REQUEST, mac, LISTENER, MacAddress(bytes(6)), NOBODY)
    return ethernet.emit(EthernetFrame(MacAddress(b"\xff" * 6), mac, EtherType.ARP, arp.emit(packet), TAG))


def datagram(mac: MacAddress) -> bytes:
    packet = ipv4.emit(Ipv4Packet(SPEAKER, GROUP, 17, 8, UDP_HEADER + PAYLOAD))
    return ethernet.emit(EthernetFrame(ethernet.multicast_mac(GROUP), mac, EtherType.IPV4, packet, TAG))


def test_a_listener_in_a_vlan_that_only_answers_queries_is_queried_at_its_first_frame_and_after_a_restart() -> None:
    with Lab() as lab:
        sites = make_sites(lab, 2, hosts=1)
        sites.bridge_all()
        (here, there), node = (lan.hosts[0] for lan in sites.lans), sites.overlay[1]
        over = Event()
        with raw(here, 0) as (mouth, speaker), raw(there, ETH_P_ALL) as (ear, mac):
            listener = Listener(ear, mac)

            def speak() -> None:
                while not over.wait(0.05):
                    mouth.send(datagram(speaker))

            with beside(Thread(target=speak), Thread(target=listener.run, args=(over,)), over=over):
                ear.send(request(mac))
                wait_until(lambda: listener.received > 3, LIMIT_S, "it shows itself by ARP, and is queried")
                node.stop()
                node.start(sites.overlay[0].endpoint)
                node.wait_ready()
                wait_until(lambda: fetch_bridge(node.directory).state == "forwarding", LIMIT_S, "it carries its LAN")
                before = listener.received
                wait_until(lambda: listener.received > before + 3, LIMIT_S, "it is queried after the restart")
        show_logs(sites.overlay.nodes)
