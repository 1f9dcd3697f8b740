"""A member that sends 20,000 small control messages a second to a source: others join there as fast as ever.

``make soak`` measures how fast.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import LIMIT_S, Hostility, counted
from tests.lab.overlay.asking import members, peers_up, wait_received

JOINED, PORT, RATE_PPS = "239.90.4.1", 5040, 1000
PER_SECOND = 20_000
AT_A_TIME = 200
JOINS = 11
ROUNDS = 3
"""The best counts: a machine that does other work, too, is late in any of them."""
MOST_MS = 50.0


@contextmanager
def flooding(speaker: Speaker, session: Session) -> Iterator[list[float]]:
    """Small messages that cost most: each has a signature to be checked, which is wrong. The list has their rate at
    the end.
    """
    over, sent = threading.Event(), 0
    rate: list[float] = []

    def send() -> None:
        nonlocal sent
        numbers = speaker.member.index, speaker.epoch, 2**40
        forged = wire.advertisement_body(
            *numbers, wire.GROUPS, wire.chunk_key(9), wire.encode([[[0, bytes((239, 1, 2, 3)), 1, []]]])
        )
        message = wire.encode([wire.FLOOD, [wire.encode([forged, bytes(64)])]])
        while not over.wait(0.001):
            while not over.is_set() and sent < (time.monotonic() - began) * PER_SECOND:
                for datagram in session.sealing.seal_many(wire.CONTROL, message, AT_A_TIME):
                    session.own.sendto(datagram, session.node)
                sent += AT_A_TIME

    sender, began = threading.Thread(target=send), time.monotonic()
    sender.start()
    try:
        yield rate
    finally:
        over.set()
        sender.join()
        rate.append(sent / (time.monotonic() - began))


def joins_ms(hostility: Hostility) -> list[float]:
    """How long each of some joins at n1 took from the socket option to the first datagram."""
    n0, n1, _ = hostility.net.nodes
    took = []
    for _ in range(JOINS):
        wait_until(lambda: "n1" not in members(n0, JOINED), LIMIT_S, "n1 has left", poll_s=0.05)
        receiver = Receiver(n1.machine, JOINED, PORT, interface=INTERFACE)
        wait_received(receiver, 1, LIMIT_S)
        took.append(receiver.stop().join_ns / 1e6)
    return took


def test_joins_succeed_while_a_member_floods_the_source_with_messages(hostility: Hostility) -> None:
    joins_beside_a_flood(hostility, 1)


@pytest.mark.soak
def test_joins_are_hardly_later_while_a_member_floods_the_source_with_messages(hostility: Hostility) -> None:
    median_ms, per_second = joins_beside_a_flood(hostility, ROUNDS)
    assert per_second > 0.95 * PER_SECOND
    assert median_ms < MOST_MS


def joins_beside_a_flood(hostility: Hostility, rounds: int) -> tuple[float, float]:
    """The median of the milliseconds that joins take beside a flood, which ends no link, and its messages a second."""
    n0 = hostility.net[0]
    stream = Sender(n0.machine, JOINED, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    quiet = statistics.median(joins_ms(hostility))

    def refused() -> int:
        return sum(counted(n0, reason) for reason in ("punt_control_rate", "punt_control_full", "punt_peer_full"))

    with (
        hostility.speaker(hostility.admit(f"loud-{rounds}", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0) as (session,),
        flooding(speaker, session) as rate,
    ):
        wait_until(lambda: refused() > PER_SECOND // 4, LIMIT_S, "it sends more than it may")
        loud = min((joins_ms(hostility) for _ in range(rounds)), key=statistics.median)
        assert {"n1", "n2"} <= set(peers_up(n0))
    stream.stop()
    median = statistics.median(loud)
    print(f"\njoins: {quiet:.1f} ms, beside {rate[0]:.0f} messages/s {median:.1f} ms (most {max(loud):.1f} ms)")
    return median, rate[0]
