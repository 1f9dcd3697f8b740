"""DSCP and ECN through the overlay and from the underlay (RFC 6040); nftables plays the congested router."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial

import pytest

from lab.planes import LIMIT_S, DataPlane, DataPlanes, ipv4, ipv6
from lab.waiting import wait_until
from treecast.base.commands import FloodFrame

EF = 0xB8  # DSCP 46
ECT_0, ECT_1, CE = 2, 1, 3
PORT = 5050
BURST = 300
SO_RCVBUFFORCE = 33  # asm-generic/socket.h


@pytest.fixture(scope="module", params=[False, True], ids=["over IPv4", "over IPv6"])
def three(request: pytest.FixtureRequest) -> Iterator[DataPlanes]:
    with DataPlanes(3, ipv6_underlay=request.param) as planes:
        yield planes


def mark(plane: DataPlane, planes: DataPlanes, rule: str) -> None:
    """A rule for the datagrams that arrive; ``IP`` in it is ip or ip6. Empty: none."""
    plane.machine.run(["nft", "flush", "ruleset"])
    if rule:
        family = "ip6" if planes.ipv6_underlay else "ip"
        plane.machine.run(["nft", f"add table {family} underlay"])
        hook = "{ type filter hook prerouting priority -300; }"
        plane.machine.run(["nft", f"add chain {family} underlay arriving {hook}"])
        plane.machine.run(["nft", f"add rule {family} underlay arriving udp dport 7700 {rule.replace('IP', family)}"])


def listener(plane: DataPlane, family: socket.AddressFamily, group: str = "") -> socket.socket:
    with plane.machine.enter():
        opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.settimeout(LIMIT_S)
    if family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        opened.bind(("", PORT))
        if group:
            join = socket.inet_aton(group) + socket.inet_aton(ipv4(plane.node))
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        opened.bind(("::", PORT))
    return opened


def sender(plane: DataPlane, family: socket.AddressFamily, traffic_class: int) -> socket.socket:
    with plane.machine.enter():
        opened = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ipv4(plane.node)))
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)
    return opened


def heard(opened: socket.socket) -> tuple[bytes, int]:
    """A datagram and the traffic class of its packet."""
    data, control, _, _ = opened.recvmsg(2000, 64)
    ((_, _, value),) = control
    return data, value[0]


FAMILIES = (socket.AF_INET, socket.AF_INET6)


def has_dropped(plane: DataPlane, count: int) -> bool:
    return plane.forwarder.drops()["ecn_not_capable"] >= count


def arrives(planes: DataPlanes, sent: int, expected: int | None, size_bytes: int = 100) -> None:
    """A datagram goes from the first node to the second, over both families. None: it is dropped."""
    one, other = planes.planes[:2]
    drops = other.forwarder.drops()["ecn_not_capable"]
    for number, family in enumerate(FAMILIES, start=1):
        address = ipv4(other.node) if family == socket.AF_INET else ipv6(other.node)
        with listener(other, family) as here, sender(one, family, sent) as there:
            there.sendto(bytes(size_bytes), (address, PORT))
            if expected is None:
                wait_until(partial(has_dropped, other, drops + number), LIMIT_S, "dropped")
            else:
                assert heard(here) == (bytes(size_bytes), expected)


def test_a_datagram_has_the_class_of_its_frame_and_the_frame_keeps_it(three: DataPlanes) -> None:
    one, other = three.planes[:2]
    family = "ip6" if three.ipv6_underlay else "ip"
    mark(other, three, "IP dscp ef IP ecn ect0 counter")
    arrives(three, EF | ECT_0, EF | ECT_0)
    arrives(three, EF | ECT_0, EF | ECT_0, size_bytes=1340)
    shown = other.machine.run(["nft", "list", "chain", family, "underlay", "arriving"]).stdout
    assert int(shown.split("packets ")[1].split()[0]) >= 2 * len(FAMILIES)
    mark(other, three, "IP dscp set cs1")
    arrives(three, EF | ECT_1, EF | ECT_1)  # the DSCP of the underlay is the underlay's
    mark(other, three, "")
    assert one.forwarder.drops()["ecn_not_capable"] == 0


def test_a_datagram_of_what_python_floods_has_its_class(three: DataPlanes) -> None:
    one, other = three.planes[:2]
    family = "ip6" if three.ipv6_underlay else "ip"
    three.tree(one, 0, [other])
    mark(other, three, "IP dscp ef IP ecn ect0 counter")
    packet = bytes([0x45, EF | ECT_0, 0, 20, 0, 0, 0, 0, 1, 253, 0, 0]) + bytes(8)
    frame = b"\xff" * 6 + bytes.fromhex("0254000000010800") + packet
    with other.listen_raw(0x0800) as here:
        one.do(FloodFrame(0, frame))
        assert here.recv(2000) == frame
    shown = other.machine.run(["nft", "list", "chain", family, "underlay", "arriving"]).stdout
    assert int(shown.split("packets ")[1].split()[0]) == 1
    mark(other, three, "")


def test_marked_congestion_goes_over_to_capable_frames_and_drops_the_others(three: DataPlanes) -> None:
    mark(three[1], three, "IP ecn set ce")
    arrives(three, EF | ECT_0, EF | CE)
    arrives(three, ECT_1, CE)
    arrives(three, CE, CE)
    arrives(three, EF, None)
    mark(three[1], three, "IP ecn set ect1")
    arrives(three, ECT_0, ECT_1)
    arrives(three, EF, EF)
    mark(three[1], three, "")


def test_congestion_before_a_relay_reaches_those_behind_it(three: DataPlanes) -> None:
    root, relay, leaf = three.planes
    three.relay_tree(root, 8, relay, [leaf], group="239.1.1.8")
    mark(relay, three, "IP ecn != not-ect IP ecn set ce")
    with listener(leaf, socket.AF_INET, "239.1.1.8") as here, sender(root, socket.AF_INET, EF | ECT_0) as there:
        there.sendto(b"marked on the first hop", ("239.1.1.8", PORT))
        assert heard(here) == (b"marked on the first hop", EF | CE)
    mark(relay, three, "")


def test_classes_that_alternate_in_one_burst_are_not_mixed_up(three: DataPlanes) -> None:
    """Equal datagrams of one destination would leave as one run; what is joined on delivery has equal bits."""
    one, other = three.planes[:2]
    classes = (0, EF | ECT_0, EF | ECT_1)
    with listener(other, socket.AF_INET) as here, sender(one, socket.AF_INET, 0) as there:
        here.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        sent = []
        for number in range(BURST):
            traffic_class = classes[number // 3 % 3]
            data = number.to_bytes(2, "big") + bytes(998)
            there.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)
            there.sendto(data, (ipv4(other.node), PORT))
            sent.append((data, traffic_class))
        assert [heard(here) for _ in sent] == sent
