"""Super-frames through two forwarders: the kernels at both ends are the judges.

n0 sends to n1 (``lab/planes.py`` has the picture), with the TAPs' segmentation offload on or off at
either end: what arrives is what was sent, in order.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lab.planes import INTERFACE, MTU, DataPlanes
from tests.lab.offload.bursts import (
    FAMILIES,
    GROUPS,
    burst,
    read_datagrams,
    send_super_frames,
    transfer_digests,
    udp_receiver,
    udp_sender,
    unicast,
)

STREAM_BYTES = 24_000_000
TREE = 7
REFUSALS = {"vnet_malformed", "gso_unsupported", "gso_malformed", "tap_other", "too_big", "inner_malformed"}


@pytest.fixture(scope="module")
def planes() -> Iterator[DataPlanes]:
    """n0 and n1; both groups go from n0 to n1. At the end, no test's frames were refused by anybody."""
    with DataPlanes(2) as own:
        own.tree(own[0], TREE, [own[1]], group=GROUPS[socket.AF_INET])
        own.tree(own[0], TREE + 1, [own[1]], group=GROUPS[socket.AF_INET6])
        yield own
        for plane in own.planes:
            assert {name: count for name, count in plane.forwarder.drops().items() if name in REFUSALS and count} == {}


@pytest.fixture(params=["both", "sender", "receiver", "neither"])
def offloaded(request: pytest.FixtureRequest, planes: DataPlanes) -> None:
    """Which TAPs segment and coalesce."""
    ends = {"both": (True, True), "sender": (True, False), "receiver": (False, True), "neither": (False, False)}
    for plane, on in zip(planes.planes, ends[request.param], strict=True):
        plane.machine.offload(on, INTERFACE)


@pytest.mark.usefixtures("offloaded")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tcp_stream_arrives_as_it_was_sent(planes: DataPlanes, family: socket.AddressFamily) -> None:
    sent, arrived = transfer_digests(planes[0].machine, planes[1].machine, family, 2, STREAM_BYTES)
    assert arrived == sent


@pytest.mark.usefixtures("offloaded")
@pytest.mark.parametrize("size", [1, 101, 1200, MTU - 48])
@pytest.mark.parametrize("multicast", [False, True], ids=["unicast", "multicast"])
@pytest.mark.parametrize("family", FAMILIES)
def test_bursts_arrive_complete_and_in_order(
    planes: DataPlanes, family: socket.AddressFamily, multicast: bool, size: int
) -> None:
    datagrams = burst(1000, size)
    group = GROUPS[family] if multicast else None
    destination = (group, unicast(family, 2)[1]) if group else unicast(family, 2)
    with (
        udp_receiver(planes[1].machine, family, group=group) as receiver,
        udp_sender(planes[0].machine, family) as sender,
    ):
        send_super_frames(sender, destination, datagrams)
        assert read_datagrams(receiver, len(datagrams)).datagrams == datagrams


@pytest.mark.parametrize("family", FAMILIES)
def test_a_super_frame_is_delivered_as_a_super_frame(planes: DataPlanes, family: socket.AddressFamily) -> None:
    for plane in planes.planes:
        plane.machine.offload(True, INTERFACE)
    datagrams = burst(4000, 1200)
    with (
        udp_receiver(planes[1].machine, family, super_frames=True) as receiver,
        udp_sender(planes[0].machine, family) as sender,
    ):
        send_super_frames(sender, unicast(family, 2), datagrams)
        read = read_datagrams(receiver, len(datagrams))
    assert read.datagrams == datagrams
    # The bursts' mean length is 22; some may meet in one batch, or be split between two.
    assert len(read.datagrams) / len(read.held) > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_last_datagrams_of_any_length_end_a_super_frame(planes: DataPlanes, family: socket.AddressFamily) -> None:
    datagrams = [datagram[: 1000 if number % 9 else 1 + number] for number, datagram in enumerate(burst(900, 1000))]
    with (
        udp_receiver(planes[1].machine, family) as receiver,
        udp_sender(planes[0].machine, family) as sender,
    ):
        for datagram in datagrams:
            sender.sendto(datagram, unicast(family, 2))
        assert read_datagrams(receiver, len(datagrams)).datagrams == datagrams


def test_datagrams_that_ip_fragments_arrive_whole(planes: DataPlanes) -> None:
    datagrams = burst(200, 5000)
    with (
        udp_receiver(planes[1].machine, socket.AF_INET) as receiver,
        udp_sender(planes[0].machine, socket.AF_INET) as sender,
    ):
        for datagram in datagrams:
            sender.sendto(datagram, unicast(socket.AF_INET, 2))
        assert read_datagrams(receiver, len(datagrams)).datagrams == datagrams
