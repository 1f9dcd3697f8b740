"""Checksums: what the receiving kernel completes is right, what a host got wrong stays wrong.

A host's kernel does not look at partial checksums that its own TAP brought. So one more machine stands behind n1, on
a bridge and a cable that neither segment nor sum: n1's kernel must cut up and complete what our super-frames claim, and
the host's kernel checks all of it::

      n0                      n1                                  host
     +--------------------+  +-----------------------------+   +---------------------+
     | tc0 10.9.0.1       |  | tc0 ----- br0 ----- v0 ===veth===== eth0 10.9.0.2     |
     |  Forwarder, node 1 |  |  Forwarder, node 2          |   |  (node 2's MAC)     |
     +---------||---------+  +---------||------------------+   +---------------------+
     +------------------switch-----------------------------+
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pyroute2 import IPRoute
from pyroute2.ethtool.ioctl import IoctlEthtool

from lab.machine import IFA_F_NODAD, Machine
from lab.planes import INTERFACE, MTU, DataPlanes, ipv4, ipv6, mac
from tests.lab.offload.bursts import (
    FAMILIES,
    GROUPS,
    burst,
    checksum_errors,
    read_datagrams,
    send_super_frames,
    transfer_digests,
    udp_receiver,
    udp_sender,
    unicast,
)
from tests.lab.offload.raw_frames import GSO_UDP_L4, packet_socket, read_udp, super_frame, udp_frame
from treecast.base.addresses import MacAddress
from treecast.base.commands import SetHost
from treecast.base.ids import NodeIndex

PROTOCOLS = {socket.AF_INET: "Udp", socket.AF_INET6: "Udp6"}
STREAM_BYTES = 12_000_000
LIMIT_S = 5.0
QUIET_S = 1.0  # long enough to say that nothing more comes
BRIDGED_MAC = "02:00:00:00:00:01"


@dataclass(frozen=True, slots=True)
class Bridged:
    """The picture above."""

    planes: DataPlanes
    host: Machine


@pytest.fixture(scope="module")
def bridged() -> Iterator[Bridged]:
    with DataPlanes(2) as planes:
        for number, group in enumerate(GROUPS.values()):
            planes.tree(planes[0], 7 + number, [planes[1]], group=group)
        host = planes.lab.machine("host")
        _bridge(planes[1].machine, host)
        _address(host)
        yield Bridged(planes, host)


@pytest.fixture(params=[True, False], ids=["host sums in its card", "host sums itself"])
def host(request: pytest.FixtureRequest, bridged: Bridged) -> Machine:
    """The cable to the host never sums; the host leaves sums to the cable, or makes them itself."""
    _set_summing(bridged.host, "eth0", on=request.param)
    return bridged.host


@pytest.fixture
def planes() -> Iterator[DataPlanes]:
    """n0 and n1 alone."""
    with DataPlanes(2) as own:
        yield own


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tcp_stream_passes_a_card_without_offload(bridged: Bridged, family: socket.AddressFamily) -> None:
    before = checksum_errors(bridged.host, "Tcp")
    sent, arrived = transfer_digests(bridged.planes[0].machine, bridged.host, family, 2, STREAM_BYTES)
    assert arrived == sent
    assert checksum_errors(bridged.host, "Tcp") == before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tcp_stream_from_behind_a_bridge_arrives(
    bridged: Bridged, host: Machine, family: socket.AddressFamily
) -> None:
    node = bridged.planes[0].machine
    before = checksum_errors(node, "Tcp")
    sent, arrived = transfer_digests(host, node, family, 1, STREAM_BYTES)
    assert arrived == sent
    assert checksum_errors(node, "Tcp") == before


@pytest.mark.parametrize("size", [101, 1200, MTU - 48])
@pytest.mark.parametrize("multicast", [False, True], ids=["unicast", "multicast"])
@pytest.mark.parametrize("family", FAMILIES)
def test_bursts_pass_a_card_without_offload(
    bridged: Bridged, family: socket.AddressFamily, multicast: bool, size: int
) -> None:
    datagrams = burst(1000, size)
    group = GROUPS[family] if multicast else None
    destination = (group, unicast(family, 2)[1]) if group else unicast(family, 2)
    before = checksum_errors(bridged.host, PROTOCOLS[family])
    with (
        udp_receiver(bridged.host, family, interface="eth0", group=group) as receiver,
        udp_sender(bridged.planes[0].machine, family) as sender,
    ):
        send_super_frames(sender, destination, datagrams)
        assert read_datagrams(receiver, len(datagrams)).datagrams == datagrams
    assert checksum_errors(bridged.host, PROTOCOLS[family]) == before


def test_wrong_checksums_of_a_host_stay_wrong_while_their_neighbours_are_joined(planes: DataPlanes) -> None:
    sent = burst(600, 1000)
    frames = [bytearray(udp_frame(datagram, number)) for number, datagram in enumerate(sent)]
    for frame in frames[5::10]:
        frame[500] ^= 0x10
    right = [datagram for number, datagram in enumerate(sent) if number % 10 != 5]
    with (
        udp_receiver(planes[1].machine, socket.AF_INET, super_frames=True) as receiver,
        packet_socket(planes[0].machine, vnet=False) as packets,
    ):
        for frame in frames:
            packets.send(frame)
        read = read_datagrams(receiver, len(right))
        assert read.datagrams == right
        assert read_datagrams(receiver, 1, QUIET_S).datagrams == []
    assert max(read.held) > 1
    assert checksum_errors(planes[1].machine, "Udp") == 60


def test_tagged_super_frames_keep_their_tag(planes: DataPlanes) -> None:
    payload = b"".join(burst(40, 1200))
    planes[0].do(SetHost(5, MacAddress(mac(2)), NodeIndex(2)))
    with (
        packet_socket(planes[1].machine, vnet=True) as reader,
        packet_socket(planes[0].machine, vnet=True) as sender,
    ):
        sender.send(super_frame(payload, 1200, vlan=5))
        captured = read_udp(reader, len(payload), LIMIT_S)
    assert b"".join(one.udp_payload for one in captured) == payload
    assert {(one.gso_type, one.gso_size, one.vlan) for one in captured} == {(GSO_UDP_L4, 1200, 5)}


def _bridge(node: Machine, host: Machine) -> None:
    """The node's TAP loses its addresses and MAC to the host's interface, on the same bridge."""
    with node.enter(), IPRoute() as netlink:
        tap = netlink.link_lookup(ifname=INTERFACE)[0]
        netlink.flush_addr(index=tap)
        netlink.link("set", index=tap, address=BRIDGED_MAC)
        netlink.link("add", ifname="br0", kind="bridge", br_mcast_snooping=0, br_stp_state=0, br_forward_delay=0)
        bridge = netlink.link_lookup(ifname="br0")[0]
        text = ":".join(f"{octet:02x}" for octet in mac(2))
        peer = {"ifname": "eth0", "net_ns_fd": host.namespace_fd, "mtu": MTU, "address": text}
        netlink.link("add", ifname="v0", kind="veth", peer=peer, mtu=MTU)
        for index in (tap, netlink.link_lookup(ifname="v0")[0]):
            netlink.link("set", index=index, master=bridge, state="up")
        netlink.link("set", index=bridge, mtu=MTU, state="up")
    _set_summing(node, "v0", on=False)


def _address(host: Machine) -> None:
    with host.enter(), IPRoute() as netlink:
        index = netlink.link_lookup(ifname="eth0")[0]
        netlink.link("set", index=index, state="up")
        netlink.addr("add", index=index, address=ipv4(2), prefixlen=24)
        netlink.addr("add", index=index, address=ipv6(2), prefixlen=64, flags=IFA_F_NODAD)
        text = ":".join(f"{octet:02x}" for octet in mac(1))
        for address in (ipv4(1), ipv6(1)):
            netlink.neigh("replace", dst=address, lladdr=text, ifindex=index, state=0x80)


def _set_summing(machine: Machine, interface: str, *, on: bool) -> None:
    """Switches checksums in the card, and with them all segmentation there, on or off."""
    machine.offload(on, interface)
    with machine.enter():
        ethtool = IoctlEthtool(interface)
        features = ethtool.get_features()
        features["tx-checksum-ip-generic"] = on
        ethtool.set_features(features)
        ethtool.close()
