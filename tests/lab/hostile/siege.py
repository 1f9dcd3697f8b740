"""A network with a stream that runs all the while, and a machine on its underlay that has no identity.

::

      n0: the source     n1, n2: subscribers      outsider
     +--------------+   +--------------+         +-----------+
     | treecast0    |   | treecast0    |         | no node   |
     +------||------+   +------||------+         +----||-----+
     =======++=================++====== switch0 ======++======
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from lab import Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import PORT, Overlay, TreecastNode
from tests.lab.overlay.asking import drops, grown, wait_received
from tests.lab.overlay.captured import Datagram
from treecast.api.client import fetch_groups, fetch_hosts, fetch_peers, fetch_status

T = TypeVar("T")

GROUP = "239.90.0.1"
STREAM_PORT = 5020
RATE_PPS = 500
OUTSIDER_PORT = 7800
AT_A_TIME = 200
"""Datagrams in flight to one node: its socket's buffer holds them, so that none is lost before it is judged."""
LIMIT_S = 20.0
OF_EVERY_DAY = frozenset({"no_subscriber", "no_broadcast_tree", "unknown_unicast"})
"""Reasons that count without any attacker: kernels that speak to nobody in particular."""


@dataclass(frozen=True, slots=True)
class Siege:
    """The network that the tests share. ``captured``: what came to n1 and left it from its start on."""

    net: Overlay
    outsider: Machine
    sender: Sender
    receivers: tuple[Receiver, ...]
    captured: list[Datagram] = field(repr=False)

    def open_socket(self, port: int = 0) -> socket.socket:
        """A UDP socket on the outsider."""
        with self.outsider.enter():
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((self.outsider.underlay_ipv4, port))
        own.settimeout(LIMIT_S)
        return own

    def throw(self, own: socket.socket, victim: TreecastNode, datagrams: Sequence[bytes]) -> None:
        """Sends datagrams from the outsider's own address, no more at a time than the victim takes."""
        for some in batches(datagrams):
            before = received(victim)
            for datagram in some:
                own.sendto(datagram, (victim.machine.underlay_ipv4, PORT))
            wait_until(partial(has_read, victim, before + len(some)), LIMIT_S, "the victim has read them")

    def forge(self, victim: TreecastNode, datagrams: Sequence[tuple[str, int, bytes]]) -> None:
        """Sends datagrams under others' addresses: source, source port, payload."""
        target = victim.machine.underlay_ipv4
        with self.outsider.enter():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:
            for some in batches(datagrams):
                before = received(victim)
                for source, port, payload in some:
                    raw.sendto(ipv4_udp(source, port, target, PORT, payload), (target, 0))
                wait_until(partial(has_read, victim, before + len(some)), LIMIT_S, "the victim has read them")

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """The block changes no node's state and costs the stream nothing; no traceback is logged."""
        before = [state(node) for node in self.net.nodes]
        logs = [node.log.stat().st_size for node in self.net.nodes]
        lost = [receiver.snapshot() for receiver in self.receivers]
        yield
        assert [state(node) for node in self.net.nodes] == before
        for node, size in zip(self.net.nodes, logs, strict=True):
            new = node.log.read_text(encoding="utf-8")[size:]
            assert "Traceback" not in new, new
            assert "level=error" not in new, new
        for receiver, was in zip(self.receivers, lost, strict=True):
            wait_received(receiver, was.received + RATE_PPS // 10)
            now = receiver.snapshot()
            assert (now.lost - was.lost, now.duplicated, now.other) == (0, 0, 0), f"{now.lost - was.lost} lost"
        assert self.net.nodes[0].running


@contextmanager
def counting(victim: TreecastNode, expected: Counter[str]) -> Iterator[None]:
    """The victim drops for these reasons in the block, so often, and for no others."""
    before = drops(victim)
    yield
    with suppress(TimeoutError):  # the comparison says more
        wait_until(lambda: judged(victim, before) == dict(expected), LIMIT_S)
    got = judged(victim, before)
    wrong = {reason: (got.get(reason, 0), expected[reason]) for reason in sorted({*got, *expected})}
    wrong = {reason: counts for reason, counts in wrong.items() if counts[0] != counts[1]}
    assert not wrong, f"(counted, expected): {wrong}"


def judged(victim: TreecastNode, before: dict[str, int]) -> dict[str, int]:
    """The drops since then, but those of every day."""
    return {reason: n for reason, n in grown(before, drops(victim)).items() if reason not in OF_EVERY_DAY}


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_A_TIME] for start in range(0, len(items), AT_A_TIME))


def has_read(node: TreecastNode, count: int) -> bool:
    return received(node) >= count


def received(node: TreecastNode) -> int:
    return fetch_status(node.directory).counters["udp_rx_datagrams"]


def state(node: TreecastNode) -> object:
    """Everything of a node that a stranger must not change."""
    linked = [peer for peer in fetch_peers(node.directory) if peer.state == "up"]
    peers = [(peer.name, peer.node_id, peer.endpoint) for peer in linked]
    groups = [
        (row.group, row.source, [(m.node, m.filter_mode, m.sources) for m in row.members], row.local)
        for row in fetch_groups(node.directory)
    ]
    hosts = [(host.mac, host.ip, host.node) for host in fetch_hosts(node.directory)]
    return (peers, groups, hosts)


def ipv4_udp(source: str, source_port: int, target: str, port: int, payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram (RFC 791, RFC 768); the kernel fills in identification and checksum."""
    length = 8 + len(payload)
    header = bytes((0x45, 0)) + (20 + length).to_bytes(2, "big") + bytes((0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, 0))
    header += socket.inet_aton(source) + socket.inet_aton(target)
    udp = source_port.to_bytes(2, "big") + port.to_bytes(2, "big") + length.to_bytes(2, "big") + bytes(2)
    return header + udp + payload


def answers(node: TreecastNode) -> None:
    """The node's control plane is alive: it answers its owner."""
    fetch_status(node.directory, timeout_s=LIMIT_S)
