"""Measurements of links on their way from ``links`` to ``broadcast``, which advertises them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treecast.base.events import SessionReport
from treecast.broadcast.own_links import LinkMeasurement
from treecast.links.links import Links


def measurements(links: Links, reports: Sequence[SessionReport]) -> Iterator[LinkMeasurement]:
    """How each link does, by the session in use."""
    for report in reports:
        peer = links.peer(report.peer)
        if peer is not None and peer.current.index == report.session:
            yield LinkMeasurement(report.peer, report.rtt_ms, report.path_unanswered, report.age_s)
