"""The cost of a turn for a node on a LAN with many others: counted, not timed."""

from __future__ import annotations

from tests.unit.counting import steps_of, times_the_work
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CANDIDATES
from treecast.base.time import Instant
from treecast.designated_forwarder.election import Election
from treecast.wire.beacon import Beacon, BeaconState

ME = NodeIndex(1_000)


def election(candidates: int) -> Election:
    """This node is the last of them all, the first forwards."""
    own = Election(Instant(0.0), (ME, 0), Drops())
    for number in range(candidates):
        state = BeaconState.CAPABLE if number else BeaconState.FORWARDING
        own.receive(Instant(15.0), Beacon(2, bytes(8), 2 + number, 1, number + 1, state, 1))
    own.advance(Instant(15.0), able=True)
    assert len(own.candidates()) == candidates
    return own


def turn(own: Election) -> None:
    now = Instant(15.1)
    assert own.forwarder() == (2, 0)
    own.advance(now, able=True)
    deadline = own.next_deadline(now)
    assert deadline is not None
    assert deadline > now


def test_a_turn_touches_as_much_with_as_many_candidates_as_there_may_be_as_with_four() -> None:
    few, many = election(4), election(MAX_CANDIDATES)
    for own in (few, many):
        turn(own)
    assert steps_of(turn, many) <= 1.1 * steps_of(turn, few)
    assert times_the_work(lambda: turn(many), of=lambda: turn(few)) <= 1.5
