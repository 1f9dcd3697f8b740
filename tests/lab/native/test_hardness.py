"""Data planes under hardship: bad datagrams, moved peers, taken addresses, offloads off, other ciphers."""

from __future__ import annotations

import errno
import random
import socket
import subprocess
import sys
import textwrap
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, NETWORK, DataPlane, DataPlanes, ipv4, ipv6, mac
from lab.waiting import wait_until
from treecast import _native
from treecast.adapters.native import apply
from treecast.adapters.native_records import emit_endpoint, parse_endpoint
from treecast.base.addresses import Endpoint
from treecast.base.commands import Inject, OfferKey, SendControl, SendHandshake
from treecast.base.events import (
    CommandRefusalReason,
    CommandRefused,
    ControlDatagram,
    PathAnswered,
    PathSeen,
    SessionHandshake,
    TapFrame,
)
from treecast.base.ids import KeyId, NodeIndex, StreamId
from treecast.base.path_commands import ChallengePath, SetPath

GROUP = "239.1.1.1"
LOOKS = 20
"""One after the other, at threads that sleep: no accident of one that does not."""


def stream(planes: DataPlanes, count: int = 1000) -> None:
    """A stream from the first to all others arrives complete."""
    receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in planes.planes[1:]]
    sent = Sender(planes[0].machine, GROUP, 5000, interface=INTERFACE, rate_pps=4000, count=count).wait(20)
    wait_until(lambda: all(one.snapshot().received == sent.sent for one in receivers), LIMIT_S, "all received")
    for receiver in receivers:
        receiver.stop()


def test_chacha20_and_an_ipv6_underlay_carry_everything() -> None:
    with DataPlanes(2, aead=_native.AEAD_CHACHA20_POLY1305, ipv6_underlay=True) as planes:
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        planes[0].machine.run(["ping", "-c3", "-i0.02", "-s", "1346", ipv4(2)])
        planes[0].machine.run(["ping", "-c3", "-i0.02", ipv6(2)])
        stream(planes)


def test_without_offload_on_the_underlay_nothing_is_lost() -> None:
    with DataPlanes(3) as planes:
        for plane in planes.planes:
            plane.machine.offload(False)
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        stream(planes)
        planes[0].machine.run(["ping", "-c3", "-i0.02", "-s", "1346", ipv4(2)])


def test_garbage_replays_and_reflections_change_nothing() -> None:
    with DataPlanes(2) as planes:
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        one, two = planes.planes
        path = planes.lab.directory / "underlay.pcap"
        with one.machine.capture(path, "udp port 7700"):
            stream(planes, 200)
        datagrams = [datagram for datagram in _udp_payloads(path.read_bytes()) if datagram]
        assert len(datagrams) >= 3
        wait_until(lambda: not two.new_events(), LIMIT_S, "no events")
        rng = random.Random(5)
        before = two.forwarder.drops()
        sessions = [(s.session, s.endpoint) for s in two.forwarder.sessions()]
        with one.machine.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for number in range(3000):
                datagram = bytearray(rng.choice(datagrams) if number % 3 else rng.randbytes(rng.randrange(1500)))
                if number % 3 == 1 and datagram:
                    datagram[rng.randrange(len(datagram))] ^= rng.randint(1, 255)
                attacker.sendto(datagram, two.address)
                attacker.sendto(datagram, one.address)  # reflected to its sender
        total = sum(before.values()) + 3000
        wait_until(lambda: sum(two.forwarder.drops().values()) >= total, LIMIT_S, "drops")
        dropped = two.forwarder.drops()
        grown = {name for name, count in dropped.items() if count > before[name]}
        assert {"tree_rpf", "unknown_type"} <= grown
        assert [(s.session, s.endpoint) for s in two.forwarder.sessions()] == sessions
        assert {type(event) for event in two.new_events()} <= {TapFrame}  # the kernel's own IGMP
        assert "tree_reflected" in {name for name, count in one.forwarder.drops().items() if count}
        stream(planes)


def test_a_peer_that_moves_is_followed_when_it_has_answered_where_it_is() -> None:
    """n1's port changes as behind a NAT that has rebooted: nftables rewrites it on the way out."""
    with DataPlanes(2) as planes:
        one, two = planes.planes
        # A flow that begins with a datagram to this node would not be rewritten.
        two.machine.run(["nft", "add table ip raw; add chain ip raw in { type filter hook prerouting priority -300; }"])
        two.machine.run(["nft", "add rule ip raw in udp dport 7700 notrack"])
        two.machine.run(["nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }"])
        two.machine.run(["nft", "add rule ip nat out udp sport 7700 snat to :40000"])
        two.machine.run(["conntrack", "-D", "-p", "udp"], check=False) if _has("conntrack") else None
        with two.machine.enter():
            two.machine.run(["ping", "-c1", "-W1", ipv4(1)], check=False)
        before = parse_endpoint(one.forwarder.sessions()[0].endpoint)
        seen = one.wait_for(PathSeen)[-1]
        assert (seen.socket, seen.endpoint) == (0, Endpoint(IPv4Address(two.machine.underlay_ipv4), 40000))
        assert parse_endpoint(one.forwarder.sessions()[0].endpoint) == before
        one.do(ChallengePath(NodeIndex(2), seen.socket, seen.endpoint, 2**64 - 1))
        answered = one.wait_for(PathAnswered)[-1]
        assert answered == PathAnswered(seen.peer, seen.session, seen.socket, seen.endpoint)
        assert parse_endpoint(one.forwarder.sessions()[0].endpoint) == before
        one.do(SetPath(NodeIndex(2), answered.socket, answered.endpoint))
        assert parse_endpoint(one.forwarder.sessions()[0].endpoint) == answered.endpoint
        two.machine.run(["ping", "-c2", "-i0.05", "-W2", ipv4(1)])


@pytest.mark.alone
def test_handshake_floods_are_limited_and_named() -> None:
    with DataPlanes(2) as planes:
        init = _native.Handshake.initiate(planes[0].key, NETWORK, 1).init_datagram()
        with planes[0].machine.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            for _ in range(2000):
                flooder.sendto(init, planes[1].address)
        victim = planes[1].forwarder
        wait_until(lambda: victim.drops()["handshake_under_load"] > 1000, LIMIT_S, "rate limit")
        assert victim.drops()["punt_handshakes_full"] == 0
        planes[0].machine.run(["ping", "-c2", "-i0.05", ipv4(2)])


def test_a_dead_peers_icmp_errors_stop_nothing() -> None:
    with DataPlanes(3) as planes:
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        planes[2].forwarder.stop()  # its port now answers with ICMP port unreachable
        receiver = Receiver(planes[1].machine, GROUP, 5000, interface=INTERFACE)
        sender = Sender(planes[0].machine, GROUP, 5000, interface=INTERFACE, rate_pps=2000, count=1000)
        assert sender.wait(10).sent == 1000
        wait_until(lambda: receiver.snapshot().received == 1000, LIMIT_S, "all received")
        receiver.stop()


def test_a_peer_without_session_is_a_named_drop_and_a_false() -> None:
    with DataPlanes(1) as planes:
        forwarder = planes[0].forwarder
        planes[0].do(SendControl(NodeIndex(9), b"message"))
        assert forwarder.drops()["no_session"] == 1
        offer = OfferKey(StreamId(5), KeyId(1), NodeIndex(9), b"", KeyId(0), 0)
        assert apply(forwarder, [offer]) == [CommandRefused(offer, CommandRefusalReason.UNKNOWN)]


def test_a_taken_port_and_a_bad_interface_are_named_with_their_errno() -> None:
    with DataPlanes(1) as planes:
        plane = planes[0]
        taken = _open_error(plane, "tc1", *plane.address)
        assert (taken.errno, plane.machine.underlay_ipv4 in str(taken)) == (errno.EADDRINUSE, True)
        busy = _open_error(plane, INTERFACE, plane.machine.underlay_ipv4)
        assert (busy.errno, INTERFACE in str(busy)) == (errno.EBUSY, True)
        assert _open_error(plane, "a-name-that-is-too-long", "127.0.0.1").errno == errno.EINVAL
        plane.machine.disable_ipv6()
        assert _open_error(plane, "tc1", "2001:db8::77").errno == errno.EADDRNOTAVAIL


def test_stop_removes_the_interface_and_may_be_repeated() -> None:
    with DataPlanes(1) as planes:
        plane = planes[0]
        assert INTERFACE in plane.machine.run(["ip", "link"]).stdout
        plane.forwarder.stop()
        plane.forwarder.stop()
        assert INTERFACE not in plane.machine.run(["ip", "link"]).stdout
        assert plane.forwarder.offloads == []
        plane.do(Inject(0, bytes(60)))
        with pytest.raises(OSError, match="descriptor"):
            plane.forwarder.start()


@pytest.mark.alone
def test_a_deleted_interface_ends_in_a_drop_and_no_busy_loop() -> None:
    """A worker that spins runs, or waits for a core, whenever it is looked at; one that has nothing to do sleeps."""
    before = _threads()
    with DataPlanes(2, probe_interval_s=0.5) as planes:
        workers = _threads() - before
        planes[0].machine.run(["ip", "link", "delete", INTERFACE])
        wait_until(lambda: planes[0].forwarder.drops()["tap_other"] == 1, LIMIT_S, "tap_other")
        probes = planes[0].forwarder.counters()["probes_sent"]
        wait_until(lambda: planes[0].forwarder.counters()["probes_sent"] >= probes + 3, LIMIT_S, "it is still at work")
        wait_until(_Looks(workers), LIMIT_S, "all workers sleep, whenever one looks")
        assert planes[0].forwarder.drops()["tap_other"] == 1
        planes[0].do(SendControl(NodeIndex(2), b"still here"))
        assert planes[1].wait_for(ControlDatagram)[-1].data == b"still here"


def test_a_handshake_in_a_session_comes_whole_and_one_of_strangers_does_not() -> None:
    with DataPlanes(2) as planes:
        init = _native.Handshake.initiate(_native.StaticKey(bytes([7] * 32)), NETWORK, 5).init_datagram()
        planes[0].do(SendHandshake(NodeIndex(2), init))
        assert planes[1].wait_for(SessionHandshake)[-1].data == init
        planes[0].do(SendHandshake(NodeIndex(2), init[:-40] + bytes(40)))
        wait_until(lambda: planes[1].forwarder.drops()["handshake_mac"] == 1, LIMIT_S, "handshake_mac")


def test_a_node_without_capabilities_goes_on() -> None:
    program = f"""
        import sys
        from ipaddress import ip_address
        from treecast import _native
        from treecast.adapters.native import apply
        from treecast.adapters.native_records import parse_endpoint
        from treecast.base.commands import SendDatagram
        forwarder = _native.Forwarder(node_index=1, network=_native.Network(bytes(16), bytes(32)),
                                      signing_key=_native.SigningKey(bytes(32)), interface="tcnat-caps", mac={mac(1)!r},
                                      mtu=1374, listen=[(ip_address(text).packed, 0) for text in ("127.0.0.1", "::1")])
        _native.drop_capabilities()
        forwarder.start()
        status = open("/proc/self/status").read()
        print([line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm", "CapBnd"))])
        first, second = map(parse_endpoint, forwarder.listening)
        print(first.address, second.address, apply(forwarder, [SendDatagram(0, first, b"x")]),
              forwarder.counters()["udp_tx_datagrams"])
        forwarder.stop()
    """
    with Lab() as lab:
        machine = lab.machine("n0")
        output = machine.run([sys.executable, "-c", textwrap.dedent(program)]).stdout.splitlines()
    assert output == [str(["0" * 16] * 3), "127.0.0.1 ::1 [] 1"]


def _open_error(plane: DataPlane, interface: str, address: str, port: int = 0) -> OSError:
    listen = emit_endpoint(Endpoint(ip_address(address), port))
    with plane.machine.enter(), pytest.raises(OSError) as error:
        _native.Forwarder(
            node_index=1,
            network=NETWORK,
            signing_key=plane.signing_key,
            interface=interface,
            mac=mac(1),
            mtu=1374,
            listen=[listen],
        )
    return error.value


def _threads() -> set[Path]:
    """The threads of this process."""
    return set(Path("/proc/self/task").iterdir())


class _Looks:
    """True when it has been asked LOOKS times in a row while none of the threads ran or waited for a core."""

    def __init__(self, threads: set[Path]) -> None:
        assert threads
        self._threads = threads
        self._asleep = 0

    def __call__(self) -> bool:
        states = {(one / "stat").read_text().rpartition(")")[2].split()[0] for one in self._threads}  # proc_pid_stat(5)
        self._asleep = self._asleep + 1 if states == {"S"} else 0
        return self._asleep >= LOOKS


def _has(program: str) -> bool:
    return subprocess.run(["which", program], capture_output=True, check=False).returncode == 0


def _udp_payloads(pcap: bytes) -> list[bytes]:
    """UDP payloads of a capture of IPv4 over Ethernet; a GSO run is cut into its datagrams by their headers' length."""
    payloads, at = [], 24
    while at < len(pcap):
        length = int.from_bytes(pcap[at + 8 : at + 12], "little")
        payload = pcap[at + 16 + 42 : at + 16 + length]
        payloads.append(payload[:1452])
        at += 16 + length
    return payloads
