"""A node with the lowest index does not forward while another one says that it does."""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.designated_forwarder.election import Election, StateReason
from treecast.wire.beacon import Beacon, BeaconState


def beacon(sequence: int, state: BeaconState) -> Beacon:
    """A beacon of a node with a higher index."""
    return Beacon(2, bytes(8), 9, 1, sequence, state, 1)


def test_the_lower_one_waits_for_as_long_as_the_higher_one_says_that_it_forwards() -> None:
    election = Election(Instant(0.0), (NodeIndex(5), 0), Drops(), query_response_interval=1.0)
    for tenth in range(100):
        now = Instant(tenth / 10)
        election.receive(now, beacon(tenth, BeaconState.FORWARDING))
        election.advance(now, able=True)
        assert election.state is not BeaconState.FORWARDING
    assert (election.state, election.why(now)) == (BeaconState.CAPABLE, StateReason.HIGHER_NODE)
    election.receive(Instant(10.0), beacon(100, BeaconState.CAPABLE))
    election.advance(Instant(10.0), able=True)
    assert election.state is BeaconState.FORWARDING
