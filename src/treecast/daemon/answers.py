"""What a running node tells its owner: the engine's state and the data plane's numbers, as records."""

from __future__ import annotations

from collections import Counter

from treecast.adapters import clock
from treecast.adapters.native import DataPlane
from treecast.api.records import Answer, Group, Host, Member, Peer, Status, Verb
from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.engine.engine import UNTAGGED, Engine
from treecast.identity.node import NodeIdentity

_Members = list[tuple[NodeIndex, SourceFilter]]
_Traffic = dict[Flow, tuple[int, int]]
"""Packets and bytes."""


class Answers:
    """Answers by verb. Each is made when it is asked for."""

    def __init__(
        self, identity: NodeIdentity, engine: Engine, plane: DataPlane, *, ipv6: bool, started_at: Instant
    ) -> None:
        self._identity = identity
        self._engine = engine
        self._plane = plane
        self._ipv6 = ipv6
        self._started_at = started_at

    def __call__(self, verb: Verb) -> Answer:
        match verb:
            case Verb.STATUS:
                return self._status()
            case Verb.PEERS:
                return self._peers()
            case Verb.GROUPS:
                return self._groups()
            case Verb.HOSTS:
                return self._hosts()

    def _status(self) -> Status:
        certificate = self._identity.certificate
        drops = Counter(self._plane.drops())
        drops.update(self._engine.drops.snapshot())
        return Status(
            node=certificate.name,
            node_id=str(certificate.node_id),
            network=self._identity.network.name,
            interface=self._plane.interface,
            ipv4=str(certificate.ipv4.ip) if certificate.ipv4 else "",
            ipv6=str(certificate.ipv6.ip) if certificate.ipv6 and self._ipv6 else "",
            uptime_s=round(clock.monotonic() - self._started_at, 3),
            peers=len(self._engine.links.peers()),
            counters=self._plane.counters() | self._engine.discovery.counters.snapshot(),
            drops=dict(sorted(drops.items())),
            listening=[str(endpoint) for endpoint in self._plane.listening],
            offloads=self._plane.offloads,
            seeking=self._engine.links.seeking(),
        )

    def _peers(self) -> list[Peer]:
        traffic = self._plane.peer_traffic()
        rtt_ms = {r.session: round(r.rtt_ms, 3) for r in self._plane.reports() if r.rtt_ms is not None}
        return [
            Peer(
                name=peer.certificate.name,
                node_id=str(peer.certificate.node_id),
                endpoint=str(peer.current.endpoint),
                state="up",
                rtt_ms=rtt_ms.get(peer.current.index),
                rx_bytes=traffic[peer.node].rx_bytes if peer.node in traffic else 0,
                tx_bytes=traffic[peer.node].tx_bytes if peer.node in traffic else 0,
            )
            for peer in self._engine.links.peers()
        ]

    def _groups(self) -> list[Group]:
        sent, received = self._plane.sent_by_flow(), self._received_by_flow()
        local = self._engine.membership.filters()
        groups = {group for vlan, group in self._engine.topology.table.groups() if vlan == UNTAGGED} | set(local)
        rows: list[Group] = []
        for group in sorted(groups, key=lambda group: (group.version, int(group))):
            members = self._engine.topology.members((UNTAGGED, group))
            if group in local:
                members = sorted([*members, (self._engine.me, local[group])], key=lambda member: member[0])
            for source in _rows(members):
                listed = [member for member in members if _is_listed(member[1], source)]
                flow = Flow(UNTAGGED, group, source)
                rx_packets, rx_bytes = received.get(flow, (0, 0))
                tx_packets, tx_bytes = sent.get(flow, (0, 0))
                rows.append(
                    Group(
                        group=str(group),
                        source=str(source) if source else "*",
                        members=[self._member(*member) for member in listed],
                        local=any(node == self._engine.me for node, _ in listed),
                        rx_packets=rx_packets,
                        rx_bytes=rx_bytes,
                        tx_packets=tx_packets,
                        tx_bytes=tx_bytes,
                    )
                )
        return rows

    def _member(self, node: NodeIndex, wanted: SourceFilter) -> Member:
        sources = sorted(wanted.sources, key=lambda source: (source.version, int(source)))
        return Member(self._engine.nodes.name(node), wanted.mode.value, [str(source) for source in sources])

    def _received_by_flow(self) -> _Traffic:
        received: _Traffic = {}
        for root, tree_id, packets, size in self._plane.received_by_tree():
            flow = self._engine.member_trees.flow_of(root, tree_id)
            if flow is not None:
                before = received.get(flow, (0, 0))
                received[flow] = (before[0] + packets, before[1] + size)
        return received

    def _hosts(self) -> list[Host]:
        now = clock.monotonic()
        return [
            Host(
                mac=str(host.mac),
                ip=_texts(host.addresses),
                node=self._engine.nodes.name(host.node),
                age_s=_age(now, host.heard_at) if host.heard_at is not None else 0.0,
                port=host.port,
                vlan=host.vlan,
                router=host.is_router,
                moves=host.moves,
                duplicate=host.duplicate,
                conflicts=[str(mac) for mac in host.conflicts],
            )
            for host in self._engine.discovery.hosts(now)
        ]


def _rows(members: _Members) -> list[IPAddress | None]:
    """One row for any source where somebody excludes, then one for each source that somebody includes."""
    any_source: list[IPAddress | None] = [None] if any(w.mode is FilterMode.EXCLUDE for _, w in members) else []
    included = {source for _, wanted in members if wanted.mode is FilterMode.INCLUDE for source in wanted.sources}
    return any_source + sorted(included, key=int)


def _is_listed(wanted: SourceFilter, source: IPAddress | None) -> bool:
    return wanted.mode is FilterMode.EXCLUDE if source is None else wanted.accepts(source)


def _texts(addresses: tuple[IPAddress, ...]) -> list[str]:
    return [str(address) for address in addresses]


def _age(now: Instant, then: Instant) -> float:
    return round(now - then, 3)
