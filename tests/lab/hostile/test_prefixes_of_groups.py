"""A member that wants all groups and then none of them, over and over, by prefixes: others join as fast as ever."""

from __future__ import annotations

import socket
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from lab import wait_until
from lab.load import Sender
from lab.node import INTERFACE
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import LIMIT_S, Hostility, counted
from tests.lab.hostile.test_fair_turns import JOINED, MOST_MS, PORT, RATE_PPS, ROUNDS, joins_ms
from treecast.api.client import fetch_groups

GROUPS, EACH = 16_000, 80
PAUSE_S = 0.02
ABSURD = (
    *(prefix + bytes(12) for prefix in (b"\xff\x0e\0\0", b"\xe0\0\0\0", b"\x20\x01\0\0")),
    *(b"\xff\x0e" + bytes(13) + last for last in (b"\1", b"\xff")),
)
LENGTHS = (0, 1, 3, 7, 9, 64, 127, 129, 200, 255)


def prefix_key(length: int, first: bytes) -> bytes:
    return bytes(2) + bytes((length,)) + first


def publish(session: Session, advertisement: bytes) -> None:
    """Send it until the node has taken it: what is bulk waits for its turn there."""
    name = wire.advertisement_name(advertisement)

    def is_taken() -> bool:
        session.flood(advertisement)
        acknowledged = [message[1] for message in session.messages[-200:] if message[0] == wire.ACKNOWLEDGE]
        return any(name in names for names in acknowledged if isinstance(names, list))

    wait_until(is_taken, LIMIT_S, "it is acknowledged", poll_s=0.03)


@contextmanager
def flapping(speaker: Speaker, session: Session) -> Iterator[list[int]]:
    """All groups are wanted, and none of them, at the pace of an origin. The list has how often."""
    over, sent = threading.Event(), [0]
    key = prefix_key(4, socket.inet_aton("224.0.0.0"))

    def send() -> None:
        while not over.wait(PAUSE_S):
            content = b"" if sent[0] % 2 else wire.encode([])
            session.flood(speaker.advertise(wire.GROUP_PREFIX, key, content))
            sent[0] += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        over.set()
        sender.join()


@pytest.mark.soak
def test_who_wants_all_groups_and_none_over_and_over_delays_no_join(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    stream = Sender(n0.machine, JOINED, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    addresses = count(int.from_bytes(socket.inet_aton("239.100.0.0"), "big"))
    with (
        hostility.speaker(hostility.admit("router", "eve")) as speaker,
        hostility.linked(speaker, n0) as (session,),
    ):
        for chunk in range(GROUPS // EACH):
            listed = [[0, next(addresses).to_bytes(4, "big"), 1, []] for _ in range(EACH)]
            publish(session, speaker.advertise(wire.GROUPS, wire.chunk_key(chunk), wire.encode([listed])))
        assert len(fetch_groups(n0.directory)) > GROUPS
        quiet = statistics.median(joins_ms(hostility))
        with flapping(speaker, session) as sent:
            loud = min((joins_ms(hostility) for _ in range(ROUNDS)), key=statistics.median)
            assert sent[0] > 1.0 / PAUSE_S
    stream.stop()
    median = statistics.median(loud)
    print(f"\njoins: {quiet:.1f} ms, beside {sent[0]} prefixes {median:.1f} ms (most {max(loud):.1f} ms)")
    assert median - quiet < MOST_MS


def test_prefixes_that_cannot_be_and_thousands_of_others_change_nothing(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    before = counted(n0, "advertisement_malformed"), counted(n0, "group_prefixes_full")
    with (
        hostility.speaker(hostility.admit("prefixes", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0) as (session,),
    ):
        keys = [prefix_key(length, first) for length in LENGTHS for first in ABSURD]
        keys += [b"", bytes(3), bytes(400), prefix_key(64, b"\xff\x0e"), prefix_key(33, socket.inet_aton("239.1.1.1"))]
        for key in keys:
            session.flood(speaker.advertise(wire.GROUP_PREFIX, key, wire.encode([])))
        refused = len(keys) - 2  # ff0e::/64 and ff0e::/127 are prefixes of groups
        wait_until(
            lambda: counted(n0, "advertisement_malformed") - before[0] == refused, LIMIT_S, "the others are none"
        )
        for number in range(200):
            key = prefix_key(48, b"\xff\x0e" + number.to_bytes(4, "big") + bytes(10))
            session.flood(speaker.advertise(wire.GROUP_PREFIX, key, wire.encode([])))
        wait_until(lambda: counted(n0, "group_prefixes_full") > before[1], LIMIT_S, "a node has 64 at most")
