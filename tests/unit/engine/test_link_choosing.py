"""Links of bounded number in an engine's reviews: how long one lasts that is to end."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.unit.engine.test_idle_turns import FIRST, UNIX_S, Acknowledged
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.engine.link_choosing import GUEST_FOR, LISTED_AFTER, SETTLED_AFTER, WAITS_FOR
from treecast.topology.chosen_links import ACCEPTED_LINKS
from treecast.topology.on_demand_links import CountedTraffic
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
        self.sequence = 1
        self.by, *others = linked
        self.link(self.by)
        for peer in range(FIRST, FIRST + known):
            self.advertise_node(self.by, peer)
        for peer in others:
            self.link(peer)

    def lists(self, peer: int, links: Collection[int], flag: int = 0) -> None:
        """A node publishes LINKS with these, each with this flag."""
        content = LinksContent(tuple(links), flags=bytes((flag,)) * len(links))
        self.sequence += 1
        self.advertise(self.by, Body(peer, 1, self.sequence, Kind.LINKS, b"\0", emit(content)))

    def listed(self) -> list[int]:
        """The nodes that it has a link with, as its own LINKS have them."""
        return sorted(self.engine.view.footprint().broadcast.neighbours)

    def review(self) -> None:
        self.carry_out(self.engine.review(self.now, UNIX_S + self.now, []))

    def lasts(self, peer: int, reviews: int = 60) -> Duration | None:
        """The time from the first review on at which the link with a node ends; None: not within so many."""
        began = self.now
        for _ in range(reviews):
            self.review()
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


GUEST, NEXT_GUEST = FIRST + 2, FIRST + 3
BEFORE_ME = FIRST + 30
"""The last of all, so that it chooses the engine as its next one on the ring."""
WHILE_ADVERTISED = 20
"""Reviews by which links are settled; what is advertised lasts for longer."""


def settled(links: int) -> tuple[Choosing, list[int]]:
    """A node whose links have been there for a while, and that their other ends keep. It knows some nodes more."""
    linked = [FIRST, SECOND, *range(NEXT_GUEST + 1, NEXT_GUEST + links - 1)]
    node = Choosing(links + 2, linked)
    node.lists(FIRST, (ME, *linked[1:]))
    for peer in linked[1:]:
        node.lists(peer, (ME, FIRST))
    assert node.lasts(FIRST, WHILE_ADVERTISED) is None
    assert node.listed() == linked
    return node, linked


def with_a_guest(node: Choosing, guest: int) -> None:
    node.link(guest)
    node.lists(guest, (ME,))


def with_another_link(node: Choosing, guest: int) -> None:
    """The guest has one with a node that has links with all."""
    node.lists(guest, (ME, node.by))
    node.lists(node.by, (ME, *(peer for peer in {*node.listed(), guest} if peer != node.by)))


def test_a_link_beyond_what_is_accepted_lasts_until_its_node_has_had_time_to_learn_of_others() -> None:
    node, linked = settled(ACCEPTED_LINKS)
    with_a_guest(node, GUEST)
    with_another_link(node, GUEST)
    assert node.listed() == sorted([*linked, GUEST])
    assert node.lasts(GUEST) == GUEST_FOR
    assert node.listed() == linked


def test_a_guest_that_has_no_others_stays_and_no_settled_link_ends_for_it() -> None:
    node, linked = settled(ACCEPTED_LINKS)
    with_a_guest(node, GUEST)
    assert node.lasts(GUEST, WHILE_ADVERTISED) is None
    assert node.listed() == sorted([*linked, GUEST])
    with_another_link(node, GUEST)
    assert node.lasts(GUEST) == 0.0
    assert node.listed() == linked


def test_a_guest_is_settled_when_there_are_fewer_links_and_does_not_go_for_the_next_guest() -> None:
    node, linked = settled(ACCEPTED_LINKS)
    with_a_guest(node, GUEST)
    assert node.lasts(GUEST, WHILE_ADVERTISED) is None
    node.lists(linked[5], (FIRST,))
    assert linked[5] not in node.listed(), "its other end wants it no more"
    assert node.lasts(GUEST, 1) is None
    with_another_link(node, GUEST)
    with_a_guest(node, NEXT_GUEST)
    assert node.lasts(GUEST, 6) is None
    assert node.listed() == sorted({*linked, GUEST, NEXT_GUEST} - {linked[5]})


def test_a_guest_goes_when_one_comes_that_is_before_this_node_on_the_ring() -> None:
    node, linked = settled(ACCEPTED_LINKS - 1)
    node.advertise_node(node.by, BEFORE_ME)
    node.lists(BEFORE_ME, (FIRST,))
    node.lists(FIRST, (ME, BEFORE_ME, *linked[1:]))
    assert node.lasts(FIRST, 1) is None
    with_a_guest(node, GUEST)
    with_another_link(node, GUEST)
    assert node.lasts(GUEST, 6) is None, "there is room, as long as nobody comes"
    node.link(BEFORE_ME)
    node.lists(BEFORE_ME, (ME, FIRST))
    assert node.lasts(GUEST) == 0.0
    assert node.listed() == [*linked, BEFORE_ME]


def test_a_guest_is_not_settled_before_this_node_has_had_time_to_choose() -> None:
    """Many nodes may start by one: the first have links before that one knows whom it chooses."""
    linked = [*range(GUEST, GUEST + ACCEPTED_LINKS)]
    early, late = [peer for peer in linked if peer not in linked[4:6]], linked[4:6]
    node = Choosing(0, linked[:1])
    for peer in linked:
        node.advertise_node(node.by, peer)
    for peer in early[1:]:
        node.link(peer)
    node.lists(node.by, (ME, *linked[1:]))
    assert node.lasts(node.by, 1) is None
    for peer in late:
        node.link(peer)
    for peer in linked[1:]:
        node.lists(peer, (ME, node.by))
    assert node.lasts(node.by, 5) is None
    for chosen in (FIRST, SECOND):
        node.advertise_node(node.by, chosen)
        with_a_guest(node, chosen)
        with_another_link(node, chosen)
    node.review()
    assert node.listed() == [FIRST, SECOND, *early]


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


def test_a_link_on_demand_is_one_beyond_those_that_are_accepted() -> None:
    accepted = range(FIRST, FIRST + ACCEPTED_LINKS)
    busy = accepted[-1] + 1
    node = Choosing(ACCEPTED_LINKS + 1, accepted)
    for seconds in range(8):
        counted = [CountedTraffic(NodeIndex(busy), seconds * 50_000)]
        node.engine.rooms.on_demand_links.review(Instant(node.now + seconds), counted, (), (), lambda _: 1)
    node.link(busy)
    node.lists(FIRST, (ME, *accepted[1:], busy))
    for peer in (*accepted[1:], busy):
        node.lists(peer, (ME, FIRST))
    assert node.lasts(busy) is None
    assert node.listed() == [*accepted, busy]
