"""The table of a shared port's states has each row that an election can come to, and no other."""

from __future__ import annotations

from random import Random

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.designated_forwarder.election import Election, Rank
from treecast.designated_forwarder.states import PORT
from treecast.wire.beacon import Beacon, BeaconState

OWN: Rank = (NodeIndex(5), 0)
STEPS_S = (0.05, 0.25, 0.5, 2.0)


def test_elections_come_to_exactly_the_rows_of_the_table() -> None:
    rows = set()
    for seed in range(200):
        rng = Random(seed)
        election, now = Election(Instant(0.0), OWN, Drops(), query_response_interval=1.0), Instant(0.0)
        for sequence in range(60):
            now = Instant(now + rng.choice(STEPS_S))
            if rng.random() < 0.5:
                node = rng.choice((4, 6, 6, 6)) if rng.random() < 0.95 else 5
                state = rng.choice(tuple(BeaconState))
                election.receive(now, Beacon(2, bytes(8), node, 1, sequence, state, 1))
            before = election.state
            election.advance(now, able=rng.random() < 0.95)
            rows.add((before, election.found, election.state))
    assert rows == {(row.state, row.event, row.new_state) for row in PORT}
