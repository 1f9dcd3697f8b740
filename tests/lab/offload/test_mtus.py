"""MTUs from 1280 to 9000, of the TAP and of the underlay: the kernels at both ends say whether the same bytes arrive.

Where a frame does not fit the underlay it goes in parts: in two from 1280 to 1280, in eight from 9000 to 1280.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lab.planes import INTERFACE, DataPlanes
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

STREAM_BYTES = 6_000_000
BURST_BYTES = 1_500_000
REFUSALS = ("fragment_", "socket_too_big", "too_big", "tap_other", "gso_", "vnet_malformed", "inner_malformed")


@pytest.fixture(scope="module", params=[(1280, 1280), (1280, 9000), (1500, 9000), (9000, 8874), (9000, 9000)])
def planes(request: pytest.FixtureRequest) -> Iterator[DataPlanes]:
    """n0 and n1, over IPv6; both groups go from n0 to n1. At the end, no test's frames were refused by anybody."""
    underlay, mtu = request.param
    with DataPlanes(2, mtu_bytes=mtu, underlay_mtu_bytes=underlay, ipv6_underlay=True) as own:
        for number, group in enumerate(GROUPS.values()):
            own.tree(own[0], 5 + number, [own[1]], group=group)
        yield own
        for plane in own.planes:
            drops = plane.forwarder.drops()
            assert {reason: count for reason, count in drops.items() if count and reason.startswith(REFUSALS)} == {}


@pytest.fixture(params=["both", "TAP", "underlay", "neither"])
def offloaded(request: pytest.FixtureRequest, planes: DataPlanes) -> None:
    """Whether the TAPs segment and coalesce, and the underlay carries runs."""
    for plane in planes.planes:
        plane.machine.offload(request.param in ("both", "TAP"), INTERFACE)
        plane.machine.offload(request.param in ("both", "underlay"))


@pytest.mark.usefixtures("offloaded")
@pytest.mark.parametrize("family", FAMILIES)
def test_streams_and_bursts_arrive_as_they_were_sent(planes: DataPlanes, family: socket.AddressFamily) -> None:
    one, other = (plane.machine for plane in planes.planes)
    protocols = ("Tcp", "Udp", "Udp6")
    errors = [checksum_errors(other, protocol) for protocol in protocols]
    sent, arrived = transfer_digests(one, other, family, 2, STREAM_BYTES)
    assert arrived == sent
    headers = 28 if family == socket.AF_INET else 48
    for size in (1153, planes.mtu_bytes // 2 + 1, planes.mtu_bytes - headers):
        datagrams = burst(BURST_BYTES // size, size)
        for group in (None, GROUPS[family]):
            destination = (group, unicast(family, 2)[1]) if group else unicast(family, 2)
            with udp_receiver(other, family, group=group) as receiver, udp_sender(one, family) as sender:
                send_super_frames(sender, destination, datagrams)
                assert read_datagrams(receiver, len(datagrams)).datagrams == datagrams
    assert [checksum_errors(other, protocol) for protocol in protocols] == errors
