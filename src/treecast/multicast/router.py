"""The router side of IGMP or MLD on one port: frames and time in, queries and changes of membership out.

Decides what the hosts of one port want. Never forwards data, and never decides about other nodes: the changes go
on to ``broadcast``. Read ``transitions`` and ``group`` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from treecast.base.addresses import IPAddress, is_unicast
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.membership import NO_SOURCE, SourceFilter
from treecast.base.time import Instant, after, earliest
from treecast.base.timers import Timers
from treecast.multicast.compatibility import in_compatibility_mode, records_of
from treecast.multicast.config import Intervals, MembershipConfig
from treecast.multicast.group import NO_DOUBT, Doubt, GroupState
from treecast.multicast.group_quota import GroupQuota
from treecast.multicast.protocol import PortSource, Protocol, is_link_scoped, is_source_specific
from treecast.multicast.querier import Querier
from treecast.multicast.queries import Queries
from treecast.multicast.tracking import HostId
from treecast.multicast.view import GroupView, MembershipChange, MembershipCounts, Output, QuerierView
from treecast.wire import ethernet
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.group_membership import (
    GroupRecord,
    MembershipQuery,
    MembershipReport,
    ReceivedMessage,
    RecordType,
)

_ANY_SOURCE_RECORDS = (RecordType.MODE_IS_EXCLUDE, RecordType.CHANGE_TO_EXCLUDE_MODE)

MAX_GROUPS_PER_TURN = 128
"""The turn stays short when thousands of memberships end together: each is an advertisement to sign (0.2 ms)."""


class GroupMembershipRouter:
    """One port, one protocol, one VLAN. ``start`` once; then ``receive`` each punted message, and ``advance`` when
    ``next_deadline`` is reached. Invalid messages, and those beyond a limit, are counted in ``drops``: nothing else.
    """

    def __init__(
        self,
        protocol: Protocol,
        config: MembershipConfig,
        source: PortSource,
        drops: Drops,
        quota: GroupQuota | None = None,
    ) -> None:
        protocol.check_source(source)
        self.protocol = protocol
        self._config = config
        self.source = source
        self._drops = drops
        self._version = config.igmp_version if protocol.ip_version == 4 else config.mld_version
        self._querier = Querier(config, source.address, self._version)
        self._groups: dict[IPAddress, GroupState] = {}
        self._wake_ups: Timers[IPAddress] = Timers()
        """The time at which each group has something due, or an earlier one."""
        self._quota = quota or GroupQuota(config.max_groups_per_node)
        self._tracked_hosts = 0
        self._tracking_from: Instant | None = None
        self._counts = MembershipCounts()
        self._queries = Queries(protocol, self._version)

    # Inputs.

    def start(self, now: Instant) -> Output:
        """Become querier and send the first general query. Hosts count as tracked once they had time to answer it."""
        self._querier.start(now)
        self._tracking_from = after(now, self._querier.intervals.query_response_interval)
        return self.advance(now)

    def query_arrivals(self, now: Instant) -> None:
        """One general query more, soon: there are hosts that did not receive the last one."""
        self._querier.query_arrivals(now)

    def receive(self, now: Instant, frame: bytes | EthernetFrame | ReceivedMessage) -> Output:
        """An IGMP or MLD message that arrived on the port."""
        try:
            received = self._parse(frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return Output()
        if isinstance(received.message, MembershipQuery):
            return self._receive_query(now, received, received.message)
        self._counts = replace(self._counts, reports_received=self._counts.reports_received + 1)
        return self._receive_report(now, received)

    def advance(self, now: Instant) -> Output:
        """Run the timers that are due; of very many, some: the rest is due at ``next_deadline``."""
        frames = self._queries.general(self.source, self._querier) if self._querier.advance(now) else []
        due: dict[IPAddress, GroupState] = {}
        for group in self._wake_ups.due(now, MAX_GROUPS_PER_TURN):
            due[group] = self._groups[group]
        for state in due.values():
            self._expire(now, state)
        return Output(tuple(frames)) + self._settle(now, due.values())

    def set_source(self, now: Instant, source: PortSource) -> Output:
        """The port's own address changed: take part in the election anew, with it."""
        self.protocol.check_source(source)
        self.source = source
        self._querier.address = source.address
        self._querier.start(now)
        return self.advance(now)

    def keep(self, now: Instant, group: IPAddress) -> None:
        """The node's own older report made the hosts of a group silent: they are members for one interval more."""
        state = self._groups.get(group)
        if state is not None:
            state.keep(after(now, self._querier.intervals.group_membership_interval))

    # Read by the rest of the node.

    def next_deadline(self) -> Instant | None:
        """The time at which to call ``advance`` next; at times earlier than something happens, never later."""
        return earliest(self._querier.next_deadline(), self._wake_ups.next())

    def filters(self) -> Mapping[IPAddress, SourceFilter]:
        """All source filters of the port, in the order of the groups' addresses."""
        return {group: self._groups[group].filter for group in sorted(self._groups, key=int)}

    def filter(self, group: IPAddress) -> SourceFilter:
        """The port's source filter of one group."""
        state = self._groups.get(group)
        return NO_SOURCE if state is None else state.filter

    def groups(self) -> tuple[GroupView, ...]:
        """Everything known of each group, in the order of their addresses."""
        return tuple(self._groups[group].view(self._version) for group in sorted(self._groups, key=int))

    def known_groups(self) -> Iterable[IPAddress]:
        return self._groups

    def view(self, group: IPAddress) -> GroupView | None:
        """Everything known of one group; None when that is nothing."""
        return self._groups[group].view(self._version) if group in self._groups else None

    def querier_intervals(self) -> Intervals:
        """The values in force."""
        return self._querier.intervals

    def elected(self) -> tuple[IPAddress | None, IPAddress]:
        """The other router that is querier, and this one's address."""
        return self._querier.other, self.source.address

    def querier(self) -> QuerierView:
        other = self._querier
        return QuerierView(
            is_querier=other.is_querier,
            address=self.source.address if other.other is None else other.other,
            version=self._version if other.other_version is None else other.other_version,
            expires=other.other_expires,
            robustness=other.intervals.robustness,
            query_interval=other.intervals.query_interval,
            own_version=self._version,
            older=other.older,
        )

    def counts(self) -> MembershipCounts:
        return replace(self._counts, queries_sent=self._queries.sent)

    # Reception.

    def _parse(self, frame: bytes | EthernetFrame | ReceivedMessage) -> ReceivedMessage:
        if isinstance(frame, bytes):
            frame = ethernet.parse(frame)
        if isinstance(frame, EthernetFrame):
            if frame.ethertype != self.protocol.ethertype:
                raise MalformedError(self.protocol.reason("wrong_ethertype"))
            frame = self.protocol.parse_frame(frame)
        if self._config.require_router_alert and frame.lacks_router_alert:
            raise MalformedError(self.protocol.reason("no_router_alert"))
        if frame.source_mac.is_group:
            raise MalformedError("ethernet_source_not_unicast")
        if frame.vlan_id != (self.source.vlan.vlan_id or None if self.source.vlan else None):
            raise MalformedError(self.protocol.reason("other_vlan"))
        return frame

    def _receive_query(self, now: Instant, received: ReceivedMessage, query: MembershipQuery) -> Output:
        """RFC 9776 sections 6.6.1 and 6.6.2: election, and timers that a query lowers."""
        from_own_kernel = self.source.is_own_kernel(received.source_mac)
        if received.source_mac == self.source.mac and not from_own_kernel:
            return self._refuse("own_query")
        if not query.is_general and not query.group.is_multicast:
            return self._refuse("group_not_multicast")
        self._counts = replace(self._counts, queries_received=self._counts.queries_received + 1)
        if from_own_kernel:
            return Output(other_queries=(received,))
        was_querier = self._querier.is_querier
        self._querier.receive_query(received.source, query, now)
        if was_querier and not self._querier.is_querier:
            for known in self._groups.values():
                known.stop_queries()
        state = self._groups.get(query.group)
        output = Output(other_queries=(received,))
        if state is None or query.suppress or not self._config.trust_queriers:
            return output
        intervals = self._querier.intervals
        queried_time = query.max_response_time * intervals.last_member_query_count
        answer_time = max(queried_time, intervals.last_member_query_time)
        if query.sources:
            state.lower_source_timers(query.sources, after(now, answer_time))
        else:
            state.lower_group_timer(after(now, answer_time))
        return output + self._settle(now, (state,))

    def _receive_report(self, now: Instant, received: ReceivedMessage) -> Output:
        touched: dict[IPAddress, GroupState] = {}
        if isinstance(received.message, MembershipReport) and self._version < self.protocol.newest_version:
            return self._refuse("newer_version")
        for version, record in records_of(self.protocol, received.message):
            state = self._receive_record(now, HostId(received.source_mac, received.source), version, record)
            if state is not None:
                touched[record.group] = state
        return self._settle(now, touched.values())

    def _receive_record(self, now: Instant, host: HostId, version: int, record: GroupRecord) -> GroupState | None:
        """One record: checked, made to fit the compatibility mode, tracked, applied. None where nothing was."""
        if not record.group.is_multicast:
            self._refuse("group_not_multicast")
            return None
        if is_link_scoped(record.group):
            self._counts = replace(self._counts, link_scoped_records=self._counts.link_scoped_records + 1)
            return None
        any_source = version < self.protocol.newest_version or record.record_type in _ANY_SOURCE_RECORDS
        if self._config.enforce_ssm and any_source and is_source_specific(record.group):
            self._refuse("any_source_of_ssm_group")
            return None
        record = self._usable_sources(record)
        state = self._groups.get(record.group)
        if state is None:
            state = self._new_group(now, record)
            if state is None:
                return None
        self._expire(now, state)
        if record.record_type is RecordType.MODE_IS_EXCLUDE and version < self.protocol.newest_version:
            state.note_older_host(version, now, self._querier.intervals)
        compatible = in_compatibility_mode(self.protocol, state.version(self._version), record)
        if compatible is None:
            return state
        self._track(now, state, host, version, compatible)
        self._apply(now, state, compatible)
        return state

    def _usable_sources(self, record: GroupRecord) -> GroupRecord:
        usable = tuple(source for source in record.sources if is_unicast(source))
        if len(usable) == len(record.sources):
            return record
        self._drops.count(self.protocol.reason("source_not_unicast"), len(record.sources) - len(usable))
        return replace(record, sources=usable)

    def _new_group(self, now: Instant, record: GroupRecord) -> GroupState | None:
        """State for a group that is new here, if this record joins it and no limit is reached."""
        joins = record.record_type in _ANY_SOURCE_RECORDS
        if not joins and (record.record_type is RecordType.BLOCK_OLD_SOURCES or not record.sources):
            return None
        if len(self._groups) >= self._config.max_groups or not self._quota.acquire():
            self._refuse("groups_full")
            return None
        state = self._groups[record.group] = GroupState(record.group, now)
        return state

    def _track(self, now: Instant, state: GroupState, host: HostId, version: int, record: GroupRecord) -> None:
        hosts_before = len(state.hosts)
        free = self._config.max_tracked_hosts - self._tracked_hosts
        membership_end = after(now, self._querier.intervals.group_membership_interval)
        followed = state.hosts.follow(
            host,
            version,
            record.record_type,
            record.sources,
            now=now,
            expires=membership_end,
            max_hosts=min(self._config.max_hosts_per_group, hosts_before + free),
            max_sources=self._config.max_sources_per_group,
        )
        if not followed:
            self._refuse("hosts_full")
            state.untracked_until = membership_end
        self._tracked_hosts += len(state.hosts) - hosts_before

    def _apply(self, now: Instant, state: GroupState, record: GroupRecord) -> None:
        intervals = self._querier.intervals
        limit = self._config.max_sources_per_group
        doubt, refused = state.receive(record.record_type, record.sources, now, intervals, limit)
        if refused:
            self._drops.count(self.protocol.reason("sources_full"), refused)
        if not doubt.is_nothing and self._tracks_all_hosts(now, state):
            doubt = state.drop_unwanted(doubt, limit)
        if self._querier.is_querier:
            state.begin_queries(self._queryable(doubt), now, intervals)

    def _queryable(self, doubt: Doubt) -> Doubt:
        """IGMPv1 has no group-specific query: there, members leave by silence."""
        return doubt if self._version >= self.protocol.leaves_from else NO_DOUBT

    def _tracks_all_hosts(self, now: Instant, state: GroupState) -> bool:
        """Whether the tracked hosts are all there are: hosts of older versions stay silent when others report."""
        if not self._config.fast_leave or state.version(self._version) < self.protocol.newest_version:
            return False
        started = self._tracking_from is not None and self._tracking_from <= now
        return started and state.untracked_until is None

    # Consequences.

    def _expire(self, now: Instant, state: GroupState) -> None:
        hosts_before = len(state.hosts)
        state.expire(now)
        self._tracked_hosts += len(state.hosts) - hosts_before

    def _settle(self, now: Instant, states: Iterable[GroupState]) -> Output:
        """Send queries that are due, return changes, forget groups that are gone, and set the others' deadlines."""
        frames: list[bytes] = []
        changes, touched = [], []
        for state in states:
            if state.hosts.take_changed():
                touched.append(state.group)
            present = state.filter
            if present != state.announced:
                state.announced = present
                changes.append(MembershipChange(state.group, present))
            if state.is_gone:
                self._tracked_hosts -= len(state.hosts)
                del self._groups[state.group]
                self._wake_ups.cancel(state.group)
                self._quota.release()
                continue
            for query in state.take_due_queries(now, self._querier.intervals):
                frames += self._queries.specific(self.source, self._querier, state.group, query)
            self._wake(state)
        return Output(tuple(frames), tuple(changes), touched=tuple(touched))

    def _wake(self, state: GroupState) -> None:
        deadline, known = state.next_deadline(), self._wake_ups.deadline(state.group)
        if deadline is not None and (known is None or deadline < known):
            self._wake_ups.set(state.group, deadline)

    def _refuse(self, what: str) -> Output:
        self._drops.count(self.protocol.reason(what))
        return Output()
