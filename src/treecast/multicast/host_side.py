"""The host side of IGMP and MLD on one port: what a proxy reports to the routers there (RFC 4605, RFC 9776 section 5).

It reports groups that others want: state-change reports when that changes, repeated robustness-variable times,
and answers to queries after a random delay. While an older querier is present it reports in that version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from treecast.base.addresses import IPAddress
from treecast.base.limits import MAX_GROUP_QUERIES
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after, earliest
from treecast.base.timers import Timers
from treecast.multicast.config import MembershipConfig
from treecast.multicast.protocol import PortSource, Protocol, is_link_scoped
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
)

_IPV4_HEADERS_BYTES, _IPV6_HEADERS_BYTES, _REPORT_BYTES, _SMALLEST_MTU = 24, 48, 8, 1280


@dataclass(slots=True)
class _StateChange:
    """Reports about one group that are still to be sent (RFC 9776 section 5.1)."""

    mode_reports_left: int = 0
    source_reports_left: dict[IPAddress, int] = field(default_factory=dict)
    older_reports_left: int = 0


class HostSide:
    """One protocol on one port. ``advance`` returns whole frames to send there."""

    def __init__(self, protocol: Protocol, config: MembershipConfig, source: PortSource, rng: Random) -> None:
        self._protocol = protocol
        self._config = config
        self.source = source
        self._rng = rng
        self._wanted: dict[IPAddress, SourceFilter] = {}
        self._changes: dict[IPAddress, _StateChange] = {}
        self._fresh: dict[IPAddress, Instant] = {}
        """Groups with a change that was not reported yet, and when its first report is due."""
        self._repeat_at: Instant | None = None
        self._answers: dict[IPAddress, frozenset[IPAddress] | None] = {}
        """Queried sources of each group whose answer is pending; None: all of its state (RFC 9776 section 5.2)."""
        self._answers_due: Timers[IPAddress] = Timers()
        """The time of each pending answer to a query about a group."""
        self._general_answer_due: Instant | None = None
        self._general_query_ends = Instant(0.0)
        """The time at which the hosts have answered the last general query."""
        self._group_query_ends: Timers[IPAddress] = Timers()
        """The end of the hosts' answers to the last query about a group: older reports would silence them before."""
        self._older_queriers: dict[int, Instant] = {}
        self._querier: IPAddress | None = None
        """The other machine whose query was the last."""

    def version(self) -> int:
        """The Host Compatibility Mode (RFC 9776 section 7.2.1): the oldest querier of late."""
        return min((self._protocol.newest_version, *self._older_queriers))

    def want(self, now: Instant, group: IPAddress, wanted: SourceFilter) -> None:
        """Report another filter of a group from now on; NO_SOURCE: it is left. The first report is due at once."""
        if group.version != self._protocol.ip_version or is_link_scoped(group):
            return
        before = self._wanted.get(group, NO_SOURCE)
        if wanted == before:
            return
        if wanted.wants_nothing:
            self._wanted.pop(group, None)
        else:
            self._wanted[group] = wanted
        self._begin_change(group, before, wanted)
        self._fresh[group] = max(now, self._group_query_ends.deadline(group) or now)

    def note_querier(self, querier: IPAddress) -> None:
        """Another machine's query came from there: it is to believe what is reported from now on."""
        if not querier.is_unspecified:
            self._querier = querier

    def receive_query(self, now: Instant, query: MembershipQuery) -> None:
        """A query on the port, of whichever router; answers follow within its response time.

        Older reports follow at its end: a host that receives one before it has answered sends none itself (RFC 2236
        section 3, RFC 2710 section 4), and nobody would know of it.
        """
        if query.version < self._protocol.newest_version:
            intervals = self._config.intervals
            timeout = intervals.robustness * intervals.query_interval + max(query.max_response_time, 1)
            self._older_queriers[query.version] = after(now, timeout)
        response_time = query.max_response_time or 10
        is_older = self.version() < self._protocol.newest_version
        due = after(now, response_time if is_older else self._rng.uniform(0, response_time))
        if query.is_general:
            self._general_query_ends = after(now, response_time)
        elif is_older:
            self._note_group_query(now, query.group, due)
        if self._general_answer_due is not None and self._general_answer_due <= due:
            return
        if query.is_general:
            self._general_answer_due = due
            return
        if query.group not in self._wanted:
            return
        sources = frozenset(query.sources) or None
        pending_due = self._answers_due.deadline(query.group)
        if pending_due is not None:
            pending = self._answers[query.group]
            sources = pending | sources if pending and sources else None
            due = min(due, pending_due)
        self._answers[query.group] = sources
        self._answers_due.set(query.group, due)

    def _note_group_query(self, now: Instant, group: IPAddress, due: Instant) -> None:
        """Hosts are about to answer a query about a group, until then."""
        self._group_query_ends.due(now)
        if group in self._group_query_ends or len(self._group_query_ends) < MAX_GROUP_QUERIES:
            self._group_query_ends.set(group, due)

    def advance(self, now: Instant) -> tuple[list[bytes], list[IPAddress]]:
        """The reports that are due, as frames; and the groups of those that make other hosts silent.

        A host that receives an older report of a group sends none of its own (RFC 2236 section 3, RFC 2710 section 4).
        """
        self._older_queriers = {version: end for version, end in self._older_queriers.items() if end > now}
        messages: list[MembershipMessage] = []
        records: list[GroupRecord] = []
        for group in self._due_changes(now):
            self._report_change(group, records, messages)
        older = [message.group for message in messages if isinstance(message, OlderReport)]
        suppressing = older if now < self._general_query_ends else []
        if self._changes and self._repeat_at is None:
            self._repeat_at = after(now, self._rng.uniform(0, self._config.unsolicited_report_interval))
        if self._general_answer_due is not None and self._general_answer_due <= now:
            self._general_answer_due = None
            self._answers.clear()
            self._answers_due = Timers()
            for group in sorted(self._wanted, key=int):
                self._answer(group, None, records, messages)
        for group in self._answers_due.due(now):
            self._answer(group, self._answers.pop(group), records, messages)
        reports = [MembershipReport(tuple(part)) for part in self._split(records)]
        return [frame for message in (*messages, *reports) for frame in self._frames(message)], suppressing

    def next_deadline(self) -> Instant | None:
        return earliest(
            self._general_answer_due,
            *self._older_queriers.values(),
            self._repeat_at,
            *self._fresh.values(),
            self._answers_due.next(),
        )

    def _frames(self, message: MembershipMessage) -> list[bytes]:
        """Frames to all on the port and the own kernel, which takes IPv4 from a neighbour only (see ``protocol``)."""
        source, kernel = self.source, self.source.kernel
        if self._querier is not None:
            source = replace(source, address=source.toward(self._querier))
        if kernel is None or kernel.neighbour.is_unspecified or source.address.version != 4:
            return [self._protocol.message_frame(message, source)]
        to_kernel = self._protocol.message_frame(message, replace(source, address=kernel.neighbour))
        if kernel.mac == source.mac:  # nobody else is on this port
            return [to_kernel]
        return [self._protocol.message_frame(message, source), kernel.mac.packed + to_kernel[len(kernel.mac.packed) :]]

    def _due_changes(self, now: Instant) -> list[IPAddress]:
        """The new changes at once, unless hosts are about to answer; when they are repeated, all go together."""
        self._group_query_ends.due(now)
        if self._repeat_at is not None and self._repeat_at <= now:
            self._repeat_at = None
            groups = [group for group in self._changes if group not in self._group_query_ends]
        else:
            groups = [group for group, due in self._fresh.items() if due <= now]
        for group in groups:
            self._fresh.pop(group, None)
        return groups

    def _begin_change(self, group: IPAddress, before: SourceFilter, wanted: SourceFilter) -> None:
        robustness = self._config.robustness
        change = self._changes.setdefault(group, _StateChange())
        if before.wants_nothing or wanted.wants_nothing:
            change.older_reports_left = robustness
        if before.mode is not wanted.mode:
            change.mode_reports_left = robustness
            change.source_reports_left.clear()
        else:
            changed = before.sources ^ wanted.sources
            change.source_reports_left.update(dict.fromkeys(changed, robustness))

    def _report_change(self, group: IPAddress, records: list[GroupRecord], messages: list[MembershipMessage]) -> None:
        change, wanted = self._changes[group], self._wanted.get(group, NO_SOURCE)
        version = self.version()
        if version < self._protocol.newest_version:
            left = change.older_reports_left = change.older_reports_left - 1
            if not wanted.wants_nothing:
                messages.append(OlderReport(version, group))
            elif version >= self._protocol.leaves_from:
                messages.append(LeaveGroup(group))
                left = 0
        else:
            records += self._change_records(group, change, wanted)
            left = max((change.mode_reports_left, *change.source_reports_left.values()))
        if left <= 0:
            del self._changes[group]

    def _change_records(self, group: IPAddress, change: _StateChange, wanted: SourceFilter) -> Iterator[GroupRecord]:
        """RFC 9776 section 5.1: a filter mode change reports all sources; else the allowed and the blocked ones."""
        change.source_reports_left = {s: left - 1 for s, left in change.source_reports_left.items() if left > 0}
        changed = _in_order(change.source_reports_left)
        if change.mode_reports_left:
            change.mode_reports_left -= 1
            to_exclude = wanted.mode is FilterMode.EXCLUDE
            kind = RecordType.CHANGE_TO_EXCLUDE_MODE if to_exclude else RecordType.CHANGE_TO_INCLUDE_MODE
            yield from self._fitting(GroupRecord(kind, group, _in_order(wanted.sources)))
            return
        allowed = tuple(source for source in changed if wanted.accepts(source))
        blocked = tuple(source for source in changed if not wanted.accepts(source))
        for kind, sources in ((RecordType.ALLOW_NEW_SOURCES, allowed), (RecordType.BLOCK_OLD_SOURCES, blocked)):
            if sources:
                yield from self._fitting(GroupRecord(kind, group, sources))

    def _answer(
        self,
        group: IPAddress,
        queried: frozenset[IPAddress] | None,
        records: list[GroupRecord],
        messages: list[MembershipMessage],
    ) -> None:
        """RFC 9776 section 5.2: current state; of a source query, those of its sources that are wanted."""
        wanted = self._wanted.get(group)
        if wanted is None:
            return
        if self.version() < self._protocol.newest_version:
            messages.append(OlderReport(self.version(), group))
        elif queried is not None:
            sources = tuple(source for source in _in_order(queried) if wanted.accepts(source))
            if sources:
                records += self._fitting(GroupRecord(RecordType.MODE_IS_INCLUDE, group, sources))
        else:
            excludes = wanted.mode is FilterMode.EXCLUDE
            kind = RecordType.MODE_IS_EXCLUDE if excludes else RecordType.MODE_IS_INCLUDE
            records += self._fitting(GroupRecord(kind, group, _in_order(wanted.sources)))

    @property
    def _most_bytes(self) -> int:
        headers = _IPV4_HEADERS_BYTES if self._protocol.ip_version == 4 else _IPV6_HEADERS_BYTES
        return _SMALLEST_MTU - headers - _REPORT_BYTES

    def _size(self, record: GroupRecord) -> int:
        return 4 + (1 + len(record.sources)) * len(record.group.packed)

    def _fitting(self, record: GroupRecord) -> list[GroupRecord]:
        """RFC 9776 section 4.2.16: a list too long for a packet is split, but of EXCLUDE only what fits is reported."""
        most = (self._most_bytes - 4) // len(record.group.packed) - 1
        lists = [record.sources[at : at + most] for at in range(0, len(record.sources), most)] or [()]
        if record.record_type in (RecordType.MODE_IS_EXCLUDE, RecordType.CHANGE_TO_EXCLUDE_MODE):
            lists = lists[:1]
        return [GroupRecord(record.record_type, record.group, sources) for sources in lists]

    def _split(self, records: list[GroupRecord]) -> Iterator[list[GroupRecord]]:
        """The records in as few reports as the smallest MTU allows."""
        part: list[GroupRecord] = []
        used = 0
        for record in records:
            if part and used + self._size(record) > self._most_bytes:
                yield part
                part, used = [], 0
            part.append(record)
            used += self._size(record)
        if part:
            yield part


def _in_order(sources: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
    return tuple(sorted(sources, key=int))
