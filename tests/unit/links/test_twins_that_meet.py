"""Two runs of one node that shake hands know of each other, whoever began; a run that meets itself knows nothing."""

from __future__ import annotations

import pytest

from tests.unit.links.shaking import Node, begin, certificate_of, endpoint_of

MINE, ITS_START, HERE, THERE = certificate_of(1), 7, 1, 9


@pytest.mark.parametrize("older_begins", [False, True])
def test_two_runs_of_one_node_both_learn_of_the_other(older_begins: bool) -> None:
    older, younger = Node(HERE, certificate=MINE, epoch=5), Node(THERE, certificate=MINE, epoch=ITS_START)
    first, second = (older, younger) if older_begins else (younger, older)
    second.hear(0.0, begin(first, second), first.index)
    first.hear(0.0, second.sent()[0], second.index)
    (final,) = first.sent()
    second.hear(0.0, final, first.index)
    for node, other, started in ((older, younger, ITS_START), (younger, older, 5)):
        met = node.links.met_twin()
        assert met is not None
        assert (met.endpoint, met.started_ms) == (endpoint_of(other.index), started)
        assert node.links.met_twin() is None, "once"
        assert node.links.peers() == []
        assert node.drops.snapshot() == {"handshake_with_myself": 1}


def test_a_run_that_meets_itself_has_no_twin() -> None:
    one, same = Node(HERE, certificate=MINE), Node(THERE, certificate=MINE)
    same.hear(0.0, begin(one, same), HERE)
    one.hear(0.0, same.sent()[0], THERE)
    assert one.links.met_twin() is None
