"""A port's frames and events, on a real TAP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from lab.planes import INTERFACE, LIMIT_S, NETWORK, DataPlane, DataPlanes, ipv4, mac
from lab.waiting import wait_until
from treecast import _native
from treecast.adapters.native import apply
from treecast.base.commands import (
    FloodFrame,
    Inject,
    SetKeepLocal,
    SetPortForwarding,
    SetStormLimits,
    SetUnknownUnicastFlood,
)
from treecast.base.events import CommandRefusalReason, HandshakeDatagram, HostSeen, TapFrame
from treecast.base.keep_local import KeepLocal
from treecast.wire.beacon import BEACON_GROUP

BROADCAST = b"\xff" * 6
HOST = bytes.fromhex("020000000009")


@pytest.fixture(scope="module")
def two() -> Iterator[DataPlanes]:
    with DataPlanes(2) as planes:
        planes.tree(planes[0], 0, planes.planes[1:])
        yield planes


def send(plane: DataPlane, *frames: bytes) -> None:
    """Frames of a host leave by the TAP."""
    with plane.machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((INTERFACE, 0))
        for frame in frames:
            raw.send(frame)


def frame(
    payload: bytes,
    *,
    source: bytes = HOST,
    tag: bytes = b"",
    ethertype: bytes = b"\x88\xb6",
    destination: bytes = BROADCAST,
) -> bytes:
    return destination + source + tag + ethertype + payload.ljust(46, b"\0")


def udp(source_port: int) -> bytes:
    """A UDP datagram to 255.255.255.255, without checksums."""
    header = bytes.fromhex("450000200000000040110000") + b"\x0a\x09\x00\x01" + b"\xff" * 4
    return header + source_port.to_bytes(2, "big") + b"\x00\x44\x00\x0c\x00\x00" + b"dhcp"


def shown(plane: DataPlane, sent: bytes) -> bool:
    """Did Python get this frame?"""
    return any(event.data == sent for event in plane.seen(TapFrame))


def received(plane: DataPlane) -> int:
    return plane.forwarder.counters()["tap_tx_frames"]


def test_a_host_is_told_once_per_vlan(two: DataPlanes) -> None:
    send(two[0], *[frame(b"hello")] * 3, *[frame(b"hello", tag=b"\x81\x00\x00\x07")] * 3)

    def told() -> list[tuple[int, int]]:
        return [(event.port, event.vlan) for event in two[0].seen(HostSeen) if event.mac.packed == HOST]

    wait_until(lambda: sorted(told()) == [(0, 0), (0, 7)], LIMIT_S, "both")


def listen(plane: DataPlane) -> socket.socket:
    """Everything that the overlay delivers here."""
    with plane.machine.enter():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    raw.bind((INTERFACE, 0x0003))
    raw.settimeout(LIMIT_S)
    return raw


def heard_until(raw: socket.socket, last: bytes) -> list[bytes]:
    """All frames up to one that holds ``last``."""
    heard: list[bytes] = []
    with raw:
        while not heard or last not in heard[-1]:
            heard.append(raw.recv(2000))
    return heard


def test_beacons_are_shown_and_stay_here(two: DataPlanes) -> None:
    beacon = frame(b"beacon", source=mac(9), ethertype=b"\x88\xb5", destination=BEACON_GROUP.packed)
    raw = listen(two[1])
    send(two[0], beacon, frame(b"after it"))
    wait_until(lambda: shown(two[0], beacon), LIMIT_S, "beacon")
    assert not any(b"beacon" in data for data in heard_until(raw, b"after it"))
    assert not any(event.mac.packed == mac(9) for event in two[0].seen(HostSeen))


def test_a_server_s_dhcp_is_shown_and_forwarded(two: DataPlanes) -> None:
    reply = frame(udp(67), ethertype=b"\x08\x00", tag=b"\x81\x00\x00\x07")
    raw = listen(two[1])
    send(two[0], reply)
    wait_until(lambda: shown(two[0], reply), LIMIT_S, "shown")
    heard_until(raw, b"dhcp")


ALL_NODES = IPv6Address("ff02::1").packed
ROUTER_ADVERTISEMENT = bytes.fromhex("600000000010 3aff") + IPv6Address("fe80::1").packed + ALL_NODES + b"\x86\0ra"


@pytest.mark.parametrize("number", [0, 1], ids=["where-it-is-said", "where-it-would-be-heard"])
def test_what_a_site_says_to_its_own_hosts_stays_there_while_it_is_kept(two: DataPlanes, number: int) -> None:
    keeper = two[number].forwarder
    reply = frame(udp(67), ethertype=b"\x08\x00", tag=b"\x81\x00\x00\x07")
    router = b"\x33\x33\0\0\0\x01" + HOST + b"\x86\xdd" + ROUTER_ADVERTISEMENT.ljust(56, b"\0")
    before = keeper.drops()
    for kept in (True, False):
        two[number].do(SetKeepLocal(0, KeepLocal(ra=kept, dhcp=kept)))
        raw = listen(two[1])
        send(two[0], reply)
        two[0].do(FloodFrame(0, router))
        wait_until(lambda: shown(two[0], reply), LIMIT_S, "Python sees it either way")
        send(two[0], frame(b"after it"))
        heard = heard_until(raw, b"after it")
        crossed = {word for word in (b"dhcp", b"\x86\0ra") if any(word in data for data in heard)}
        assert crossed == (set() if kept else {b"dhcp", b"\x86\0ra"})
        for reason in ("kept_local_ra", "kept_local_dhcp"):
            assert keeper.drops()[reason] == before[reason] + 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_blocked_port_drops_both_ways_and_goes_on_punting_and_injecting(two: DataPlanes, number: int) -> None:
    blocked = two[number]
    two[0].machine.run(["ping", "-c1", "-W2", ipv4(2)])
    before = blocked.forwarder.drops()["port_blocked"]
    blocked.do(SetPortForwarding(0, on=False))
    two[0].machine.run(["ping", "-c1", "-W1", ipv4(2)], check=False)
    wait_until(lambda: blocked.forwarder.drops()["port_blocked"] > before, LIMIT_S, "port_blocked")
    beacon = frame(b"beacon of a blocked port", ethertype=b"\x88\xb5", destination=BEACON_GROUP.packed)
    send(blocked, beacon)
    wait_until(lambda: shown(blocked, beacon), LIMIT_S, "beacon")
    injected = received(blocked)
    blocked.do(Inject(0, beacon))
    assert received(blocked) > injected
    blocked.do(SetPortForwarding(0, on=True))
    two[0].machine.run(["ping", "-c1", "-W2", ipv4(2)])


def test_storms_are_cut_and_unknown_unicast_is_flooded_where_asked(two: DataPlanes) -> None:
    forwarder = two[0].forwarder
    unknown = bytes.fromhex("02000000aaaa") + frame(b"who")[6:]
    before = forwarder.drops()
    send(two[0], unknown)
    wait_until(lambda: forwarder.drops()["unknown_unicast"] == before["unknown_unicast"] + 1, LIMIT_S, "dropped")
    two[0].do(SetUnknownUnicastFlood(0, on=True), SetStormLimits(0, 1, None, 1))
    delivered = received(two[1])
    send(two[0], *[unknown] * 50, *[frame(b"storm")] * 50)
    wait_until(lambda: forwarder.drops()["storm_broadcast"] >= before["storm_broadcast"] + 40, LIMIT_S, "broadcast")
    assert forwarder.drops()["storm_unknown_unicast"] >= before["storm_unknown_unicast"] + 40
    wait_until(lambda: received(two[1]) >= delivered + 2, LIMIT_S, "one of each")
    two[0].do(SetStormLimits(0, None, None, None), SetUnknownUnicastFlood(0, on=False))


def test_there_is_no_other_port(two: DataPlanes) -> None:
    (refused,) = apply(two[0].forwarder, [SetPortForwarding(1, on=True)])
    assert (refused.reason, str(refused.error)) == (CommandRefusalReason.INVALID, "no such port")


def test_a_handshake_that_would_run_over_the_overlay_stays_outside(two: DataPlanes) -> None:
    init = _native.Handshake.initiate(two[0].key, NETWORK, 999).init_datagram()
    before, heard = two[0].forwarder.drops()["recursive_encapsulation"], len(two[1].seen(HandshakeDatagram))
    with two[0].machine.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with own:
            own.bind((ipv4(1), 7701))
            own.sendto(init, (ipv4(2), 7700))  # by way of the TAP
            own.sendto(init[:-32] + bytes(32), (ipv4(2), 7700))  # not of this network: its own affair
    wait_until(lambda: two[0].forwarder.drops()["recursive_encapsulation"] > before, LIMIT_S, "it is recognised")
    assert two[0].forwarder.drops()["recursive_encapsulation"] == before + 1
    assert len(two[1].seen(HandshakeDatagram)) == heard
