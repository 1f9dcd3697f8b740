"""Records that a neighbour does not acknowledge are repeated less and less, then given up; silence costs little."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from tests.unit.broadcast.test_broadcast import GROUPS, WANTED, Node
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.store import Record
from treecast.broadcast.unacknowledged import FIRST_PAUSE, LAST_PAUSE, MAX_SENDS, Unacknowledged
from treecast.wire.advertisement import Kind, parse_signed
from treecast.wire.control import Acknowledge, Digest, Flood

ORIGIN = NodeIndex(3)


def record(number: int, kind: Kind = Kind.GROUPS, sequence: int = 0) -> Record:
    return Record(ORIGIN, 1, sequence or number + 1, kind, number.to_bytes(4, "big"), b"\x01", b"wire")


def sends(waiting: Unacknowledged, begin: float, duration: float) -> list[float]:
    """When a record is sent, once for each."""
    now, sent = Instant(begin), []
    while now < begin + duration:
        sent += [float(now)] * len(waiting.take_due(now)[0])
        now = Instant(now + 0.05)
    return sent


def test_a_record_that_is_refused_is_sent_ten_times_less_and_less_often() -> None:
    waiting = Unacknowledged(Random(1))
    waiting.put(Instant(0.0), record(1))
    times = sends(waiting, 0.0, 100.0)
    assert len(times) == MAX_SENDS and times[-1] < 15.0
    assert len(waiting) == 0 and waiting.next() is None


def test_what_waits_already_does_not_begin_anew() -> None:
    waiting = Unacknowledged(Random(1))
    for second in range(60):
        waiting.put(Instant(float(second)), record(1))
        if second == 10:
            assert len(sends(waiting, 10.0, 1.0)) <= 1


def test_after_a_record_was_given_up_digests_offer_its_origin_less_and_less_often() -> None:
    waiting, now, pauses = Unacknowledged(Random(1)), 0.0, []
    for _ in range(6):
        waiting.put(Instant(now), record(1))
        sends(waiting, now, 16.0)
        began = now + 16.0
        now = began
        while waiting.is_given_up(Instant(now), ORIGIN):
            now += 1.0
        pauses.append(now - began)
    assert all(later >= earlier - 2.0 for earlier, later in pairwise(pauses))
    assert FIRST_PAUSE - 16 <= pauses[0] <= FIRST_PAUSE and LAST_PAUSE - 16 <= pauses[-1] <= LAST_PAUSE


def test_an_origin_whose_node_advertisement_is_taken_at_last_is_offered_at_once() -> None:
    waiting = Unacknowledged(Random(1))
    for number, kind in enumerate((Kind.NODE, Kind.GROUPS)):
        waiting.put(Instant(0.0), record(number, kind))
    sends(waiting, 0.0, 20.0)
    assert waiting.is_given_up(Instant(20.0), ORIGIN)
    waiting.put(Instant(20.0), record(0, Kind.NODE, sequence=9))
    assert waiting.acknowledged(Instant(20.1), (ORIGIN, 1, 9))
    assert not waiting.is_given_up(Instant(20.1), ORIGIN)


def test_a_neighbour_that_acknowledges_nothing_costs_the_same_whatever_is_held() -> None:
    waiting = Unacknowledged(Random(1))
    for number in range(5_000):
        waiting.put(Instant(0.0), record(number))
    sends(waiting, 0.0, 6.0)
    assert len(sends(waiting, 6.0, 20.0)) <= 4 * 20 / 1.6 + 4


def test_one_acknowledgement_ends_the_silence() -> None:
    waiting = Unacknowledged(Random(1))
    for number in range(1_000):
        waiting.put(Instant(0.0), record(number))
    sends(waiting, 0.0, 8.0)
    assert waiting.acknowledged(Instant(8.0), (ORIGIN, 1, 1))
    assert len(sends(waiting, 8.0, 2.0)) > 500


def test_a_record_that_its_receiver_refuses_is_counted_and_not_offered_with_each_digest() -> None:
    node = Node(1)
    node.link(2)
    node.broadcast.publish(node.now, Kind.GROUPS, GROUPS, WANTED)
    sent = 0
    while node.now < 240.0:
        node.now = Instant(node.now + 0.1)
        node.broadcast.advance(node.now)
        for peer, message in node.said():
            if isinstance(message, Digest):
                node.hear(2, Digest(1, 1, ()))  # it still has nothing of it
            for wire in message.advertisements if isinstance(message, Flood) else ():
                body = parse_signed(wire)[1]
                if body.kind is Kind.GROUPS:
                    sent += 1
                else:
                    node.hear(peer, Acknowledge(((body.origin, body.epoch, body.sequence),)))
    assert sent <= 3 * MAX_SENDS
    assert node.drops.snapshot() == {"advertisement_unacknowledged": 2}  # after 15 s, and once more after a minute
