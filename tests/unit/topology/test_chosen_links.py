"""Chosen links of one node: what it chooses, keeps, replaces and accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest

from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.time import Instant
from treecast.topology.chosen_links import (
    ACCEPTED_LINKS,
    ASIDE_FOR,
    GUESTS,
    MESH_NODES,
    SUCCESSORS,
    UNANSWERED_AFTER,
    ChosenLinks,
    far_count,
)
from treecast.topology.near_links import CHANGE_INTERVAL, MEASURED_FOR, TRIALS_PER_LINK
from treecast.topology.ring import position_of

ME = NodeIndex(1)
MOST = 8


def id_of(node: int) -> bytes:
    return node.to_bytes(16, "big")


class Choosing:
    """A node that knows ``count`` nodes in all. ``linked``: round trips of its links, which follow what it chooses."""

    def __init__(self, count: int, most: int = MOST) -> None:
        self.links = ChosenLinks(ME, id_of(ME), most)
        for node in range(2, count + 1):
            self.links.learn(NodeIndex(node), id_of(node))
        self.now = 0.0
        self.ms: dict[NodeIndex, float] = {}
        self.dead: set[NodeIndex] = set()
        self.linked: dict[NodeIndex, float | None] = {}
        self.static: tuple[NodeIndex, ...] = ()
        self.estimated: Mapping[NodeIndex, float] = {}
        self.estimates = 0

    def _estimates(self) -> Mapping[NodeIndex, float]:
        self.estimates += 1
        return self.estimated

    def review(self) -> dict[NodeIndex, LinkReason]:
        self.now += 1.0
        chosen = self.links.review(Instant(self.now), self.linked, self.static, self._estimates)
        self.linked = {node: self.ms.get(node, 50.0) for node in chosen if node not in self.dead}
        return dict(chosen)

    def run(self, seconds: float) -> dict[NodeIndex, LinkReason]:
        return [self.review() for _ in range(int(seconds))][-1]

    def of(self, *reasons: LinkReason) -> set[NodeIndex]:
        return {node for node, reason in self.links.chosen.items() if reason in reasons}


def nodes(*numbers: int) -> list[NodeIndex]:
    return [NodeIndex(number) for number in numbers]


def test_a_network_of_16_is_a_mesh_and_one_of_17_is_not() -> None:
    few = Choosing(MESH_NODES)
    assert set(few.review().values()) == {LinkReason.MESH} and len(few.links.chosen) == MESH_NODES - 1
    few.links.learn(NodeIndex(17), id_of(17))
    assert len(few.review()) == MOST
    few.links.forget(NodeIndex(17))
    assert len(few.review()) == MESH_NODES - 1


@pytest.mark.parametrize(("count", "far"), [(17, 2), (64, 2), (65, 3), (512, 3), (1000, 4)])
def test_two_successors_a_third_of_the_logarithm_far_ones_and_the_rest_near(count: int, far: int) -> None:
    some = Choosing(count)
    some.review()
    assert far_count(count) == far
    assert len(some.of(LinkReason.RING)) == 2
    assert len(some.of(LinkReason.FAR)) == far
    assert len(some.of(LinkReason.NEAR)) == MOST - 2 - far


def test_a_node_that_the_operator_has_named_is_chosen_in_place_of_a_near_one() -> None:
    some = Choosing(64)
    some.review()
    other = next(node for node in nodes(*range(2, 65)) if node not in some.links.chosen)
    some.static = (other,)
    chosen = some.review()
    assert len(chosen) == MOST and chosen[other] is LinkReason.STATIC
    assert some.links.reason(other) is LinkReason.STATIC


def test_what_is_not_chosen_is_accepted() -> None:
    some = Choosing(64)
    some.review()
    other = next(node for node in nodes(*range(2, 65)) if node not in some.links.chosen)
    assert some.links.reason(other) is LinkReason.ACCEPTED


def test_the_same_input_gives_the_same_links_for_ever() -> None:
    some = Choosing(64)
    settled = some.run(3000)  # until all trials are over
    assert all(some.review() == settled for _ in range(500))


def test_as_many_are_tried_as_find_the_near_ones_and_then_no_more() -> None:
    some = Choosing(64)
    seen: set[NodeIndex] = set()
    for _ in range(3000):
        seen |= some.review().keys()
    near = MOST - 2 - far_count(64)
    assert len(seen) <= MOST + TRIALS_PER_LINK * MOST
    assert len(seen) >= MOST + near


def test_a_shorter_link_is_up_before_the_longest_goes_and_one_changes_in_30_s() -> None:
    some = Choosing(64)
    before = set(some.review())
    some.ms = {NodeIndex(node): 1.0 for node in range(2, 65) if node not in before}
    changes: list[float] = []
    long = some.of(LinkReason.NEAR)
    for _ in range(400):
        last = some.of(LinkReason.NEAR)
        some.review()
        now = some.of(LinkReason.NEAR)
        for node in last - now:
            if node in long:  # not one that was tried only
                long.discard(node)
                changes.append(some.now)
                assert any(some.linked.get(new) == 1.0 for new in now)
    assert len(changes) == MOST - 2 - far_count(64)
    assert all(later - earlier >= CHANGE_INTERVAL for earlier, later in pairwise(changes))
    assert all(some.linked[node] == 1.0 for node in some.of(LinkReason.NEAR))


def test_of_short_links_that_others_have_made_one_takes_the_place_of_a_long_one_in_30_s() -> None:
    some = Choosing(64)
    some.review()
    accepted = [node for node in nodes(*range(2, 65)) if node not in some.links.chosen][:3]
    some.ms = dict.fromkeys(accepted, 1.0)
    changes: list[float] = []
    for _ in range(100):
        some.linked |= dict.fromkeys(accepted, 1.0)
        before = some.of(LinkReason.NEAR)
        some.review()
        changes += [some.now for node in accepted if node in some.of(LinkReason.NEAR) - before]
    assert [later - earlier for earlier, later in pairwise(changes)] == [CHANGE_INTERVAL] * 2


@pytest.mark.parametrize(("long_ms", "short_ms", "changes"), [(50, 41, False), (50, 39, True), (5, 3.5, False)])
def test_only_a_clear_gain_changes_a_near_link(long_ms: float, short_ms: float, changes: bool) -> None:
    some = Choosing(64)
    before = set(some.review())
    some.ms = {NodeIndex(node): long_ms if node in before else short_ms for node in range(2, 65)}
    some.run(200)
    assert bool(some.of(LinkReason.NEAR) - before - {some.links.trial}) is changes


def test_nodes_that_are_near_by_what_others_measure_are_tried_first() -> None:
    some = Choosing(64)
    some.review()
    close = next(node for node in nodes(*range(2, 65)) if node not in some.links.chosen)
    some.estimated = {close: 3.0}
    some.ms = {close: 2.0}
    some.run(2 * CHANGE_INTERVAL + MEASURED_FOR + 3)
    assert close in some.of(LinkReason.NEAR)
    assert some.estimates < 10, "not with each review"


def test_a_chosen_node_that_does_not_answer_gives_its_place_to_the_next_one() -> None:
    some = Choosing(64)
    some.review()
    successors = some.of(LinkReason.RING)
    some.dead = {min(successors)}
    some.run(UNANSWERED_AFTER + 3)
    assert len(some.of(LinkReason.RING)) == 2 and some.of(LinkReason.RING) != successors
    assert len(some.links.chosen) - (some.links.trial is not None) == MOST
    some.dead.clear()
    some.run(ASIDE_FOR + 1)
    assert some.of(LinkReason.RING) == successors


def test_a_node_that_refuses_is_chosen_for_nothing_for_a_while() -> None:
    some = Choosing(64)
    far = min(some.review().items(), key=lambda item: item[1] is not LinkReason.FAR)[0]
    some.dead.add(far)
    some.linked.pop(far)
    some.links.set_aside(Instant(some.now), far)
    assert far not in some.review()
    assert len(some.of(LinkReason.FAR)) == far_count(64)


def accepted(some: Choosing, linked: Iterable[NodeIndex], node: int, *, is_listed: bool = True) -> bool:
    links = list(linked)
    return some.links.accepts(NodeIndex(node), links, links, is_listed=is_listed)


def before_on_ring(count: int) -> set[NodeIndex]:
    """The nodes of which this one is a successor, of so many."""
    ring = sorted(nodes(*range(1, count + 1)), key=lambda node: position_of(id_of(node)))
    return {ring[ring.index(ME) - step] for step in range(1, SUCCESSORS + 1)}


def test_24_links_are_accepted_with_places_for_what_is_chosen_and_for_the_ring() -> None:
    some = Choosing(64)
    some.review()
    others = [node for node in nodes(*range(2, 65)) if node not in some.links.chosen]
    before_me = before_on_ring(64)
    strangers = [node for node in others if node not in before_me]
    taken: list[NodeIndex] = []
    for node in strangers:
        if accepted(some, taken, node):
            taken.append(node)
    assert len({*taken, *some.links.chosen, *before_me}) == ACCEPTED_LINKS
    full = [*taken, *some.links.chosen]
    assert all(accepted(some, full, node) for node in before_me - {*full})
    assert accepted(some, full, full[0]), "what is there stays"
    assert not accepted(some, strangers[:ACCEPTED_LINKS], min(some.links.chosen)), "no more than that, whoever it is"


def test_a_node_that_nobody_has_a_link_with_is_a_guest_where_all_is_full() -> None:
    some = Choosing(100)
    some.review()
    full = nodes(*range(2, 2 + ACCEPTED_LINKS))
    assert not accepted(some, full, 90)
    assert accepted(some, full, 90, is_listed=False)
    assert not accepted(some, nodes(*range(2, 2 + ACCEPTED_LINKS + GUESTS)), 90, is_listed=False)


def test_who_comes_before_a_node_on_the_ring_is_accepted_where_guests_have_the_last_places() -> None:
    some = Choosing(64)
    some.review()
    others = [node for node in nodes(*range(2, 65)) if node not in {*some.links.chosen, *before_on_ring(64)}]
    full, before_me = others[:ACCEPTED_LINKS], min(before_on_ring(64) - {*some.links.chosen})
    assert not some.links.accepts(before_me, full, full, is_listed=True)
    assert some.links.accepts(before_me, full, full[1:], is_listed=True), "one of them is a guest"
    assert not some.links.accepts(others[-1], full, full[1:], is_listed=True)


def test_before_a_node_has_chosen_places_are_kept_for_as_many_as_it_will_choose() -> None:
    some = Choosing(64)
    taken: list[NodeIndex] = []
    for node in nodes(*range(2, 65)):
        if accepted(some, taken, node):
            taken.append(node)
    assert len(taken) == ACCEPTED_LINKS - MOST


def test_a_node_with_all_the_links_that_it_accepts_tries_no_near_one() -> None:
    for surplus, tries in ((-1, True), (0, False)):
        some = Choosing(64)
        some.review()
        others = [node for node in nodes(*range(2, 65)) if node not in some.links.chosen]
        accepted_ones = dict.fromkeys(others[: ACCEPTED_LINKS - MOST + surplus], 50.0)
        trials: set[NodeIndex | None] = set()
        for _ in range(int(3 * CHANGE_INTERVAL)):
            some.linked |= accepted_ones
            some.review()
            trials.add(some.links.trial)
        assert bool(trials - {None}) is tries


@pytest.mark.parametrize(("most", "accepts"), [(4, 24), (16, 24), (20, 30), (128, 192)])
def test_half_as_many_again_are_accepted_as_may_be_chosen(most: int, accepts: int) -> None:
    assert ChosenLinks(ME, id_of(ME), most).accepts_most == accepts
