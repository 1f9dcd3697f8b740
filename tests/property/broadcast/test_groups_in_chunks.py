"""Groups in chunks: whatever is joined and left, and in whatever order chunks come, others learn what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from treecast.base.counters import Drops
from treecast.base.flows import GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_GROUPS_PER_ORIGIN
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after
from treecast.broadcast import own_groups
from treecast.broadcast.own_groups import OwnGroups
from treecast.broadcast.quotas import DEFAULT_QUOTA
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.topology.group_listings import GroupListings
from treecast.wire.advertised_groups import GroupsContent, parse_chunk_key, parse_groups
from treecast.wire.advertisement import emit

ORIGIN = NodeIndex(9)
GROUPS: tuple[GroupKey, ...] = tuple((0, IPv6Address("ff3e::1") + number) for number in range(6))
SOURCES = [IPv6Address("2001:db8::") + number for number in range(6)]
CHUNK_BYTES = 140
"""A group with all sources fills it, and a few without any."""
MOST_GROUPS = 4

filters = st.builds(SourceFilter, st.sampled_from(FilterMode), st.frozensets(st.sampled_from(SOURCES)))
changes = st.lists(st.tuples(st.sampled_from(GROUPS), filters | st.just(NO_SOURCE)), min_size=1, max_size=4)


@contextmanager
def sizes(chunk_bytes: int) -> Iterator[None]:
    with (
        patch.object(own_groups, "MAX_LISTED_BYTES", chunk_bytes),
        patch.object(own_groups, "OPEN_BYTES", chunk_bytes // 2),
    ):
        yield


class Receiver:
    """Another node: of each chunk it holds the newest that has come."""

    def __init__(self) -> None:
        self.listings = GroupListings()
        self.wanted: dict[GroupKey, SourceFilter] = {}
        self._held: dict[int, tuple[int, GroupsContent | None]] = {}

    def take(self, chunk: int, sequence: int, content: GroupsContent | None) -> None:
        held, before = self._held.get(chunk, (0, None))
        if sequence <= held:
            return
        self._held[chunk] = (sequence, content)
        for group, wanted in self.listings.replace(ORIGIN, chunk, before, content):
            if wanted is None:
                del self.wanted[group]
            else:
                self.wanted[group] = wanted


class Chunks(RuleBasedStateMachine):
    most_groups = MAX_GROUPS_PER_ORIGIN

    def __init__(self) -> None:
        super().__init__()
        self.now = Instant(0.0)
        self.drops = Drops()
        self.own = OwnGroups(self.drops)
        self.own.quota = DEFAULT_QUOTA._replace(groups=self.most_groups)
        self.wanted: dict[GroupKey, SourceFilter] = {}
        self.since_all_came: list[dict[GroupKey, SourceFilter]] = [{}]
        """The filters after each publication since the receiver had all of them."""
        self.receiver = Receiver()
        self.on_the_way: list[tuple[int, int, GroupsContent | None]] = []
        self.sequence = 0

    @rule(changes=changes)
    def turn(self, changes: list[tuple[GroupKey, SourceFilter]]) -> None:
        for group, wanted in changes:
            self.put(group, wanted)
        self.publish()

    @rule(source=st.sampled_from(SOURCES))
    def begin_with_one_source_each(self, source: IPv6Address) -> None:
        for group in GROUPS:
            self.put(group, SourceFilter(FilterMode.INCLUDE, frozenset([source])))
        self.publish()
        self.all_come()

    @rule(group=st.sampled_from(GROUPS))
    def want_all_sources(self, group: GroupKey) -> None:
        """Makes the filter of a wanted group longer."""
        if group in self.wanted:
            self.put(group, SourceFilter(FilterMode.INCLUDE, frozenset(SOURCES)))
            self.publish()

    def put(self, group: GroupKey, wanted: SourceFilter) -> None:
        self.own.put(group, wanted)
        self.wanted[group] = wanted
        if wanted.wants_nothing:
            del self.wanted[group]

    def publish(self) -> None:
        with sizes(CHUNK_BYTES):
            changed = self.own.take_changed(self.now)
        for key, content in changed:
            self.sequence += 1
            if content is not None:
                data = emit(content)
                assert len(data) <= CHUNK_BYTES + 4
                assert parse_groups(data) == content
            self.on_the_way.append((parse_chunk_key(key), self.sequence, content))
        self.since_all_came.append(dict(self.wanted))

    @rule(which=st.integers(0, 1_000))
    def one_comes(self, which: int) -> None:
        if self.on_the_way:
            self.receiver.take(*self.on_the_way.pop(which % len(self.on_the_way)))

    @rule()
    def all_come(self) -> None:
        for sent in reversed(self.on_the_way):
            self.receiver.take(*sent)
        self.on_the_way.clear()
        self.since_all_came = [dict(self.wanted)]
        assert self.receiver.wanted == self.wanted
        assert not self.drops.snapshot()

    @rule()
    def long_after(self) -> None:
        """All has come, or the origin has been forgotten."""
        self.all_come()
        self.now = after(self.now, WITHDRAWN_LIFETIME)

    @invariant()
    def what_was_wanted_all_the_time_is_not_missing(self) -> None:
        first, *later = self.since_all_came
        for group, wanted in first.items():
            for source in SOURCES:
                if all(group in then and then[group].accepts(source) for then in (first, *later)):
                    assert group in self.receiver.wanted
                    assert self.receiver.wanted[group].accepts(source), (wanted, source)


TestChunks = Chunks.TestCase
TestChunks.settings = settings(deadline=None, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow])
