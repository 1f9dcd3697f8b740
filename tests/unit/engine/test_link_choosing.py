"""Links of bounded number in an engine's reviews: how long one lasts that is to end."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.unit.engine.test_idle_turns import FIRST, UNIX_S, Acknowledged
from treecast.base.time import Duration, Instant
from treecast.engine.link_choosing import GUEST_FOR, LISTED_AFTER, SETTLED_AFTER, WAITS_FOR
from treecast.topology.chosen_links import ACCEPTED_LINKS
from treecast.wire.advertised_links import NOT_KEPT, LinksContent
from treecast.wire.advertisement import Body, Kind, emit

ME = 1
CHOSEN = 2
"""The links that the engine chooses. All nodes have the same keys, and so one place on the ring: in a network of 17 and
more these are the nodes with the lowest numbers, but those that have not answered lately.
"""
SECOND = FIRST + 1


class Choosing(Acknowledged):
    """An engine that chooses links, knows so many nodes from ``FIRST`` on, and is linked to some of them."""

    def __init__(self, known: int, linked: Collection[int]) -> None:
        super().__init__(max_links=CHOSEN)
        self.by, *others = linked
        self.link(self.by)
        for peer in range(FIRST, FIRST + known):
            self.advertise_node(self.by, peer)
        for peer in others:
            self.link(peer)

    def lists(self, peer: int, links: Collection[int], flag: int = 0) -> None:
        """A node publishes LINKS with these, each with this flag."""
        content = LinksContent(tuple(links), flags=bytes((flag,)) * len(links))
        self.advertise(self.by, Body(peer, 1, 2, Kind.LINKS, b"\0", emit(content)))

    def listed(self) -> list[int]:
        """The nodes that it has a link with, as its own LINKS have them."""
        return sorted(self.engine.view.footprint().broadcast.neighbours)

    def lasts(self, peer: int) -> Duration | None:
        """The time from the first review on at which the link with a node ends; None: not within a minute."""
        began = self.now
        for _ in range(60):
            self.carry_out(self.engine.review(self.now, UNIX_S + self.now, []))
            if peer not in self.listed():
                return self.now - began
            self.now = Instant(self.now + 1.0)
        return None


def test_a_link_that_the_other_end_lists_no_more_ends_when_there_was_time_to_list_it() -> None:
    node = Choosing(2, (FIRST, SECOND))
    node.lists(FIRST, (ME, SECOND))
    node.lists(SECOND, (FIRST,))
    assert node.lasts(SECOND) == LISTED_AFTER
    assert node.listed() == [FIRST]


def test_a_link_beyond_what_is_accepted_lasts_until_its_node_has_had_time_to_learn_of_others() -> None:
    linked = range(FIRST, FIRST + ACCEPTED_LINKS + 1)
    node = Choosing(len(linked), linked)
    node.lists(FIRST, (ME, *linked[1:]))
    for peer in linked[1:]:
        node.lists(peer, (ME, FIRST))
    assert node.listed() == [*linked]
    assert node.lasts(linked[CHOSEN]) == GUEST_FOR
    assert len(node.listed()) == ACCEPTED_LINKS


@pytest.mark.parametrize(
    ("linked", "lasts"),
    [((FIRST, SECOND, FIRST + 19), SETTLED_AFTER), ((FIRST + 18, FIRST + 19), WAITS_FOR)],
    ids=["the chosen ones are up", "the chosen ones do not answer"],
)
def test_a_link_that_neither_end_keeps_by_itself_waits_a_while_for_the_chosen_ones(
    linked: tuple[int, ...], lasts: Duration
) -> None:
    *kept, unwanted = linked
    node = Choosing(20, linked)
    for peer in kept:
        node.lists(peer, (ME, unwanted))
    node.lists(unwanted, (ME, *kept), NOT_KEPT)
    assert node.lasts(unwanted) == lasts
    assert node.listed() == kept
