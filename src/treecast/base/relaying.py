"""Relaying: what a node sends on of other nodes' trees, and to how many in all, as its operator sets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relaying:
    """``relays``: whether it sends on at all. ``uplink_bps`` and ``max_children``: None where not set.

    ``max_children``: over all trees of the node, its own and those of others.
    """

    relays: bool = True
    uplink_bps: int | None = None
    max_children: int | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether the node is to send no more than so much."""
        return self.uplink_bps is not None or self.max_children is not None


UNBOUNDED = Relaying()
