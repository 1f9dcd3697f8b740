"""Records that a neighbour does not acknowledge are repeated less and less, then given up; silence costs little."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from tests.unit.broadcast.test_broadcast import GROUPS, WANTED, Node
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.store import Record
from treecast.broadcast.unacknowledged import (
    FIRST_PAUSE,
    LAST_PAUSE,
    MAX_SENDS,
    MAX_WINDOW,
    MIN_WINDOW,
    Unacknowledged,
)
from treecast.wire.advertisement import Kind, parse_signed
from treecast.wire.control import Acknowledge, Digest, Flood

ORIGIN = NodeIndex(3)


def record(number: int, kind: Kind = Kind.GROUPS, sequence: int = 0) -> Record:
    return Record(ORIGIN, 1, sequence or number + 1, kind, number.to_bytes(4, "big"), b"\x01", b"wire", number)


def sends(waiting: Unacknowledged, begin: float, duration: float) -> list[float]:
    """The times at which records are sent, once for each."""
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
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    sent = 0
    for tenth in range(2_300):
        node.now = Instant(tenth / 10)
        node.broadcast.advance(node.now)
        if tenth % 200 == 0:
            node.hear(2, Digest(1, 1, ()))  # it still has nothing of it
        for peer, message in node.said():
            for wire in message.advertisements if isinstance(message, Flood) else ():
                body = parse_signed(wire)[1]
                if body.kind == Kind.GROUPS:
                    sent += 1
                else:
                    node.hear(peer, Acknowledge(((body.origin, body.epoch, body.sequence),)))
    assert sent <= 3 * MAX_SENDS
    assert node.drops.snapshot() == {"advertisement_unacknowledged": 2}  # after 15 s, and once more after a minute


def test_half_as_many_are_on_the_way_where_some_are_overdue_down_to_a_few() -> None:
    waiting, seen, portions = Unacknowledged(Random(1)), set[int](), list[int]()
    for number in range(1_000):
        waiting.put(Instant(0.0), record(number))
    for quarter in range(7):
        while sent := waiting.take_due(Instant(quarter / 4))[0]:
            seen.update(one.sequence for one in sent)
        portions.append(len(seen) - sum(portions))
    assert portions == [MAX_WINDOW, 96, 48, 24, MIN_WINDOW, MIN_WINDOW, MIN_WINDOW]


class Link:
    """A link with this round trip; each record is acknowledged after it, but those that are lost."""

    def __init__(self, round_trip: float, loss: float = 0.0) -> None:
        self.waiting = Unacknowledged(Random(1))
        self.now = Instant(0.0)
        self.most_at_once = self.sent = 0
        self._round_trip = round_trip
        self._loss = loss
        self._rng = Random(2)
        self._coming: list[tuple[float, tuple[int, int, int]]] = []

    def send_all(self, records: int) -> float:
        """How long it takes until all are acknowledged."""
        began = self.now
        for number in range(records):
            self.waiting.put(self.now, record(number))
        while len(self.waiting):
            for _, version in [one for one in self._coming if one[0] <= self.now]:
                self.waiting.acknowledged(self.now, (NodeIndex(version[0]), *version[1:]))
            self._coming = [one for one in self._coming if one[0] > self.now]
            sent = self.waiting.take_due(self.now)[0]
            self.sent += len(sent)
            self.most_at_once = max(self.most_at_once, len(sent))
            for one in sent:
                if self._rng.random() >= self._loss:
                    self._coming.append((self.now + self._round_trip, (one.origin, one.epoch, one.sequence)))
            self.now = Instant(self.now + 0.01)
        return self.now - began


def test_many_records_go_in_portions_and_take_a_few_round_trips() -> None:
    link = Link(0.05)
    assert link.send_all(3_000) <= 3_000 / MAX_WINDOW * 0.05 + 0.5
    assert link.most_at_once <= MAX_WINDOW
    assert link.sent == 3_000


def test_a_link_that_is_slow_is_no_link_that_loses() -> None:
    link = Link(0.6)
    link.send_all(100)
    link.sent = 0
    assert link.send_all(3_000) <= 3_000 / MAX_WINDOW * 0.6 + 4
    assert link.sent <= 3_200, "next to nothing is repeated that is on its way"


def test_a_link_that_loses_some_takes_all_in_seconds() -> None:
    link = Link(0.05, loss=0.05)
    assert link.send_all(3_000) <= 10.0
    assert link.sent <= 3_000 * 1.15


def test_records_that_are_refused_keep_others_back_for_seconds_at_most() -> None:
    waiting = Unacknowledged(Random(1))
    for number in range(500):
        waiting.put(Instant(0.0), record(number))
    waiting.put(Instant(0.0), record(1_000))
    now = Instant(0.0)
    while not any(one.key == (1_000).to_bytes(4, "big") for one in waiting.take_due(now)[0]):
        now = Instant(now + 0.01)
        waiting.acknowledged(now, (ORIGIN, 1, 1))  # of all but the last the first alone is taken
        assert now < 5.0
