"""Links on demand: what traffic makes one, what ends it, how many there are, and what follows where one fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from treecast.base.ids import NodeIndex
from treecast.base.on_demand import MOST_ON_DEMAND, OnDemandConfig
from treecast.base.time import Duration, Instant
from treecast.topology.on_demand_links import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    UNANSWERED_AFTER,
    CountedTraffic,
    OnDemandLinks,
)

CAROL = NodeIndex(7)
MBIT = 1_000_000


class Traffic:
    """A node, and what goes to others: so many bits a second each. ``answers``: whether a link comes up in a second."""

    def __init__(self, config: OnDemandConfig | None = None) -> None:
        self.links = OnDemandLinks(config or OnDemandConfig())
        self.now = Instant(100.0)
        self.bps: dict[NodeIndex, float] = {}
        self.refused_bps: dict[NodeIndex, float] = {}
        self.relays: dict[NodeIndex, int] = {}
        self.round_trips_ms: dict[NodeIndex, float] = {}
        self.chosen: set[NodeIndex] = set()
        self.linked: set[NodeIndex] = set()
        self.answers: Callable[[NodeIndex], bool] = lambda _: True
        self._carried: dict[NodeIndex, float] = {}
        self._refused: dict[NodeIndex, float] = {}
        self._review()

    def run(self, seconds: int) -> set[NodeIndex]:
        """The nodes with which links are wanted then."""
        for _ in range(seconds):
            self.now = Instant(self.now + 1.0)
            for counted, rates in ((self._carried, self.bps), (self._refused, self.refused_bps)):
                for node, bps in rates.items():
                    counted[node] = counted.get(node, 0.0) + bps / 8
            self._review()
            kept = self.links.wanted | self.chosen
            self.linked = {node for node in kept if self.answers(node)}
        return {*self.links.wanted}

    def seconds_until(self, is_so: Callable[[], bool], most: int) -> int:
        for second in range(most + 1):
            if is_so():
                return second
            self.run(1)
        raise AssertionError(f"not within {most} s")

    def wants(self, node: NodeIndex = CAROL) -> bool:
        return node in self.links.wanted

    def _review(self) -> None:
        nodes = sorted({CAROL, *self.bps, *self.refused_bps})
        counted = [
            CountedTraffic(
                node,
                int(self._carried.get(node, 0.0)),
                int(self._refused.get(node, 0.0)),
                self.round_trips_ms.get(node),
            )
            for node in nodes
        ]
        self.links.review(self.now, counted, self.linked, self.chosen, lambda node: self.relays.get(node, 1))


def many(count: int) -> list[NodeIndex]:
    return [NodeIndex(number) for number in range(100, 100 + count)]


def test_more_than_a_megabit_for_five_seconds_makes_a_link() -> None:
    some = Traffic()
    some.bps[CAROL] = 0.9 * MBIT
    assert not some.run(50), "10 MB in a minute are 1.3 Mbit/s"
    some.bps[CAROL] = 1.1 * MBIT
    assert some.seconds_until(some.wants, 10) == 5


def test_a_pause_begins_the_five_seconds_anew() -> None:
    some = Traffic()
    for _ in range(6):
        some.bps[CAROL] = 1.5 * MBIT
        assert not some.run(4)
        some.bps[CAROL] = 0.5 * MBIT
        assert not some.run(1)


def test_ten_megabytes_make_a_link_at_once_when_they_have_gone_within_a_minute() -> None:
    some = Traffic()
    some.bps[CAROL] = 50 * MBIT
    assert some.seconds_until(some.wants, 5) == 2, "6.25 MB a second"
    slow = Traffic(OnDemandConfig(above_bps=100 * MBIT))
    for _ in range(4):
        slow.bps[CAROL] = 16 * MBIT  # 2 MB
        slow.run(1)
        slow.bps[CAROL] = 0
        assert not slow.run(19), "6 MB in a minute"
    slow.bps[CAROL] = 60 * MBIT
    assert slow.run(1) == {CAROL}


def test_what_its_route_has_no_room_for_makes_a_link_however_little_it_is() -> None:
    some = Traffic()
    some.bps[CAROL], some.refused_bps[CAROL] = 0.38 * MBIT, 0.1 * MBIT
    assert not some.run(1)
    some.refused_bps[CAROL] = 0
    assert not some.run(1)
    some.refused_bps[CAROL] = 0.1 * MBIT
    assert some.seconds_until(some.wants, 10) == 2
    demand = some.links.demand(CAROL)
    assert demand is not None and 0.1 * MBIT < demand.rate_bps < 0.48 * MBIT


def test_nodes_that_are_linked_or_chosen_anyway_need_none() -> None:
    some = Traffic()
    some.chosen = {CAROL}
    some.bps[CAROL] = 5 * MBIT
    assert not some.run(30)
    some.answers = lambda _: False
    assert not some.run(30)
    assert some.links.demand(CAROL) is None


def test_a_link_ends_when_next_to_nothing_has_gone_for_three_minutes() -> None:
    some = Traffic()
    some.bps[CAROL] = 5 * MBIT
    some.run(400)
    some.bps[CAROL] = 0.15 * MBIT
    assert some.run(600) == {CAROL}
    some.bps[CAROL] = 0.05 * MBIT
    over = some.seconds_until(lambda: not some.wants(), 300)
    assert 180 <= over <= 190, "the rate is over a moving 10 s"
    assert some.links.demand(CAROL) is None


def test_a_link_is_three_minutes_old_at_least() -> None:
    some = Traffic()
    some.bps[CAROL] = 0.15 * MBIT
    some.run(30)
    assert some.links.admit(some.now, CAROL)
    some.bps[CAROL], some.answers = 0, lambda _: False
    some.run(10)
    some.answers = lambda _: True
    some.run(2)
    assert some.seconds_until(lambda: not some.wants(), 400) == 180, "nothing has gone for longer"


def test_traffic_that_comes_and_goes_changes_nothing_within_three_minutes() -> None:
    some = Traffic()
    changes = 0
    for _ in range(30):
        some.bps[CAROL] = 5 * MBIT
        for _ in range(8):
            before = some.wants()
            some.run(1)
            changes += before is not some.wants()
        some.bps[CAROL] = 0
        for _ in range(52):
            before = some.wants()
            some.run(1)
            changes += before is not some.wants()
    assert changes == 1


def test_a_node_has_at_most_eight_and_those_with_most_traffic_come_first() -> None:
    some = Traffic()
    nodes = many(20)
    for number, node in enumerate(nodes):
        some.bps[node] = (2 + number) * MBIT / 2
    assert some.run(12) == {*nodes[-MOST_ON_DEMAND:]}
    few = Traffic(OnDemandConfig(links=3))
    few.bps = dict(some.bps)
    assert few.run(12) == {*nodes[-3:]}
    none = Traffic(OnDemandConfig(links=0))
    none.bps = dict(some.bps)
    assert not none.run(12)


def test_each_node_between_counts_as_much_as_all_the_traffic_once_more() -> None:
    some = Traffic(OnDemandConfig(links=1))
    near, far = many(2)
    some.bps = {near: 4 * MBIT, far: 2 * MBIT}
    some.relays = {near: 1, far: 3}
    assert some.run(6) == {far}


def test_where_all_are_in_use_an_old_one_gives_way_to_twice_its_score() -> None:
    some = Traffic(OnDemandConfig(links=2))
    one, two, three = many(3)
    some.bps = {one: 2 * MBIT, two: 4 * MBIT}
    assert some.run(30) == {one, two}
    some.bps[three] = 4.2 * MBIT
    assert some.run(140) == {one, two}, "they are not old enough"
    assert some.run(30) == {two, three}
    assert some.run(400) == {two, three}, "2 Mbit/s are not twice as much as 4"


def test_a_link_saves_what_its_round_trip_is_shorter_by() -> None:
    some = Traffic(OnDemandConfig(links=2))
    one, two, three = many(3)
    some.bps = {one: 2 * MBIT, two: 2.5 * MBIT}
    some.round_trips_ms = {one: 100.0, two: 100.0}
    some.run(8)
    some.round_trips_ms = {one: 20.0, two: 90.0}
    some.bps[three] = 6 * MBIT
    assert some.run(240) == {one, three}, "80 ms are worth four nodes between"


def test_a_link_that_does_not_come_up_is_tried_after_pauses_that_double() -> None:
    some = Traffic()
    some.answers = lambda _: False
    some.bps[CAROL] = 5 * MBIT
    some.run(5)
    pauses: list[Duration] = []
    for _ in range(7):
        assert some.wants()
        assert some.seconds_until(lambda: not some.wants(), 20) == UNANSWERED_AFTER
        pauses.append(some.seconds_until(some.wants, 700))
    assert pauses == [FIRST_PAUSE * 2**number for number in range(5)] + [LONGEST_PAUSE] * 2
    demand = some.links.demand(CAROL)
    assert demand is not None and demand.failures == 7


def test_a_link_that_has_lasted_begins_the_pauses_anew() -> None:
    some = Traffic()
    some.answers = lambda _: False
    some.bps[CAROL] = 5 * MBIT
    some.run(5 + 12 + 30 + 12 + 60)
    some.answers = lambda _: True
    some.run(200)
    demand = some.links.demand(CAROL)
    assert demand is not None and demand.failures == 0


def test_a_link_that_ended_by_itself_comes_back_no_sooner_than_one_that_was_idle() -> None:
    some = Traffic()
    some.bps[CAROL] = 5 * MBIT
    some.run(10)
    some.answers = lambda _: False
    some.seconds_until(lambda: not some.wants(), 20)
    assert some.seconds_until(some.wants, 300) >= 180 - 12 - 5


@pytest.mark.parametrize(("bps", "is_admitted"), [(0.05 * MBIT, False), (0.2 * MBIT, True)])
def test_a_link_that_the_other_end_begins_is_one_on_demand_where_the_traffic_shows_it(
    bps: float, is_admitted: bool
) -> None:
    some = Traffic()
    some.bps[CAROL] = bps
    some.run(30)
    assert some.links.admit(some.now, CAROL) is is_admitted
    assert some.wants() is is_admitted
    assert some.run(20) == ({CAROL} if is_admitted else set())


def test_links_that_others_have_begun_are_eight_at_most_and_give_way_to_one_of_its_own() -> None:
    some = Traffic()
    others = many(MOST_ON_DEMAND + 1)
    some.bps = dict.fromkeys(others, 0.2 * MBIT)
    some.run(30)
    assert [some.links.admit(some.now, node) for node in others] == [True] * MOST_ON_DEMAND + [False]
    some.bps[CAROL] = 5 * MBIT
    assert CAROL in some.run(6)
    assert len(some.links.wanted) == MOST_ON_DEMAND


def test_a_node_that_is_known_no_more_is_forgotten_with_its_pauses() -> None:
    some = Traffic()
    some.answers = lambda _: False
    (gone,) = many(1)
    some.bps[gone] = 5 * MBIT
    some.run(20)
    assert some.links.demand(gone) is not None
    del some.bps[gone]
    some.run(2)
    assert some.links.demand(gone) is None
