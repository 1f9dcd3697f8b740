"""One group on one port: filter mode, sources, their timers, compatibility mode and pending queries.

It applies the rows of ``transitions`` and runs the timers of RFC 9776 section 6.5 (RFC 9777 section 7.5). It decides
neither whether we are the querier nor what is sent; ``router`` does. Timers are instants, None where stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after, earliest
from treecast.multicast.config import Intervals
from treecast.multicast.set_expression import Sources
from treecast.multicast.tracking import TrackedHosts
from treecast.multicast.transitions import TABLE
from treecast.multicast.view import GroupView, SourceView, TrackedHostView
from treecast.wire.group_membership import RecordType

NO_SOURCES: Sources = frozenset()


@dataclass(frozen=True, slots=True)
class Doubt:
    """The queries that a record calls for: "Send Q(G,sources)" and, with ``group``, "Send Q(G)"."""

    sources: Sources
    group: bool

    @property
    def is_nothing(self) -> bool:
        return not self.sources and not self.group


NO_DOUBT = Doubt(NO_SOURCES, group=False)


@dataclass(frozen=True, slots=True)
class SpecificQuery:
    """A group-specific query, or a group-and-source-specific one where ``sources`` is not empty."""

    suppress: bool
    sources: tuple[IPAddress, ...] = ()


class GroupState:
    """The record of RFC 9776 section 6.2 for one group."""

    def __init__(self, group: IPAddress, since: Instant) -> None:
        self.group = group
        self.since = since
        self.mode = FilterMode.INCLUDE
        self.requested: dict[IPAddress, Instant] = {}
        self.excluded: set[IPAddress] = set()
        self.group_expires: Instant | None = None
        self.older_hosts: dict[int, Instant] = {}
        self.hosts = TrackedHosts()
        self.untracked_until: Instant | None = None
        self.announced: SourceFilter = NO_SOURCE
        self._group_queries_left = 0
        self._group_query_at: Instant | None = None
        self._source_queries_left: dict[IPAddress, int] = {}
        self._source_query_at: Instant | None = None

    @property
    def filter(self) -> SourceFilter:
        """The sources that are to be forwarded (RFC 9776 section 6.3)."""
        if self.mode is FilterMode.INCLUDE:
            return SourceFilter(FilterMode.INCLUDE, frozenset(self.requested))
        return SourceFilter(FilterMode.EXCLUDE, frozenset(self.excluded))

    @property
    def is_gone(self) -> bool:
        return self.mode is FilterMode.INCLUDE and not self.requested

    @property
    def is_queried(self) -> bool:
        """Whether a leave is in doubt: specific queries are still to be sent."""
        return self._group_query_at is not None or self._source_query_at is not None

    def version(self, newest: int) -> int:
        """The Group Compatibility Mode (RFC 9776 section 7.3.2): the oldest version received of late."""
        return min((newest, *self.older_hosts))

    def view(self, newest: int) -> GroupView:
        """All of it, for those who look."""
        sources = [SourceView(source, expires) for source, expires in self.requested.items()]
        sources += [SourceView(source, None) for source in self.excluded]
        hosts = (
            TrackedHostView(host.mac, host.address, interest.version, interest.filter, interest.expires, interest.since)
            for host, interest in self.hosts
        )
        return GroupView(
            group=self.group,
            mode=self.mode,
            sources=tuple(sorted(sources, key=lambda view: int(view.source))),
            expires=self.group_expires,
            version=self.version(newest),
            leaving=self.is_queried,
            hosts=tuple(hosts),
            since=self.since,
        )

    def note_older_host(self, version: int, now: Instant, intervals: Intervals) -> None:
        """Start the Older Version Host Present timer."""
        self.older_hosts[version] = after(now, intervals.older_host_present_interval)

    def receive(
        self, received: RecordType, sources: Sequence[IPAddress], now: Instant, intervals: Intervals, max_sources: int
    ) -> tuple[Doubt, int]:
        """Apply one row of the table. Returns what is in doubt, and how many new sources the table did not hold."""
        row = TABLE[self.mode, received]
        letters = row.letters(frozenset(self.requested), frozenset(self.excluded), frozenset(sources))
        requested, excluded = row.requested.evaluate(letters), row.excluded.evaluate(letters)
        refused = self._beyond_limit(requested | excluded, sources, max_sources)
        requested, excluded = requested - refused, excluded - refused
        membership_end = after(now, intervals.group_membership_interval)
        timers = dict(self.requested)
        timers.update(dict.fromkeys(row.gmi.evaluate(letters), membership_end))
        if self.group_expires is not None:
            timers.update(dict.fromkeys(row.group_timer.evaluate(letters), self.group_expires))
        self.mode = row.new_state
        self.requested = {source: timers[source] for source in requested}
        self.excluded = set(excluded)
        if row.restart_group_timer:
            self.group_expires = membership_end
        return Doubt(row.query.evaluate(letters) - refused, row.query_group), len(refused)

    def drop_unwanted(self, doubt: Doubt, max_sources: int) -> Doubt:
        """Settle at once what no tracked host wants any more; returns the doubt that is left.

        The table forgets the sources of INCLUDE hosts when an EXCLUDE host comes ("Delete (A-B)") and learns them
        again from the answers to Q(G). Where no query is needed, they come back from the tracked hosts.
        """
        unwanted = frozenset(source for source in doubt.sources if not self.hosts.want_source(source))
        for source in unwanted:
            self._expire_source(source)
        if doubt.group and not self.hosts.want_exclude_mode():
            self._end_exclude_mode()
            for source, expires in self.hosts.included_sources():
                if source not in self.requested and len(self.requested) < max_sources:
                    self.requested[source] = expires
            return Doubt(doubt.sources - unwanted, group=False)
        return Doubt(doubt.sources - unwanted, doubt.group)

    def begin_queries(self, doubt: Doubt, now: Instant, intervals: Intervals) -> None:
        """Lower the timers in doubt to the last-member query time and begin the queries (section 6.6.3)."""
        count = intervals.last_member_query_count
        if doubt.group and self.mode is FilterMode.EXCLUDE:
            self.lower_group_timer(after(now, intervals.last_member_query_time))
            self._group_queries_left, self._group_query_at = count, now
        for source in self.lower_source_timers(doubt.sources, after(now, intervals.last_member_query_time)):
            self._source_queries_left[source] = count
            self._source_query_at = now

    def lower_group_timer(self, end: Instant) -> None:
        if self.group_expires is not None:
            self.group_expires = min(self.group_expires, end)

    def keep(self, end: Instant) -> None:
        """The group ends no sooner than this in EXCLUDE mode, the mode of each group that older hosts want."""
        if self.group_expires is not None:
            self.group_expires = max(self.group_expires, end)

    def lower_source_timers(self, sources: Iterable[IPAddress], end: Instant) -> list[IPAddress]:
        """Lower the timers that end later than ``end``; returns the sources they belong to."""
        lowered = [source for source in sources if source in self.requested and self.requested[source] > end]
        self.requested.update(dict.fromkeys(lowered, end))
        return lowered

    def take_due_queries(self, now: Instant, intervals: Intervals) -> list[SpecificQuery]:
        """The specific queries to transmit now; their retransmissions are scheduled (section 6.6.3)."""
        soon = after(now, intervals.last_member_query_time)
        next_at = after(now, intervals.last_member_query_interval)
        queries = []
        group_query_due = self._group_query_at is not None and self._group_query_at <= now
        if group_query_due:
            queries.append(SpecificQuery(suppress=self.group_expires is not None and self.group_expires > soon))
            self._group_queries_left -= 1
            self._group_query_at = next_at if self._group_queries_left else None
        if self._source_query_at is not None and self._source_query_at <= now:
            queried = sorted(source for source in self._source_queries_left if source in self.requested)
            renewed = tuple(source for source in queried if self.requested[source] > soon)
            doubted = tuple(source for source in queried if self.requested[source] <= soon)
            if doubted:
                queries.append(SpecificQuery(suppress=False, sources=doubted))
            if renewed and not group_query_due:
                queries.append(SpecificQuery(suppress=True, sources=renewed))
            left = {source: self._source_queries_left[source] - 1 for source in queried}
            self._source_queries_left = {source: count for source, count in left.items() if count}
            self._source_query_at = next_at if self._source_queries_left else None
        return queries

    def stop_queries(self) -> None:
        """We are not the querier any more."""
        self._group_query_at = self._source_query_at = None
        self._source_queries_left = {}

    def expire(self, now: Instant) -> None:
        """Everything whose timer has run out: older hosts, tracked hosts, sources, then the group (section 6.5)."""
        self.older_hosts = {version: end for version, end in self.older_hosts.items() if end > now}
        self.hosts.expire(now)
        if self.untracked_until is not None and self.untracked_until <= now:
            self.untracked_until = None
        for source in [source for source, end in self.requested.items() if end <= now]:
            self._expire_source(source)
        if self.group_expires is not None and self.group_expires <= now:
            self._end_exclude_mode()

    def next_deadline(self) -> Instant | None:
        return earliest(
            self.group_expires,
            self.untracked_until,
            self._group_query_at,
            self._source_query_at,
            self.hosts.next_deadline(),
            *self.requested.values(),
            *self.older_hosts.values(),
        )

    def _expire_source(self, source: IPAddress) -> None:
        """Section 6.3: in INCLUDE mode the source is forgotten, in EXCLUDE mode it is not forwarded any more."""
        if self.requested.pop(source, None) is not None and self.mode is FilterMode.EXCLUDE:
            self.excluded.add(source)

    def _end_exclude_mode(self) -> None:
        """Section 6.5: the group timer ran out; what is still requested is kept in INCLUDE mode."""
        self.mode = FilterMode.INCLUDE
        self.excluded = set()
        self.group_expires = None
        self._group_query_at = None

    def _beyond_limit(self, wanted: Sources, reported: Sequence[IPAddress], max_sources: int) -> Sources:
        """The newest of the reported sources, as many as are too many."""
        new = [source for source in dict.fromkeys(reported) if source in wanted and not self._knows(source)]
        free = max_sources - (len(wanted) - len(new))
        return frozenset(new[max(free, 0) :])

    def _knows(self, source: IPAddress) -> bool:
        return source in self.requested or source in self.excluded
