"""How much of what neighbours advertise is taken in a turn, and whose is next."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.unit.broadcast.test_broadcast import Node, advertisement, node_advertisement
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_WAITING_ADVERTISEMENTS
from treecast.base.time import Instant, after
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast.arrivals import (
    LITTLE_BURST,
    WORK_BURST,
    WORK_OF_EACH,
    WORK_OF_PREFIX,
    WORK_PER_S,
    Arrival,
    Arrivals,
)
from treecast.wire.advertised_prefixes import GroupPrefixContent, group_prefix_key
from treecast.wire.advertisement import Body, Kind, Signed, emit
from treecast.wire.control import Flood

BULK = 108
"""A chunk of 106 groups."""
START = Instant(10.0)
LIAR, HONEST, OTHER = NodeIndex(2), NodeIndex(3), NodeIndex(4)


def arrival(origin: int, number: int, work: int = BULK, sequence: int = 1) -> Arrival:
    body = Body(origin, 1, sequence, Kind.GROUPS, number.to_bytes(2, "big"), b"")
    return Arrival(b"", Signed(b"", bytes(64)), body, work)


def come(arrivals: Arrivals, now: Instant, peer: NodeIndex, one: Arrival) -> bool:
    """Whether it is taken at once; else it waits."""
    if arrivals.is_taken_at_once(now, peer, one):
        return True
    arrivals.put(peer, one)
    return False


def origins(arrivals: Arrivals, now: Instant) -> list[int]:
    return [one.body.origin for _, one in arrivals.take(now)]


def test_bulk_that_comes_at_once_takes_one_chunk_of_a_turn_and_the_rest_at_its_rate() -> None:
    arrivals = Arrivals()
    at_once = [come(arrivals, START, LIAR, arrival(9, number)) for number in range(200)]
    assert sum(at_once) == 1
    for step in range(1, 2001):
        taken = arrivals.take(Instant(START + step / 1000))
        assert sum(one.work for _, one in taken) < WORK_BURST + BULK
    left = len(arrivals)
    assert abs((199 - left) * BULK - 2.0 * WORK_PER_S) <= 2 * BULK


def test_what_is_little_is_taken_at_once_while_bulk_of_others_waits() -> None:
    arrivals = Arrivals()
    for number in range(100):
        come(arrivals, START, LIAR, arrival(9, number))
    assert come(arrivals, START, LIAR, arrival(8, 1, WORK_OF_EACH + 1))
    assert not come(arrivals, START, LIAR, arrival(9, 200, WORK_OF_EACH + 1)), "its own comes first"


def test_little_without_end_waits_too() -> None:
    arrivals = Arrivals()
    at_once = sum(come(arrivals, START, LIAR, arrival(origin, 0, WORK_OF_EACH)) for origin in range(100, 300))
    assert at_once * WORK_OF_EACH <= LITTLE_BURST + WORK_BURST + WORK_OF_EACH


def test_neighbours_are_next_by_turns_and_of_each_the_origins_that_it_brings() -> None:
    arrivals = Arrivals()
    come(arrivals, START, LIAR, arrival(1, 0))
    for number in range(3):
        for origin in (7, 8):
            come(arrivals, START, LIAR, arrival(origin, number))
    come(arrivals, START, HONEST, arrival(9, 0))
    taken: list[int] = []
    for second in range(1, 20):
        taken += origins(arrivals, Instant(START + second))
    assert taken == [7, 9, 8, 7, 8, 7, 8]


def test_a_newer_one_of_its_key_takes_the_place_of_what_waits() -> None:
    arrivals = Arrivals()
    come(arrivals, START, LIAR, arrival(9, 0))
    for sequence in range(2, 5):
        come(arrivals, START, LIAR, arrival(9, 1, sequence=sequence))
    assert len(arrivals) == 1
    assert [one.body.sequence for _, one in arrivals.take(Instant(START + 1))] == [4]


def test_so_many_of_a_neighbour_wait_and_the_origin_with_most_makes_room_for_others() -> None:
    arrivals = Arrivals()
    come(arrivals, START, LIAR, arrival(1, 0))
    for number in range(MAX_WAITING_ADVERTISEMENTS):
        assert arrivals.put(LIAR, arrival(9, number)) is None
    with pytest.raises(MalformedError, match="advertisement_queue_full"):
        arrivals.put(LIAR, arrival(9, MAX_WAITING_ADVERTISEMENTS))
    assert arrivals.put(LIAR, arrival(8, 0)) == arrival(9, MAX_WAITING_ADVERTISEMENTS - 1)
    assert len(arrivals) == MAX_WAITING_ADVERTISEMENTS
    assert arrivals.put(OTHER, arrival(8, 0)) is None, "each neighbour has its own"


def test_what_a_neighbour_brought_goes_with_its_link() -> None:
    arrivals = Arrivals()
    for number in range(3):
        come(arrivals, START, LIAR, arrival(9, number))
    assert arrivals.link_down(LIAR) == 2
    assert (len(arrivals), arrivals.next_deadline()) == (0, None)
    assert arrivals.link_down(LIAR) == 0


def test_the_next_turn_is_due_when_there_is_time_again() -> None:
    arrivals = Arrivals()
    for number in range(2):
        come(arrivals, START, LIAR, arrival(9, number))
    due = arrivals.next_deadline()
    assert due is not None and START < due <= START + BULK / WORK_PER_S
    assert origins(arrivals, START) == []
    assert origins(arrivals, Instant(due + 1e-6)) == [9]


def test_a_prefix_of_groups_is_bulk() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(2),)))
    node.broadcast._intake._arrivals._work = TokenBucket.full(WORK_PER_S, WORK_BURST, node.now)
    for number in range(2, 12):
        key = group_prefix_key((0, IPv4Network((0xEF000000 + 256 * number, 24))))
        flood = Flood((advertisement(2, number, Kind.GROUP_PREFIX, key, emit(GroupPrefixContent())),))
        node.broadcast.receive(node.now, NodeIndex(2), flood)
    assert node.broadcast.waiting == 9
    node.now = after(node.now, 2 * WORK_OF_PREFIX / WORK_PER_S)
    assert 1 <= len(node.broadcast.take_waiting(node.now)) <= 2
