"""Measurements of links on their way from ``links`` to ``broadcast``, which advertises them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treecast.base.events import SessionReport
from treecast.links.links import Links


def measurements(links: Links, reports: Sequence[SessionReport]) -> Iterator[SessionReport]:
    """How each link does: the reports of sessions in use."""
    for report in reports:
        peer = links.peer(report.peer)
        if peer is not None and peer.current.index == report.session:
            yield report
