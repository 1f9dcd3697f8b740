"""Reconciliation: which differing fingerprint is worth a comparison, with whom, when, and what a liar costs."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise

import pytest

from tests.unit.broadcast.test_broadcast import Node, node_advertisement
from tests.unit.broadcast.test_digests import LAST, acknowledge_all
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.broadcast import reconciliation
from treecast.broadcast.quotas import DEFAULT_QUOTA
from treecast.broadcast.reconciliation import (
    DISPUTED_FOR,
    FIRST_PAUSE,
    LAST_PAUSE,
    LASTING_AFTER,
    LATER,
    NAMED_AFTER,
    START_INTERVAL,
)
from treecast.wire.advertisement import parse_signed
from treecast.wire.control import MAX_RANGES, Acknowledge, Digest, Flood, Ranges

GROUP = IPv4Address("239.1.1.1")
PROBES_S = 2.0
EVERYTHING = Ranges(0, tuple((LAST // MAX_RANGES * (n + 1), bytes(8)) for n in range(MAX_RANGES)))


def linked(*peers: int) -> Node:
    """A node that has been linked to these for a while, and waits for nothing."""
    node = Node(1)
    node.link(*peers)
    for second in (0.0, 2.0, 4.0):
        node.now = Instant(second)
        acknowledge_all(node)
    node.now = Instant(20.0)
    return node


def differs(node: Node, peer: int, difference: int = 7) -> None:
    node.broadcast.fingerprint_differs(node.now, NodeIndex(peer), difference)


def compared(node: Node, duration: float) -> list[tuple[float, int]]:
    """The times at which it began to compare all it holds, and the peers."""
    end, begun = node.now + duration, []
    while node.now < end:
        node.now = Instant(node.now + 0.05)
        for peer, message in node.said():
            if isinstance(message, Digest | Ranges) and message.first == 0:
                begun.append((float(node.now), peer))
    return begun


def test_a_difference_is_compared_when_it_is_the_same_once_more() -> None:
    node = linked(2)
    differs(node, 2)
    assert compared(node, PROBES_S) == []
    differs(node, 2)
    ((when, peer),) = compared(node, 1.0)
    assert (peer, when <= 22.6) == (2, True)


def test_a_difference_of_which_probe_and_reply_tell_at_once_counts_once() -> None:
    node = linked(2)
    differs(node, 2)
    node.now = Instant(node.now + 0.5)
    differs(node, 2)
    assert compared(node, 10.0) == []


def test_differences_that_change_are_of_changes_on_their_way_unless_they_last() -> None:
    node, began = linked(2), 20.0
    begun: list[tuple[float, int]] = []
    for difference in range(1, 20):
        differs(node, 2, difference)
        begun += compared(node, PROBES_S)
    assert LASTING_AFTER <= begun[0][0] - began <= LASTING_AFTER + 2 * PROBES_S


def test_a_neighbour_that_agrees_again_in_time_is_not_compared() -> None:
    node = linked(2, 3, 4, 5)
    differs(node, 2)
    node.now = Instant(node.now + PROBES_S)
    differs(node, 2)
    begun = compared(node, LATER[0] - 0.1)
    differs(node, 2, 0)
    assert begun + compared(node, 60.0) == []


def test_what_is_on_its_way_to_a_neighbour_is_no_difference() -> None:
    node = linked(2)
    node.broadcast.put_group((0, GROUP), ANY_SOURCE)
    node.broadcast.advance(node.now)
    differs(node, 2)
    begun = compared(node, PROBES_S)
    differs(node, 2)
    assert begun + compared(node, PROBES_S) == []
    node.now = Instant(node.now + PROBES_S)
    acknowledge_all(node)
    differs(node, 2)
    assert [peer for _, peer in compared(node, 2.0)] == [2]


def test_a_node_compares_with_one_neighbour_at_a_time() -> None:
    node = linked(*range(2, 12))
    for _ in range(2):
        for peer in range(2, 12):
            differs(node, peer)
        node.now = Instant(node.now + PROBES_S)
    begun = compared(node, 40.0)
    assert {peer for _, peer in begun} == set(range(2, 12))
    assert all(later[0] - earlier[0] >= START_INTERVAL - 0.06 for earlier, later in pairwise(begun))


def test_a_node_that_agrees_with_most_leaves_the_first_word_to_the_one_that_does_not() -> None:
    node = linked(2, 3, 4, 5)
    differs(node, 2)
    node.now = Instant(node.now + PROBES_S)
    differs(node, 2)
    ((when, _),) = compared(node, 10.0)
    assert LATER[0] <= when - 22.0 <= LATER[1] + 0.1


def test_who_is_compared_by_a_neighbour_need_not_compare_with_it() -> None:
    node = linked(2)
    differs(node, 2)
    node.now = Instant(node.now + PROBES_S)
    differs(node, 2)
    node.hear(2, Digest(0, LAST, ()))
    acknowledge_all(node)
    assert compared(node, FIRST_PAUSE) == []


def test_a_neighbour_that_lies_for_ever_costs_a_comparison_in_half_a_minute() -> None:
    node = linked(2)
    begun: list[tuple[float, int]] = []
    for _ in range(300):
        differs(node, 2)
        begun += compared(node, PROBES_S)
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(begun)]
    assert 0.8 * FIRST_PAUSE <= pauses[0] <= FIRST_PAUSE + PROBES_S + 0.6
    assert all(0.8 * LAST_PAUSE <= pause <= LAST_PAUSE + PROBES_S + 0.6 for pause in pauses[4:])


def test_a_neighbour_that_agrees_now_and_then_costs_one_in_four_seconds() -> None:
    node = linked(2)
    begun: list[tuple[float, int]] = []
    for turn in range(300):
        differs(node, 2, 7 if turn % 3 else 0)
        begun += compared(node, PROBES_S)
    assert 0 < len(begun) <= 600 / (0.8 * FIRST_PAUSE)


def test_descriptions_of_one_neighbour_have_a_rate_and_the_others_have_theirs() -> None:
    node = linked(2, 3)
    for _ in range(3_000):
        node.hear(2, EVERYTHING)
    answers = [message for peer, message in node.said() if peer == 2]
    assert 100 <= len(answers) <= 256
    assert node.drops.snapshot()["reconciliation_rate"] > 2_000
    before = node.drops.snapshot()
    node.hear(3, EVERYTHING)
    assert [peer for peer, _ in node.said()] == [3]
    assert node.drops.snapshot() == before
    node.now = Instant(node.now + 10.0)
    node.said()
    for _ in range(3_000):
        node.hear(2, EVERYTHING)
    assert len([peer for peer, message in node.said() if isinstance(message, Digest) and peer == 2]) <= 160


def test_descriptions_that_need_no_answer_have_a_rate_too() -> None:
    node = linked(2, 3)
    for _ in range(3_000):
        node.hear(2, Digest(LAST, LAST, ()))
    assert node.drops.snapshot()["reconciliation_rate"] > 2_000
    assert node.said() == []


def test_answers_have_a_rate_where_each_description_has_many() -> None:
    node = linked(2, 3)
    fingerprints = [bytes(7) + bytes((number % 2 if number < 14 else 0,)) for number in range(MAX_RANGES)]
    description = Ranges(1000, tuple((1009 + 10 * number, one) for number, one in enumerate(fingerprints)))
    node.hear(2, description)
    assert len(node.said()) == 7
    for _ in range(3_000):
        node.hear(2, description)
    assert 100 <= len(node.said()) <= 256


def test_a_neighbour_that_wants_all_again_and_again_is_offered_all_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "RECORDS_BURST", 1e9)
    node = linked(2, 3)
    node.hear(3, Flood(tuple(node_advertisement(origin) for origin in range(10, 42))))
    acknowledge_all(node)
    node.now = Instant(node.now + 100.0)
    offered = 0
    for _ in range(1_000):
        node.hear(2, Digest(0, LAST, ()))
        floods = node.floods()
        offered += bool(floods)
        for _, wire in floods:
            body = parse_signed(wire)[1]
            node.hear(2, Acknowledge(((body.origin, body.epoch, body.sequence),)))
    assert 100 <= offered <= 140


def test_a_neighbour_that_differs_for_good_is_named_while_most_agree() -> None:
    node = linked(2, 3, 4)

    def named() -> list[tuple[str, str]]:
        problems = node.broadcast.reconciliation.problems(node.now, lambda peer: f"n{peer}")
        return [(problem.kind, problem.subject) for problem in problems]

    differs(node, 3)
    node.now = Instant(node.now + NAMED_AFTER - 1.0)
    assert named() == []
    node.now = Instant(node.now + 1.0)
    assert named() == [("database_differs", "n3")]
    differs(node, 2)
    assert named() == [], "where most differ it may be this node"
    differs(node, 2, 0)
    assert named() == [("database_differs", "n3")]
    differs(node, 3, 0)
    assert named() == []


def test_where_an_origin_over_its_quota_is_what_two_hold_differently_it_is_named_and_the_neighbour_is_not() -> None:
    node, origin = linked(2, 3, 4), 9
    node.hear(2, Flood((node_advertisement(origin),)))

    def named() -> list[str]:
        problems = node.broadcast.reconciliation.problems(node.now, lambda peer: f"n{peer}")
        return [problem.subject for problem in problems if problem.kind == "database_differs"]

    def described(peer: int, *, held: bool) -> None:
        node.hear(peer, Digest(origin, origin, ((origin, 1, bytes(8)),) if held else ()))

    differs(node, 3)
    described(3, held=True)
    node.now = Instant(node.now + NAMED_AFTER)
    described(3, held=True)
    assert named() == ["n3"], "the origin has no more than it may"
    node.broadcast.over_quota.note(node.now, NodeIndex(origin), "hosts", DEFAULT_QUOTA)
    described(4, held=True)
    assert named() == ["n3"], "another neighbour's"
    for held in (True, False):
        described(3, held=held)
        assert named() == ["n9"]
        node.now = Instant(node.now + DISPUTED_FOR)
        assert named() == ["n3"], "that is over, and it differs"
    node.broadcast.over_quota.note(node.now, node.index, "hosts", DEFAULT_QUOTA)
    node.hear(3, Digest(node.index, node.index, ()))
    assert named() == ["n3"], "it lacks what this node has"
