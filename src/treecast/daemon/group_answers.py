"""The answer to ``groups``: the multicast table, this node's own hosts in it, and the traffic of each group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain

from treecast.api.records import (
    Group,
    LocalGroup,
    LocalHost,
    LocalJoin,
    LocalSource,
    Member,
    Querier,
    Router,
    Sender,
)
from treecast.api.trace_records import RootedStream
from treecast.base.addresses import IPAddress
from treecast.base.flows import CountedFlow, Flow, GroupKey
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.sorting import SLICE, sorted_in_slices
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeMode
from treecast.daemon.group_traffic import GroupNumbers, GroupTraffic
from treecast.engine.tree_view import RootedStream as RootedStreamView
from treecast.engine.view import (
    GroupView,
    LocalGroupView,
    MemberView,
    PimJoinView,
    PrefixView,
    SegmentView,
    Touched,
    View,
    group_sort_key,
)

_Members = Sequence[MemberView]


class GroupAnswers:
    """Made anew for each request: ``now`` is the moment it came."""

    def __init__(self, view: View, plane: GroupNumbers, port_names: Mapping[int, str], now: Instant) -> None:
        self._view = view
        self._plane = plane
        self._port_names = port_names
        self._now = now

    def groups(self) -> Iterator[Group | None]:
        """One row for each group and source that somebody wants or sends. None: the caller may pause here too.

        What changes meanwhile shows in the rows that follow.
        """
        traffic = GroupTraffic()
        yield from traffic.read(self._plane)
        yield from self._listed(traffic, chain(self._view.groups(), traffic.groups()), None)

    def some(self, most: int) -> Iterator[Group | None]:
        """The same of so many groups: of those first that somebody sends to, and that hosts here joined."""
        traffic = GroupTraffic()
        yield from traffic.read(self._plane)
        groups = chain(traffic.groups(), self._view.joined_here(), self._view.groups())
        yield from self._listed(traffic, groups, most)

    def _listed(self, traffic: GroupTraffic, groups: Iterable[GroupKey], most: int | None) -> Iterator[Group | None]:
        """Prefixes, and the first of the groups, in order."""
        for prefix in self._view.prefixes():
            yield self._prefix_row(prefix, traffic)
        keys: dict[GroupKey, None] = {}
        for number, key in enumerate(groups):
            if len(keys) == most:
                break
            keys[key] = None
            if number % SLICE == 0:
                yield None
        for found in sorted_in_slices(keys, group_sort_key):
            yield None
            if found is not None:
                yield from self._rows_of(found, traffic)

    def rows(self, touched: Touched) -> Iterator[Group | None]:
        """The rows of some groups and prefixes."""
        traffic = GroupTraffic()
        yield from traffic.read(self._plane)
        prefixes = set(touched.prefixes)
        for prefix in self._view.prefixes() if prefixes else ():
            if prefix.key in prefixes:
                yield self._prefix_row(prefix, traffic)
        for key in touched.groups:
            yield None
            yield from self._rows_of(key, traffic)

    def _rows_of(self, key: GroupKey, traffic: GroupTraffic) -> Iterator[Group]:
        here = [self._local_group(local) for local in self._view.local_groups(key)]
        members = self._view.members(key)
        senders = traffic.senders(key)
        sources = _rows(members, senders)
        others = {source for source in sources if source is not None}
        for source in sources:
            yield self._row(Flow(*key, source), members, here, others, senders, traffic)

    def _prefix_row(self, view: PrefixView, traffic: GroupTraffic) -> Group:
        """``tx`` are the frames to groups of the prefix that nobody joined."""
        vlan, prefix = view.key
        tx_packets, tx_bytes = traffic.sent(Flow.of_prefix(view.key))
        members = [MemberView(node, ANY_SOURCE, None) for node in view.nodes]
        first, length = prefix.network_address, prefix.prefixlen
        return Group(
            group=str(prefix),
            source="*",
            members=[
                self._member([], member, self._view.may_receive(member.node, first, length)) for member in members
            ],
            local=view.local,
            rx_packets=0,
            rx_bytes=0,
            tx_packets=tx_packets,
            tx_bytes=tx_bytes,
            vlan=vlan,
            authenticated=self._view.is_authenticated(Flow.of_prefix(view.key)),
            stream=self._stream(Flow.of_prefix(view.key)),
        )

    def _row(
        self,
        flow: Flow,
        members: _Members,
        here: list[LocalGroup],
        others: Set[IPAddress],
        senders: list[CountedFlow],
        traffic: GroupTraffic,
    ) -> Group:
        listed = [member for member in members if _is_listed(member.filter, flow.source)]
        rx_packets, rx_bytes = traffic.delivered(flow, others)
        tx_packets, tx_bytes = traffic.sent(flow)
        return Group(
            group=str(flow.group),
            source=str(flow.source) if flow.source else "*",
            members=[self._member(here, member, self._view.may_receive(member.node, flow.group)) for member in listed],
            local=any(member.node == self._view.me for member in listed),
            rx_packets=rx_packets,
            rx_bytes=rx_bytes,
            tx_packets=tx_packets,
            tx_bytes=tx_bytes,
            vlan=flow.vlan,
            here=here,
            senders=[self._sender(sender) for sender in senders if _is_of_row(sender, flow, others)],
            authenticated=self._view.is_authenticated(flow),
            stream=self._stream(flow),
        )

    def _stream(self, flow: Flow) -> RootedStream | None:
        found = self._view.rooted_stream(flow)
        if found is None:
            return None
        why_one = found.plan.why_one if found.plan is not None else None
        return RootedStream(
            found.stream,
            found.epoch,
            found.plan is not None,
            found.epochs,
            found.replans,
            found.grafts,
            _mode(found),
            "" if why_one is None else why_one.value,
        )

    def _sender(self, sender: CountedFlow) -> Sender:
        return Sender(
            source=str(sender.source),
            node=self._view.name(sender.root),
            port="" if sender.port is None else self._port_name(sender.port),
            since_s=round(sender.since_s, 3),
            silent_s=round(sender.silent_s, 3),
            packets=sender.since_packets,
            bytes=sender.since_bytes,
            pps=None if sender.pps is None else round(sender.pps, 3),
            rate_bps=None if sender.bps is None else round(sender.bps, 1),
            permitted=sender.port is None or self._view.may_send(sender.group),
        )

    def queriers(self) -> list[Querier]:
        """The querier on each port, VLAN and protocol, and the multicast routers there."""
        return [self._querier(segment) for segment in self._view.segments()]

    def _querier(self, segment: SegmentView) -> Querier:
        querier = segment.querier
        return Querier(
            port=segment.port,
            vlan=segment.vlan,
            protocol=segment.protocol,
            is_this_node=querier.is_querier,
            address=str(querier.address),
            version=querier.version,
            expires_s=self._left(querier.expires),
            robustness=querier.robustness,
            query_interval_s=querier.query_interval,
            port_name=self._port_name(segment.port),
            routers=[Router(str(r.address), r.seen_by, self._left(r.expires)) for r in segment.routers],
        )

    def _local_group(self, local: LocalGroupView) -> LocalGroup:
        port, name, joins = local.port, self._port_name(local.port), self._joins(local.joins)
        if local.group is None:
            return LocalGroup(port, local.mode.value, [], None, 0, False, hosts=[], joins=joins, port_name=name)
        return self._joined_group(port, local.group, joins)

    def _joins(self, views: Sequence[PimJoinView]) -> list[LocalJoin]:
        return [
            LocalJoin(str(view.source or "*"), str(view.upstream), self._left(view.expires) or 0.0) for view in views
        ]

    def _joined_group(self, port: int, view: GroupView, joins: list[LocalJoin]) -> LocalGroup:
        return LocalGroup(
            joins=joins,
            port=port,
            port_name=self._port_name(port),
            since_s=self._ago(view.since),
            filter_mode=view.mode.value,
            sources=[LocalSource(str(source.source), self._left(source.expires)) for source in view.sources],
            expires_s=self._left(view.expires),
            version=view.version,
            leaving=view.leaving,
            hosts=[
                LocalHost(
                    mac=str(host.mac),
                    ip=str(host.address),
                    version=host.version,
                    filter_mode=host.filter.mode.value,
                    sources=[str(source) for source in sorted(host.filter.sources, key=int)],
                    expires_s=self._left(host.expires) or 0.0,
                    since_s=self._ago(host.since),
                )
                for host in view.hosts
            ],
        )

    def _port_name(self, port: int) -> str:
        return self._port_names.get(port, str(port))

    def _ago(self, then: Instant) -> float:
        return round(max(self._now - then, 0), 3)

    def _left(self, expires: Instant | None) -> float | None:
        return None if expires is None else round(max(expires - self._now, 0), 3)

    def _member(self, here: list[LocalGroup], member: MemberView, permitted: bool) -> Member:
        sources = [str(source) for source in sorted(member.filter.sources, key=int)]
        if member.node == self._view.me:
            since_s = max((local.since_s for local in here if local.since_s is not None), default=None)
        else:
            since_s = None if member.since is None else self._ago(member.since)
        return Member(self._view.name(member.node), member.filter.mode.value, sources, since_s, permitted)


def _rows(members: _Members, senders: list[CountedFlow]) -> list[IPAddress | None]:
    """One row for any source where somebody excludes, then one for each source that somebody includes, and where nobody
    excludes, for each that sends.
    """
    filters = [member.filter for member in members]
    sources = {source for wanted in filters if wanted.mode is FilterMode.INCLUDE for source in wanted.sources}
    if any(wanted.mode is FilterMode.EXCLUDE for wanted in filters):
        return [None, *sorted(sources, key=int)]
    sources.update(sender.source for sender in senders)
    return [*sorted(sources, key=int)]


def _is_of_row(sender: CountedFlow, flow: Flow, others: Set[IPAddress]) -> bool:
    return sender.source not in others if flow.source is None else sender.source == flow.source


def _is_listed(wanted: SourceFilter, source: IPAddress | None) -> bool:
    return wanted.mode is FilterMode.EXCLUDE if source is None else wanted.accepts(source)


def _mode(stream: RootedStreamView) -> str:
    if stream.mode is TreeMode.AUTHENTICATED:
        return "copies"
    if stream.mode is TreeMode.REPLICATED:
        return "replicated"
    if stream.plan is None:
        return "star"
    if stream.mode is not TreeMode.PROTECTED:
        return "planned"
    return "protected" if stream.plan.why_one is None else "unprotected"
