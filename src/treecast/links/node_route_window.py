"""Measurements of a peer's node route since it has that one: what was not answered, and what of all that went has come.

Decides when another neighbour is to be tried in its place. Read ``docs/protocol.md`` section 4 (Node routes) first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from treecast.base.events import NodeRouteReceipt, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant

QUIET_IN_USE: Duration = 0.8
"""Nothing came for so long by a neighbour by which something is sent: it is probed with each review, each second."""
QUIET: Duration = 2.2
"""The same of others: the answers of one turn of probes are missing."""
IN_USE: Duration = 2.5
"""Something was sent by the route within that time: a stream, not a message now and then."""
PROBES = 4
"""The probes that are sent as soon as it is quiet: where one is lost now and then, another one is answered."""
PATIENCE: Duration = 0.9
"""The wait for an answer to the probes of one review: until the next one."""
ROUND_TRIPS = 2.0
"""The wait for an answer where that takes longer, in round trips."""
UNANSWERED_NODE_ROUTE_TURNS = 3
"""Turns of probes of the route, 2 s each, that were not answered, nor those with each review since, though something
comes by it.
"""

LOST_AT_LEAST = 16
"""Datagrams: fewer are lost where a queue overflows once, or an interface has a hiccup."""
LOST_SHARE = 0.25
"""A quarter of what went by the route: more than an underlay loses that is of use for streams."""
WINDOW_DATAGRAMS = 256
WINDOW_TIME: Duration = 20.0
"""A window ends with the one or the other, and the next one begins: what was lost long ago does not count."""


@dataclass(slots=True)
class NodeRouteWindow:
    """One peer's. ``since``: when all for it began to go by this neighbour; ``tried``: others since something came."""

    since: Instant
    tried: Collection[NodeIndex] = ()
    _probed_at: Instant | None = None
    """The time at which the first probe left for want of a datagram; nothing has come since."""
    _routed: int | None = None
    _routed_at: Instant | None = None
    """How much had gone by the route at the last review, and at which one that had grown."""
    _began_at: Instant | None = None
    _first: NodeRouteReceipt | None = None
    """How much had been sent and had come when the window began."""

    def tried_with(self, now: Instant, via: NodeIndex, report: SessionReport) -> set[NodeIndex]:
        """The neighbours that were tried since something came by one, with this one."""
        is_heard = report.route_silent_s < now - self.since
        return {via} if is_heard else {via, *self.tried}

    def is_in_use(self, now: Instant) -> bool:
        """Whether something besides probes goes by the route."""
        return self._routed_at is not None and now - self._routed_at < IN_USE

    def is_silent(self, now: Instant, report: SessionReport) -> bool:
        """Whether nothing comes by this neighbour, nor were probes answered for longer than that takes."""
        self._note_use(now, report.routed)
        if self._probed_at is not None and report.route_silent_s < now - self._probed_at:
            self._probed_at = None
        patience = max(PATIENCE, ROUND_TRIPS * (report.rtt_ms or 0.0) / 1000)
        is_overdue = self._probed_at is not None and now - self._probed_at >= patience
        return is_overdue or report.node_route_unanswered >= UNANSWERED_NODE_ROUTE_TURNS

    def probes(self, now: Instant, report: SessionReport, *, at_once: bool) -> int:
        """How many probes are to be sent now, as it is quiet. ``at_once``: where it is in use, sooner than others."""
        quiet = QUIET_IN_USE if at_once and self.is_in_use(now) else QUIET
        if self._probed_at is None and min(report.route_silent_s, now - self.since) >= quiet:
            self._probed_at = now
            return PROBES
        return int(self._probed_at is not None or report.node_route_unanswered > 1)

    def _note_use(self, now: Instant, routed: int) -> None:
        if self._routed is not None and routed > self._routed:
            self._routed_at = now
        self._routed = routed

    def lost(self, now: Instant, receipt: NodeRouteReceipt | None) -> tuple[int, int] | None:
        """How many datagrams were lost, and of how many, where that is too much. ``receipt``: the last one of now."""
        first = self._first
        if receipt is None or first is None or first.session != receipt.session:
            self._begin(now, receipt)
            return None
        sent = receipt.sent - first.sent
        lost = sent - (receipt.came - first.came)
        is_too_much = lost >= LOST_AT_LEAST and lost >= LOST_SHARE * sent
        if is_too_much or sent >= WINDOW_DATAGRAMS or now - (self._began_at or now) >= WINDOW_TIME:
            self._begin(now, receipt)
        return (lost, sent) if is_too_much else None

    def _begin(self, now: Instant, receipt: NodeRouteReceipt | None) -> None:
        self._began_at, self._first = now, receipt
