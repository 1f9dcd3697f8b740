"""Frames of real kernels through two and more forwarders: unicast, multicast, broadcast, relays."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlane, DataPlanes, ipv4, ipv6, mac
from lab.waiting import wait_until
from treecast.base.commands import FloodFrame, Inject, SetTreeMembers
from treecast.base.events import TapFrame
from treecast.base.ids import NodeIndex, StreamId

GROUP = "239.1.1.1"
GROUP6 = "ff15::101"
COUNT = 2000


@pytest.fixture(scope="module")
def three() -> Iterator[DataPlanes]:
    with DataPlanes(3) as planes:
        yield planes


def ping(plane: DataPlane, address: str, *options: str) -> None:
    plane.machine.run(["ping", "-c3", "-i0.02", "-W2", *options, address])


def has_received(receiver: Receiver, count: int) -> bool:
    return receiver.snapshot().received >= count


def has_round_trips(plane: DataPlane) -> bool:
    return all(session.rtt_ms for session in plane.forwarder.sessions())


def send_to_group(plane: DataPlane, receivers: list[Receiver], group: str, rate_pps: int = 5000) -> list[int]:
    """Sends COUNT datagrams; how many each receiver has got."""
    sender = Sender(plane.machine, group, 5000, interface=INTERFACE, rate_pps=rate_pps, count=COUNT)
    sent = sender.wait(20)
    assert sent.sent == COUNT
    wait_until(lambda: all(receiver.snapshot().received >= COUNT for receiver in receivers), LIMIT_S, "all received")
    got = [receiver.stop() for receiver in receivers]
    assert [one.duplicated + one.reordered + one.lost for one in got] == [0] * len(got)
    return [one.received for one in got]


def test_hosts_ping_each_other_with_both_families(three: DataPlanes) -> None:
    ping(three[0], ipv4(2))
    ping(three[0], ipv6(3))
    ping(three[2], ipv4(2), "-s", "1346")  # a full overlay MTU


def test_a_frame_above_9018_bytes_is_dropped_by_its_name(three: DataPlanes) -> None:
    before = three[0].forwarder.drops()["too_big"]
    frame = bytes.fromhex("02540000000202540000000108004500") + bytes(9003)
    with three[0].machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        three[0].machine.run(["ip", "link", "set", INTERFACE, "mtu", "9500"])
        raw.bind((INTERFACE, 0))
        raw.send(frame)
        three[0].machine.run(["ip", "link", "set", INTERFACE, "mtu", "1374"])
    wait_until(lambda: three[0].forwarder.drops()["too_big"] == before + 1, LIMIT_S, "too_big")


def test_tcp_carries_bytes_unchanged_over_ipv4_and_ipv6(three: DataPlanes) -> None:
    payload = bytes(range(256)) * 8192
    for family, address in ((socket.AF_INET, ipv4(2)), (socket.AF_INET6, ipv6(2))):
        with three[1].machine.enter():
            listener = socket.create_server((address, 5001), family=family)
        with three[0].machine.enter():
            client = socket.create_connection((address, 5001), timeout=LIMIT_S)
        server, _ = listener.accept()
        server.settimeout(LIMIT_S)
        with listener, client, server:
            got = bytearray()
            client.settimeout(LIMIT_S)
            for start in range(0, len(payload), 1 << 17):
                client.sendall(payload[start : start + (1 << 17)])
                while len(got) < min(start + (1 << 17), len(payload)):
                    got += server.recv(1 << 20)
            assert bytes(got) == payload


def test_multicast_reaches_each_next_hop_once(three: DataPlanes) -> None:
    three.tree(three[0], 5, three.planes[1:], group=GROUP)
    receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in three.planes[1:]]
    assert send_to_group(three[0], receivers, GROUP) == [COUNT, COUNT]
    route = three[0].forwarder.routes()[0]
    assert (route.vlan, route.group, route.source) == (0, socket.inet_aton(GROUP), None)
    assert route.tx_packets >= COUNT
    tree = next(tree for tree in three[1].forwarder.streams() if tree.stream == 5)
    assert tree.rx_packets == route.tx_packets


def test_ipv6_multicast_reaches_each_next_hop_once(three: DataPlanes) -> None:
    three.tree(three[0], 6, three.planes[1:], group=GROUP6)
    receivers = [Receiver(plane.machine, GROUP6, 5000, interface=INTERFACE) for plane in three.planes[1:]]
    assert send_to_group(three[0], receivers, GROUP6) == [COUNT, COUNT]


def test_a_moved_member_loses_and_doubles_nothing(three: DataPlanes) -> None:
    """The member moves from session-sealed copies to the tree and back, while the stream runs."""
    root, one = three[0], three[1]
    three.tree(root, 7, [one], group="239.1.1.7")
    receiver = Receiver(one.machine, "239.1.1.7", 5000, interface=INTERFACE)
    sender = Sender(root.machine, "239.1.1.7", 5000, interface=INTERFACE, rate_pps=2000, duration_s=2)
    for number in range(20):
        wait_until(partial(has_received, receiver, 150 * (number + 1)), LIMIT_S, "the stream")
        on_tree = number % 2 == 0
        member = (NodeIndex(one.node),)
        root.do(SetTreeMembers(StreamId(7), () if on_tree else member, member if on_tree else ()))
    sent = sender.wait(20).sent
    wait_until(lambda: receiver.snapshot().received >= sent, LIMIT_S, "all received")
    got = receiver.stop()
    assert (got.received, got.lost, got.duplicated) == (sent, 0, 0)


def test_a_relay_passes_on_without_opening(three: DataPlanes) -> None:
    """n0 -> n1 (relay, no delivery) -> n2."""
    root, relay, leaf = three.planes
    three.relay_tree(root, 8, relay, [leaf], group="239.1.1.8")
    before = relay.forwarder.counters()
    receiver = Receiver(leaf.machine, "239.1.1.8", 5000, interface=INTERFACE)
    silent = Receiver(relay.machine, "239.1.1.8", 5000, interface=INTERFACE)
    assert send_to_group(root, [receiver], "239.1.1.8", rate_pps=100_000) == [COUNT]  # too fast for one at a time
    assert silent.stop().received == 0
    after = relay.forwarder.counters()
    assert after["frames_relayed"] - before["frames_relayed"] >= COUNT
    assert after["udp_sends"] - before["udp_sends"] < COUNT  # whole runs from the receive buffer


def test_a_relay_that_delivers_does_both(three: DataPlanes) -> None:
    root, relay, leaf = three.planes
    three.relay_tree(root, 9, relay, [leaf], group="239.1.1.9", relay_delivers=True)
    receivers = [Receiver(plane.machine, "239.1.1.9", 5000, interface=INTERFACE) for plane in (relay, leaf)]
    assert send_to_group(root, receivers, "239.1.1.9") == [COUNT, COUNT]


def test_a_relay_sends_broadcast_on_in_its_own_sessions(three: DataPlanes) -> None:
    root, relay, leaf = three.planes
    three.relay_tree(root, 0, relay, [leaf], group="239.1.1.10", relay_delivers=True)
    head = b"\xff" * 6 + mac(root.node) + bytes.fromhex("88b6")
    frames = [head + bytes(60), head + bytes(range(250)) * 6]  # the second goes in parts
    before = relay.forwarder.counters()
    with relay.listen_raw(0x88B6) as near, leaf.listen_raw(0x88B6) as far:
        for frame in frames:
            root.do(FloodFrame(0, frame))
            assert [ear.recv(2000) for ear in (near, far)] == [frame, frame]
    assert relay.forwarder.counters()["frames_relayed"] - before["frames_relayed"] == 3
    assert not any(plane.forwarder.drops()["tree_unwrapped"] for plane in three.planes)


def test_a_group_without_subscribers_is_dropped_at_the_root(three: DataPlanes) -> None:
    before = three[0].forwarder.drops()["no_subscriber"]
    sender = Sender(three[0].machine, "239.9.9.9", 5000, interface=INTERFACE, rate_pps=1000, count=100)
    assert sender.wait(10).sent == 100
    wait_until(lambda: three[0].forwarder.drops()["no_subscriber"] == before + 100, LIMIT_S, "no_subscriber")


def test_broadcast_and_link_local_groups_reach_all_nodes(three: DataPlanes) -> None:
    three.tree(three[0], 0, three.planes[1:])
    for address in ("224.0.0.251", "10.9.0.255"):
        receivers = []
        for plane in three.planes[1:]:
            with plane.machine.enter():
                receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.settimeout(LIMIT_S)
            receiver.bind(("", 5353))
            if address.startswith("224"):
                join = socket.inet_aton(address) + socket.inet_aton(ipv4(plane.node))
                receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
            receivers.append(receiver)
        with three[0].machine.enter():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"to all", (address, 5353))
        assert [receiver.recv(100) for receiver in receivers] == [b"to all", b"to all"]
        for opened in (sender, *receivers):
            opened.close()


def test_flood_and_inject_reach_the_kernel(three: DataPlanes) -> None:
    three.tree(three[0], 0, three.planes[1:])
    frame = b"\xff" * 6 + bytes.fromhex("02540000000188b5") + b"hello".ljust(46, b"\0")
    with three[1].listen_raw(0x88B5) as one, three[2].listen_raw(0x88B5) as other:
        three[0].do(FloodFrame(0, frame))
        assert [one.recv(100), other.recv(100)] == [frame, frame]
        three[1].do(Inject(1, frame[:-1] + b"1"), Inject(0, frame))
        assert one.recv(100) == frame, "there is no port 1"


def test_igmp_and_arp_are_punted(three: DataPlanes) -> None:
    plane, group = three[1], socket.inet_aton("239.77.7.7")
    receiver = Receiver(plane.machine, "239.77.7.7", 5000, interface=INTERFACE)
    wait_until(lambda: any(group in frame.data for frame in plane.seen(TapFrame)), LIMIT_S, "the kernel's report")
    receiver.stop()
    target = socket.inet_aton("10.9.0.77")
    plane.machine.run(["ping", "-c1", "-W1", "10.9.0.77"], check=False)
    requests = partial(requests_for, plane, target)
    wait_until(requests, LIMIT_S, "the kernel's ARP request")


def requests_for(plane: DataPlane, target: bytes) -> list[TapFrame]:
    """ARP requests that were punted."""
    return [one for one in plane.seen(TapFrame) if one.data[12:14] == b"\x08\x06" and one.data[38:42] == target]


def test_probes_measure_round_trips(three: DataPlanes) -> None:
    for plane in three.planes:
        wait_until(partial(has_round_trips, plane), LIMIT_S, "rtt")
        for session in plane.forwarder.sessions():
            assert session.rtt_ms is not None
            assert 0 < session.rtt_ms / 1000 < time.monotonic() - three.began_at
            assert 0 <= session.silent_s < time.monotonic() - three.began_at
