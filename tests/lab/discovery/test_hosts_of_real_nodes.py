"""Hosts at the TAPs of three running nodes: what of their ARP and ND crosses, and where all nodes say that they live.

::

      n0                       n1                       n2
     +----------------------+ +----------------------+ +----------------------+
     | kernel, asker        | | kernel, host H       | | kernel, host H later |
     | treecast0 10.77.0.1  | | treecast0 10.77.0.2  | | treecast0 10.77.0.3  |
     +---------||-----------+ +---------||-----------+ +---------||-----------+
     ==========++=======================++=======================++==== switch0
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from bench.solicitations import FRAME_BYTES, arp_request, arp_socket
from lab import Lab, wait_until
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.sites import show_logs
from lab.waiting import paced
from treecast.api.client import fetch_hosts, fetch_status
from treecast.api.records import Host
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.wire import ethernet, ipv4, ipv6, ndp
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.ipv4 import Ipv4Packet

LIMIT_S = 10.0
HOST = MacAddress.parse("02:00:00:00:0a:01")
CONFLICTING = (MacAddress.parse("02:00:00:00:0a:02"), MacAddress.parse("02:00:00:00:0a:03"))
CLIENT = MacAddress.parse("02:00:00:00:0a:07")
SERVER = MacAddress.parse("02:00:00:00:0a:08")


@pytest.fixture(scope="module")
def net() -> Iterator[Overlay]:
    with Lab() as lab:
        lan = lab.switch()
        overlay = Overlay([lab.machine(f"n{number}", lan) for number in range(3)], lab.directory)
        overlay.start()
        yield overlay
        show_logs(overlay.nodes)
        overlay.stop()


def found(node: TreecastNode, mac: MacAddress) -> Host | None:
    """A host as a node knows it."""
    return next((host for host in fetch_hosts(node.directory) if host.mac == str(mac)), None)


def wait_lives_at(net: Overlay, mac: MacAddress, name: str, *, duplicate: bool = False) -> None:
    """Waits until all nodes report that a host is at this node."""

    def agreed() -> bool:
        views = [found(node, mac) for node in net.nodes]
        return all(view is not None and view.node == name for view in views) and (
            not duplicate or any(view is not None and view.duplicate for view in views)
        )

    wait_until(agreed, LIMIT_S, f"all nodes know {mac} at {name}")


def lines_about(node: TreecastNode, mac: MacAddress) -> list[str]:
    return [line for line in node.log_tail().splitlines() if str(mac) in line]


def announce(node: TreecastNode, mac: MacAddress, address: str) -> None:
    """A host at this node's TAP says that it is there."""
    with arp_socket(node.machine, INTERFACE) as own:
        own.send(arp_request(mac, IPv4Address(address), IPv4Address(address)))


def solicitation(mac: MacAddress, source: str, target: str) -> bytes:
    options = () if source == "::" else (ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, mac),)
    destination = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(IPv6Address(target)) & 0xFFFFFF)
    return ndp.frame(
        ndp.NeighborSolicitation(IPv6Address(target), options),
        source_mac=mac,
        source=IPv6Address(source),
        destination_mac=ethernet.multicast_mac(destination),
        destination=destination,
    )


def marked(target: str) -> str:
    """An address that nobody has, of the same solicited-node group: a solicitation keeps its order among those."""
    return str(IPv6Address(int(IPv6Address("2001:db8:ffff::")) | int(IPv6Address(target)) & 0xFFFFFF))


def solicitations_until_mark(own: socket.socket, target: str) -> int:
    """Solicitations for a target that were heard before the mark."""
    seen = 0
    while True:
        frame = ethernet.parse(own.recv(FRAME_BYTES))
        if frame.ethertype == 0x86DD and ndp.is_ndp(packet := ipv6.parse(frame.payload)):
            message = ndp.parse(packet)
            asked = str(message.target) if isinstance(message, ndp.NeighborSolicitation) else ""
            if asked == marked(target):
                return seen
            seen += asked == target


def test_a_solicitation_for_a_known_host_crosses_not_at_all_and_duplicate_detection_does(net: Overlay) -> None:
    asker, *others = net.nodes
    target = others[0].ipv6
    with ExitStack() as stack:
        heard = [stack.enter_context(arp_socket(node.machine, INTERFACE)) for node in others]
        asking = stack.enter_context(arp_socket(asker.machine, INTERFACE))
        mac = MacAddress(asking.getsockname()[4])
        for source, copies in ((asker.ipv6, 0), ("::", 5)):
            for asked in paced([*[target] * 5, marked(target)], 0.02):
                asking.send(solicitation(mac, source, asked))
            assert [solicitations_until_mark(own, target) for own in heard] == [copies, copies]


def test_the_kernel_resolves_a_known_neighbour_without_a_frame_to_the_others(net: Overlay) -> None:
    before = fetch_status(net[0].directory).counters
    for address in (net[2].ipv4, net[2].ipv6):
        net[0].machine.run(["ip", "neigh", "flush", "dev", INTERFACE])
        net[0].machine.run(["ping", "-c", "1", "-W", "2", address])
    after = fetch_status(net[0].directory).counters
    assert after["solicitations_proxied"] - before["solicitations_proxied"] >= 2
    assert after["solicitations_flooded"] == before["solicitations_flooded"]


def test_a_host_that_moves_is_followed_by_all_and_ping_pong_is_damped_and_shown(net: Overlay) -> None:
    announce(net[1], HOST, "10.77.9.1")
    wait_lives_at(net, HOST, "n1")
    announce(net[2], HOST, "10.77.9.1")
    wait_lives_at(net, HOST, "n2")
    here, moved = found(net[2], HOST), found(net[0], HOST)
    assert here is not None
    assert moved is not None
    assert here.moves == 1  # a third node may learn of the end of the one claim before the other
    assert (moved.ip, moved.port, moved.duplicate) == (["10.77.9.1"], None, False)
    for node in (net[1], net[2], net[1], net[2]):
        announce(node, HOST, "10.77.9.1")
        wait_lives_at(net, HOST, node.name)
    announce(net[1], HOST, "10.77.9.1")
    wait_until(lambda: fetch_status(net[1].directory).drops.get("host_duplicate", 0) > 0, LIMIT_S, "it is refused")
    wait_lives_at(net, HOST, "n2", duplicate=True)
    assert fetch_status(net[1].directory).counters["host_duplicates"] == 1
    lines = wait_until(lambda: lines_about(net[1], HOST), LIMIT_S, "it is logged")
    assert ["problem=host_duplicate" in line for line in lines] == [True], "one fact, one line"


def dhcp_acknowledgement(client: MacAddress, address: str) -> bytes:
    """A server at the TAP gives a client its address (RFC 2131)."""
    bootp = b"\x02\x01\x06\x00" + bytes(12) + IPv4Address(address).packed + bytes(8) + client.packed + bytes(202)
    message = bootp + b"\x63\x82\x53\x63\x35\x01\x05\xff"
    udp = bytes((0, 67, 0, 68)) + (8 + len(message)).to_bytes(2, "big") + bytes(2) + message
    packet = Ipv4Packet(IPv4Address("10.77.9.254"), IPv4Address("255.255.255.255"), 17, 64, udp)
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, SERVER, EtherType.IPV4, ipv4.emit(packet)))


def test_a_bare_source_is_a_host_and_a_dhcp_server_s_word_gives_it_its_address(net: Overlay) -> None:
    datagram = Ipv4Packet(IPv4Address("10.77.9.9"), IPv4Address("255.255.255.255"), 17, 64, bytes(8))
    bare = EthernetFrame(BROADCAST_MAC, CLIENT, EtherType.IPV4, ipv4.emit(datagram), VlanTag(7))
    with arp_socket(net[1].machine, INTERFACE) as own:
        own.send(ethernet.emit(bare))
        own.send(ethernet.emit(replace(bare, vlan=None)))
        wait_lives_at(net, CLIENT, "n1")
        vlans = {host.vlan: host.ip for host in fetch_hosts(net[1].directory) if host.mac == str(CLIENT)}
        assert vlans == {0: [], 7: []}
        own.send(dhcp_acknowledgement(CLIENT, "10.77.9.7"))

    def has_its_address() -> bool:
        rows = [host for host in fetch_hosts(net[0].directory) if host.mac == str(CLIENT) and host.vlan == 0]
        return [host.ip for host in rows] == [["10.77.9.7"]]

    wait_until(has_its_address, LIMIT_S, "the client has its address")


def test_two_hosts_with_one_address_are_shown_as_a_conflict(net: Overlay) -> None:
    first, second = CONFLICTING
    for who in (first, second, first):
        announce(net[0], who, "10.77.9.3")
    wait_until(
        lambda: (view := found(net[0], first)) is not None and view.conflicts == [str(second)], LIMIT_S, "a conflict"
    )
    assert fetch_status(net[0].directory).counters["address_conflicts"] == 1
