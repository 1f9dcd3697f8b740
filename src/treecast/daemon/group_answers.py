"""The answer to ``groups``: the multicast table, this node's own hosts in it, and the traffic of each group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treecast.adapters.native import DataPlane
from treecast.api.records import Group, LocalGroup, LocalHost, LocalJoin, LocalSource, Member, Querier, Router
from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow, GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.engine.engine import Engine
from treecast.multicast import GroupView, PimJoinView
from treecast.topology.multicast_table import group_sort_key

_Members = list[tuple[NodeIndex, SourceFilter]]
_Traffic = dict[Flow, tuple[int, int]]
"""Packets and bytes."""


class GroupAnswers:
    """Made anew for each question: ``now`` is the moment it was asked."""

    def __init__(self, engine: Engine, plane: DataPlane, now: Instant) -> None:
        self._engine = engine
        self._plane = plane
        self._now = now

    def groups(self) -> Iterator[Group | None]:
        """One row for each group and source that somebody wants. None: the caller may pause here too.

        What changes meanwhile shows in the rows that follow.
        """
        sent: _Traffic = {}
        for flow, traffic in self._plane.sent_by_flow():
            sent[flow] = traffic
            yield None
        received = self._received_by_flow()
        yield None
        for key in self._keys():
            yield None
            here = self._local_groups(key)
            members = self._members(key)
            for source in _rows(members):
                yield self._row(Flow(*key, source), members, here, sent, received)

    def _keys(self) -> list[GroupKey]:
        keys = set(self._engine.topology.table.groups())
        return sorted(keys.union(self._engine.membership.group_keys()), key=group_sort_key)

    def _members(self, key: GroupKey) -> _Members:
        """Who wants it, by node index."""
        members = self._engine.topology.members(key)
        here = self._engine.membership.filter(*key)
        return members if here.wants_nothing else sorted([*members, (self._engine.me, here)], key=lambda m: m[0])

    def _row(self, flow: Flow, members: _Members, here: list[LocalGroup], sent: _Traffic, received: _Traffic) -> Group:
        listed = [member for member in members if _is_listed(member[1], flow.source)]
        rx_packets, rx_bytes = received.get(flow, (0, 0))
        tx_packets, tx_bytes = sent.get(flow, (0, 0))
        return Group(
            group=str(flow.group),
            source=str(flow.source) if flow.source else "*",
            members=[self._member(*member) for member in listed],
            local=any(node == self._engine.me for node, _ in listed),
            rx_packets=rx_packets,
            rx_bytes=rx_bytes,
            tx_packets=tx_packets,
            tx_bytes=tx_bytes,
            vlan=flow.vlan,
            here=here,
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
                    found.append(LocalGroup(port, mode, [], None, 0, leaving=False, hosts=[], joins=self._joins(joins)))
        return found

    def _joins(self, views: Sequence[PimJoinView]) -> list[LocalJoin]:
        return [
            LocalJoin(str(view.source or "*"), str(view.upstream), self._left(view.expires) or 0.0) for view in views
        ]

    def _local_group(self, port: int, view: GroupView, joins: list[LocalJoin]) -> LocalGroup:
        return LocalGroup(
            joins=joins,
            port=port,
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
                )
                for host in view.hosts
            ],
        )

    def _left(self, expires: Instant | None) -> float | None:
        return None if expires is None else round(max(expires - self._now, 0), 3)

    def _member(self, node: NodeIndex, wanted: SourceFilter) -> Member:
        sources = [str(source) for source in sorted(wanted.sources, key=int)]
        return Member(self._engine.nodes.name(node), wanted.mode.value, sources)

    def _received_by_flow(self) -> _Traffic:
        received: _Traffic = {}
        for root, tree_id, packets, size in self._plane.received_by_tree():
            flow = self._engine.member_trees.flow_of(root, tree_id)
            if flow is not None:
                before = received.get(flow, (0, 0))
                received[flow] = (before[0] + packets, before[1] + size)
        return received


def _rows(members: _Members) -> Iterator[IPAddress | None]:
    """One row for any source where somebody excludes, then one for each source that somebody includes."""
    if any(wanted.mode is FilterMode.EXCLUDE for _, wanted in members):
        yield None
    included = {source for _, wanted in members if wanted.mode is FilterMode.INCLUDE for source in wanted.sources}
    if included:
        yield from sorted(included, key=int)


def _is_listed(wanted: SourceFilter, source: IPAddress | None) -> bool:
    return wanted.mode is FilterMode.EXCLUDE if source is None else wanted.accepts(source)
