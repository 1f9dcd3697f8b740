"""Which chunk lists which group: groups that come together share advertisements, and those that stay keep theirs."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.unit.broadcast.test_broadcast import Node
from treecast.base.counters import Drops
from treecast.base.flows import GroupKey
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.broadcast.own_groups import MAX_LISTED_BYTES, OPEN_BYTES, OwnGroups
from treecast.broadcast.quotas import DEFAULT_QUOTA
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.wire.advertised_groups import MAX_SOURCES
from treecast.wire.advertisement import Kind, emit, parse_signed

START = Instant(0.0)
SOURCES = [IPv4Address("10.0.0.0") + number for number in range(MAX_SOURCES)]


def group(number: int) -> GroupKey:
    return 0, IPv4Address("239.1.0.0") + number


def of_sources(count: int) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(SOURCES[:count]))


class Own:
    """This node's groups, and what others hold of them."""

    def __init__(self, count: int = 0) -> None:
        self.drops = Drops()
        self.groups = OwnGroups(self.drops)
        self.held: dict[bytes, dict[GroupKey, bool]] = {}
        """The groups of each chunk, and whether they have moved."""
        for number in range(count):
            self.groups.put(group(number), ANY_SOURCE)
        self.publish()

    def publish(self, now: float = 0.0) -> list[bytes]:
        changed = self.groups.take_changed(Instant(now))
        for key, content in changed:
            self.held[key] = {one.key: one.is_moved for one in content.groups} if content else {}
        return [key for key, _ in changed]

    def change(self, number: int, wanted: SourceFilter, now: float = 0.0) -> list[bytes]:
        self.groups.put(group(number), wanted)
        return self.publish(now)

    def chunks_of(self, number: int) -> dict[bytes, bool]:
        return {key: listed[group(number)] for key, listed in self.held.items() if group(number) in listed}


def test_200_groups_that_are_joined_in_one_turn_take_two_signatures() -> None:
    node = Node(1)
    node.link(2)
    node.said()
    for number in range(200):
        node.broadcast.put_group(group(number), ANY_SOURCE)
    node.broadcast.advance(node.now)
    wires = [wire for _, wire in node.floods()]
    assert [parse_signed(wire)[1].kind for wire in wires] == [Kind.GROUPS] * 2
    assert sum(map(len, wires)) < 2_400


def test_a_join_or_a_leave_changes_one_advertisement_with_few_other_groups() -> None:
    own = Own(1_000)
    (joined,) = own.change(1_000, ANY_SOURCE)
    size = sum(len(emit(one)) for one in own.groups._chunks[int.from_bytes(joined, "big")].listed.values())
    assert size <= OPEN_BYTES + 10
    assert own.change(1_000, NO_SOURCE) == [joined]
    assert len(own.change(500, NO_SOURCE)) == 1


def test_changes_of_one_turn_that_come_to_nothing_are_not_published() -> None:
    own = Own(3)
    own.groups.put(group(3), ANY_SOURCE)
    own.groups.put(group(3), NO_SOURCE)
    own.groups.put(group(1), NO_SOURCE)
    own.groups.put(group(1), ANY_SOURCE)
    assert own.publish() == []


def test_a_group_that_is_left_and_joined_in_one_turn_stays_where_it_is() -> None:
    own = Own(300)
    before = own.chunks_of(7)
    own.groups.put(group(7), NO_SOURCE)
    own.groups.put(group(7), of_sources(1))
    assert own.publish() == list(before)
    assert own.chunks_of(7) == before


def test_a_chunk_whose_groups_are_all_left_is_withdrawn_and_taken_again() -> None:
    own = Own(10)
    for number in range(10):
        own.groups.put(group(number), NO_SOURCE)
    assert [content for _, content in own.groups.take_changed(START)] == [None]
    assert own.change(20, ANY_SOURCE) == [b"\0\0"]


def test_a_group_that_has_outgrown_its_chunk_is_listed_there_as_moved_until_all_have_the_other_one() -> None:
    own = Own(100)
    assert own.change(5, of_sources(20)) == [b"\0\0", b"\0\1"]
    assert own.chunks_of(5) == {b"\0\0": True, b"\0\1": False}
    own.change(6, NO_SOURCE, WITHDRAWN_LIFETIME - 0.1)
    assert own.chunks_of(5) == {b"\0\0": True, b"\0\1": False}
    own.change(7, NO_SOURCE, WITHDRAWN_LIFETIME)
    assert own.chunks_of(5) == {b"\0\1": False}


def test_a_group_that_has_moved_and_is_left_is_listed_nowhere() -> None:
    own = Own(100)
    own.change(5, of_sources(20))
    assert own.change(5, NO_SOURCE) == [b"\0\0", b"\0\1"]
    assert own.chunks_of(5) == {}


def test_a_chunk_of_one_group_s_own_takes_no_other_until_that_is_left() -> None:
    own = Own(100)
    own.change(5, of_sources(20))
    own.change(200, ANY_SOURCE)
    assert list(own.held[b"\0\1"]) == [group(5)]
    assert own.change(5, of_sources(MAX_SOURCES)) == [b"\0\1"], "it never moves again"
    own.change(5, NO_SOURCE)
    own.groups.put(group(300), of_sources(MAX_SOURCES))
    own.groups.put(group(301), of_sources(MAX_SOURCES))
    own.groups.put(group(302), of_sources(MAX_SOURCES))
    own.publish()
    assert len(own.held[b"\0\1"]) > 1


def test_groups_above_the_quota_are_counted_and_wait_and_a_move_at_the_quota_leaves_nothing_behind() -> None:
    own = Own()
    own.groups.quota = DEFAULT_QUOTA._replace(groups=100)
    for number in range(101):
        own.groups.put(group(number), ANY_SOURCE)
    own.publish()
    assert own.drops.snapshot() == {"advertisement_over_quota": 1}
    assert len(own.groups) == 100
    own.change(5, of_sources(20))
    assert own.chunks_of(5) == {b"\0\1": False}
    assert len(own.groups) == 100
    own.change(6, NO_SOURCE)
    own.publish()
    assert own.chunks_of(100) != {}, "there is room now"


def test_a_group_whose_sources_are_above_the_quota_is_listed_as_one_of_any_source() -> None:
    own = Own()
    own.groups.quota = DEFAULT_QUOTA._replace(sources=100)
    for number in range(3):
        own.groups.put(group(number), of_sources(40))
    changed = dict(own.groups.take_changed(START))
    listed = [one for content in changed.values() if content is not None for one in content.groups]
    assert [len(one.sources) for one in sorted(listed, key=lambda one: one.order)] == [40, 40, 0]
    assert listed[-1].source_filter() == ANY_SOURCE
    assert own.groups.refused == "sources"


def test_any_group_fits_a_chunk_of_its_own() -> None:
    own = Own()
    for number in range(3):
        own.groups.put(group(number), of_sources(MAX_SOURCES))
    own.publish()
    assert max(chunk.size_bytes for chunk in own.groups._chunks) <= MAX_LISTED_BYTES
