"""Frames of LANs with an MTU of 1500, over an underlay with the same: each goes in two datagrams."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlane, DataPlanes, ipv4, ipv6
from lab.waiting import wait_until
from treecast.base.commands import FloodFrame, SetTreeMembers
from treecast.base.ids import BROADCAST_STREAM, NodeIndex, StreamId

GROUP = "239.1.1.1"
COUNT = 2000
FRAGMENT_REASONS = ("fragment_malformed", "fragment_duplicate", "fragment_table_full", "fragment_timeout")


@pytest.fixture(scope="module")
def three() -> Iterator[DataPlanes]:
    with DataPlanes(3) as planes:
        for plane in planes.planes:
            plane.machine.run(["ip", "link", "set", INTERFACE, "mtu", "1500"])
        yield planes


def fragment_drops(plane: DataPlane) -> dict[str, int]:
    drops = plane.forwarder.drops()
    return {reason: drops[reason] for reason in FRAGMENT_REASONS if drops[reason]}


def test_pings_of_all_sizes_around_the_limits(three: DataPlanes) -> None:
    for size in (1346, 1347, 1370, 1371, 1372, 1380, 1400, 1471, 1472):
        three[0].machine.run(["ping", "-c2", "-i0.02", "-W2", "-Mdo", "-s", str(size), ipv4(2)])
    three[1].machine.run(["ping", "-c3", "-i0.02", "-W2", "-Mdo", "-s", "1452", ipv6(3)])
    assert [fragment_drops(plane) for plane in three.planes] == [{}, {}, {}]


def test_tcp_s_super_frames_arrive_unchanged(three: DataPlanes) -> None:
    payload = bytes(range(256)) * 32768
    for family, address in ((socket.AF_INET, ipv4(2)), (socket.AF_INET6, ipv6(2))):
        with three[1].machine.enter():
            listener = socket.create_server((address, 5001), family=family)
        with three[0].machine.enter():
            client = socket.create_connection((address, 5001), timeout=LIMIT_S)
        server, _ = listener.accept()
        with listener, client, server:
            client.settimeout(LIMIT_S)
            server.settimeout(LIMIT_S)
            got = bytearray()
            for start in range(0, len(payload), 1 << 17):
                client.sendall(payload[start : start + (1 << 17)])
                while len(got) < min(start + (1 << 17), len(payload)):
                    got += server.recv(1 << 20)
            assert bytes(got) == payload
    assert fragment_drops(three[1]) == {}


def test_multicast_reaches_next_hops_and_those_with_copies(three: DataPlanes) -> None:
    three.tree(three[0], 5, [three[1]], group=GROUP)
    three[0].do(SetTreeMembers(StreamId(5), (NodeIndex(2),), (NodeIndex(3),)))
    receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in three.planes[1:]]
    sent = Sender(three[0].machine, GROUP, 5000, interface=INTERFACE, size_bytes=1472, rate_pps=3000, count=COUNT).wait(
        20
    )
    assert sent.sent == COUNT
    wait_until(lambda: all(one.snapshot().received >= COUNT for one in receivers), LIMIT_S, "all received")
    got = [receiver.stop() for receiver in receivers]
    assert [(one.received, one.duplicated + one.reordered + one.lost) for one in got] == [(COUNT, 0)] * 2


def test_what_python_floods_may_be_as_long(three: DataPlanes) -> None:
    three.tree(three[0], 0, [three[1]])
    three[0].do(SetTreeMembers(BROADCAST_STREAM, (NodeIndex(2),), (NodeIndex(3),)))
    frame = b"\xff" * 6 + bytes.fromhex("02540000000188b6") + bytes(range(250)) * 6
    with three[1].listen_raw(0x88B6) as one, three[2].listen_raw(0x88B6) as other:
        three[0].do(FloodFrame(0, frame))
        assert [one.recv(2000), other.recv(2000)] == [frame, frame]


def test_a_lost_part_loses_its_frame_alone_and_is_counted(three: DataPlanes) -> None:
    three.tree(three[0], 8, [three[1]], group="239.1.1.8")
    receiver = Receiver(three[1].machine, "239.1.1.8", 5000, interface=INTERFACE)
    for plane in three.planes:
        plane.machine.offload(False)  # or both parts would be lost together
    three.lab.loss(three[1].machine, 20)
    sender = Sender(three[0].machine, "239.1.1.8", 5000, interface=INTERFACE, size_bytes=1472, rate_pps=500, count=500)
    sender.wait(20)
    three.lab.loss(three[1].machine, 0)

    def given_up() -> int:
        drops: dict[str, int] = three[1].forwarder.drops()
        return drops["fragment_timeout"] + drops["fragment_table_full"]

    # Both parts lost: 4 %. One: 32 %.
    wait_until(lambda: given_up() >= 80, LIMIT_S, "frames given up")
    got = receiver.stop()
    assert 200 < got.received < 450
    assert got.duplicated == got.reordered == 0
    assert three[1].forwarder.drops()["fragment_malformed"] == 0
