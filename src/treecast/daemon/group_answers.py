"""The answer to ``groups``: the multicast table, this node's own hosts in it, and the traffic of each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from treecast.adapters.native import DataPlane
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
from treecast.base.addresses import IPAddress
from treecast.base.flows import CountedFlow, Flow, GroupKey, PrefixKey, prefix_holds
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.daemon.group_traffic import GroupTraffic
from treecast.engine.engine import Engine
from treecast.multicast import GroupView, PimJoinView
from treecast.topology.group_prefixes import contains, prefix_sort_key
from treecast.topology.multicast_table import group_sort_key

_Members = list[tuple[NodeIndex, SourceFilter]]


class GroupAnswers:
    """Made anew for each question: ``now`` is the moment it was asked."""

    def __init__(self, engine: Engine, plane: DataPlane, port_names: Mapping[int, str], now: Instant) -> None:
        self._engine = engine
        self._plane = plane
        self._port_names = port_names
        self._now = now

    def groups(self) -> Iterator[Group | None]:
        """One row for each group and source that somebody wants or sends. None: the caller may pause here too.

        What changes meanwhile shows in the rows that follow.
        """
        traffic = GroupTraffic()
        yield from traffic.read(self._plane)
        for prefix in self._prefixes():
            yield self._prefix_row(prefix, traffic)
        for key in self._keys(traffic):
            yield None
            here = self._local_groups(key)
            members = self._members(key)
            senders = traffic.senders(key)
            sources = _rows(members, senders)
            others = {source for source in sources if source is not None}
            for source in sources:
                yield self._row(Flow(*key, source), members, here, others, senders, traffic)

    def _keys(self, traffic: GroupTraffic) -> list[GroupKey]:
        keys = set(self._engine.topology.table.groups())
        keys.update(self._engine.membership.group_keys(), traffic.groups())
        return sorted(keys, key=group_sort_key)

    def _members(self, key: GroupKey) -> _Members:
        """Who wants it, by node index."""
        members = self._engine.topology.members(key)
        here = self._engine.membership.filter(*key)
        if any(contains(prefix, key) for prefix in self._engine.membership_sync.prefixes):
            here = ANY_SOURCE
        return members if here.wants_nothing else sorted([*members, (self._engine.me, here)], key=lambda m: m[0])

    def _prefixes(self) -> list[PrefixKey]:
        """Prefixes of groups that nodes get without joining, this one among them."""
        of_others = self._engine.topology.table.prefixes.prefixes()
        return sorted({*of_others, *self._engine.membership_sync.prefixes}, key=prefix_sort_key)

    def _prefix_row(self, key: PrefixKey, traffic: GroupTraffic) -> Group:
        """``tx`` are the frames to groups of the prefix that nobody joined."""
        vlan, prefix = key
        nodes = self._engine.topology.table.prefixes.subscribers_of(key)
        local = any(vlan == own and prefix_holds(whole, prefix) for own, whole in self._engine.membership_sync.prefixes)
        members = sorted({*nodes, self._engine.me} if local else nodes)
        tx_packets, tx_bytes = traffic.sent(Flow.of_prefix(key))
        return Group(
            group=str(prefix),
            source="*",
            members=[self._member(Flow.of_prefix(key), [], node, ANY_SOURCE) for node in members],
            local=local,
            rx_packets=0,
            rx_bytes=0,
            tx_packets=tx_packets,
            tx_bytes=tx_bytes,
            vlan=vlan,
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
        listed = [member for member in members if _is_listed(member[1], flow.source)]
        rx_packets, rx_bytes = traffic.delivered(flow, others)
        tx_packets, tx_bytes = traffic.sent(flow)
        return Group(
            group=str(flow.group),
            source=str(flow.source) if flow.source else "*",
            members=[self._member(flow, here, *member) for member in listed],
            local=any(node == self._engine.me for node, _ in listed),
            rx_packets=rx_packets,
            rx_bytes=rx_bytes,
            tx_packets=tx_packets,
            tx_bytes=tx_bytes,
            vlan=flow.vlan,
            here=here,
            senders=[self._sender(sender) for sender in senders if _is_of_row(sender, flow, others)],
        )

    def _sender(self, sender: CountedFlow) -> Sender:
        return Sender(
            source=str(sender.source),
            node=self._engine.nodes.name(sender.root),
            port="" if sender.port is None else self._port_name(sender.port),
            since_s=round(sender.since_s, 3),
            silent_s=round(sender.silent_s, 3),
            packets=sender.since_packets,
            bytes=sender.since_bytes,
            pps=None if sender.pps is None else round(sender.pps, 3),
            rate_bps=None if sender.bps is None else round(sender.bps, 1),
        )

    def queriers(self) -> list[Querier]:
        """Who asks on each port, VLAN and protocol, and the multicast routers there."""
        routers = self._engine.membership.routers()
        rows = []
        for port, vlan, membership in self._engine.membership.segments():
            for router in membership.routers():
                view = router.querier()
                there = [r for r in routers if (r.port, r.vlan) == (port, vlan)]
                rows.append(
                    Querier(
                        port=port,
                        vlan=vlan,
                        protocol=router.protocol.name,
                        is_this_node=view.is_querier,
                        address=str(view.address),
                        version=view.version,
                        expires_s=self._left(view.expires),
                        robustness=view.robustness,
                        query_interval_s=view.query_interval,
                        port_name=self._port_name(port),
                        routers=[
                            Router(str(r.address), r.seen_by, self._left(r.expires))
                            for r in there
                            if r.address.version == router.protocol.ip_version
                        ],
                    )
                )
        return rows

    def _local_groups(self, key: GroupKey) -> list[LocalGroup]:
        vlan, group = key
        found = []
        for port, of_vlan, membership in self._engine.membership.segments():
            if of_vlan == vlan:
                view, joins = membership.view(group), self._engine.membership.pim_joins(port, vlan, group)
                if view is not None:
                    found.append(self._local_group(port, view, self._joins(joins)))
                elif joins:
                    mode = self._engine.membership.port_filter(port, vlan, group).mode.value
                    joined, name = self._joins(joins), self._port_name(port)
                    found.append(LocalGroup(port, mode, [], None, 0, False, hosts=[], joins=joined, port_name=name))
        return found

    def _joins(self, views: Sequence[PimJoinView]) -> list[LocalJoin]:
        return [
            LocalJoin(str(view.source or "*"), str(view.upstream), self._left(view.expires) or 0.0) for view in views
        ]

    def _local_group(self, port: int, view: GroupView, joins: list[LocalJoin]) -> LocalGroup:
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

    def _member(self, flow: Flow, here: list[LocalGroup], node: NodeIndex, wanted: SourceFilter) -> Member:
        sources = [str(source) for source in sorted(wanted.sources, key=int)]
        if node == self._engine.me:
            since_s = max((local.since_s for local in here if local.since_s is not None), default=None)
        else:
            since = self._engine.topology.table.since(node, (flow.vlan, flow.group))
            since_s = None if since is None else self._ago(since)
        return Member(self._engine.nodes.name(node), wanted.mode.value, sources, since_s)


def _rows(members: _Members, senders: list[CountedFlow]) -> list[IPAddress | None]:
    """One row for any source where somebody excludes, then one for each source that somebody includes, and where nobody
    excludes, for each that sends.
    """
    sources = {source for _, wanted in members if wanted.mode is FilterMode.INCLUDE for source in wanted.sources}
    if any(wanted.mode is FilterMode.EXCLUDE for _, wanted in members):
        return [None, *sorted(sources, key=int)]
    sources.update(sender.source for sender in senders)
    return [*sorted(sources, key=int)]


def _is_of_row(sender: CountedFlow, flow: Flow, others: Set[IPAddress]) -> bool:
    return sender.source not in others if flow.source is None else sender.source == flow.source


def _is_listed(wanted: SourceFilter, source: IPAddress | None) -> bool:
    return wanted.mode is FilterMode.EXCLUDE if source is None else wanted.accepts(source)
