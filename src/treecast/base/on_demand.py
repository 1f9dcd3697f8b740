"""Links on demand, as the operator sets them and as people see them: ``topology/on_demand_links.py`` decides."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.time import Duration, Instant

MOST_ON_DEMAND = 8
"""A node has so many of them at most, and no more can be set."""


@dataclass(frozen=True, slots=True)
class OnDemandConfig:
    """Thresholds that make an on-demand link, and that end it. Rates: both directions together, in bit/s.

    A link is wanted with a node to which more than ``above_bps`` goes for ``above_for``, or ``volume_bytes`` within a
    minute, or more than its route has room for. It ends when less than ``below_bps`` has gone for ``below_for``, and
    not before it is so old. ``links``: how many there are at most; 0: none.
    """

    above_bps: float = 1_000_000
    above_for: Duration = 5.0
    volume_bytes: int = 10_000_000
    below_bps: float = 100_000
    below_for: Duration = 180.0
    links: int = MOST_ON_DEMAND


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand for a link with a node, for people. ``since`` None: it is tried again from ``paused_until`` on."""

    config: OnDemandConfig
    rate_bps: float
    since: Instant | None
    failures: int
    paused_until: Instant
