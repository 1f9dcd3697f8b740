"""The answer to ``peers``: the nodes that are known or sought, with what the data plane measures of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from treecast.api.records import Peer
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.on_demand import Demand
from treecast.base.time import Instant
from treecast.engine.view import Known, View
from treecast.identity.certificate import Certificate
from treecast.links.standing import Standing


class PeerTraffic(Protocol):
    """Counters of what a peer was sent and has sent."""

    @property
    def rx_bytes(self) -> int: ...
    @property
    def tx_bytes(self) -> int: ...


class PeerNumbers(Protocol):
    """The numbers of ``adapters.native.DataPlane`` that are read."""

    def reports(self) -> list[SessionReport]: ...
    def peer_traffic(self) -> Mapping[NodeIndex, PeerTraffic]: ...


def peer_answers(view: View, plane: PeerNumbers, now: Instant) -> Iterator[Peer]:
    """One row for each node."""
    reports = {report.session: report for report in plane.reports()}
    traffic = plane.peer_traffic()
    for known in view.known(now):
        certificate = known.certificate or (view.certificate(known.node) if known.node else None)
        volume = traffic.get(known.node) if known.node else None
        is_revoked = known.node is not None and view.is_revoked(known.node)
        is_linked = known.node is not None and known.standing is Standing.UP and not known.via
        link = view.link_reason(known.node) if is_linked and known.node is not None else ""
        demand = view.demand(known.node) if known.node is not None else None
        yield _peer(known, certificate, reports, volume, now, is_revoked=is_revoked, link=link, demand=demand)


def _peer(
    known: Known,
    certificate: Certificate | None,
    reports: Mapping[int, SessionReport],
    traffic: PeerTraffic | None,
    now: Instant,
    *,
    is_revoked: bool,
    link: str,
    demand: Demand | None,
) -> Peer:
    report = reports.get(known.session) if known.session is not None else None
    silent_s = report.silent_s if report else now - known.last_received if known.last_received is not None else None
    own = [interface.ip for interface in (certificate.ipv4, certificate.ipv6) if interface] if certificate else []
    by_version = {address.version: str(address) for address in (*known.overlay, *own)}
    refused = known.standing is Standing.REFUSED
    state = f"{known.standing}: {known.why}" if refused else str(known.standing)
    since = demand.since if demand is not None else None
    return Peer(
        name=known.name,
        node_id=str(certificate.node_id) if certificate else "",
        endpoint=f"via {known.via}" if known.via else str(known.endpoints[0]) if known.endpoints else "",
        state="revoked" if is_revoked and known.standing is not Standing.UP else state,
        rtt_ms=round(report.rtt_ms, 3) if report and report.rtt_ms is not None else None,
        rx_bytes=traffic.rx_bytes if traffic else 0,
        tx_bytes=traffic.tx_bytes if traffic else 0,
        ipv4=by_version.get(4, ""),
        ipv6=by_version.get(6, ""),
        last_received_s=round(silent_s, 3) if silent_s is not None else None,
        version=known.version,
        underlay_mtu=known.underlay_mtu,
        hybrid=known.hybrid,
        via=known.via,
        link=link,
        demand_bps=round(demand.rate_bps) if demand is not None and since is not None else None,
        demand_since_s=round(now - since, 3) if since is not None else None,
    )
