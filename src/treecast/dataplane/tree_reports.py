"""Reports of this node's places on trees, to the roots of these trees.

Decides whom it reports to, and how often. What it reports is read from the data plane: what is installed there, not
what a root planned. Read ``docs/protocol.md`` section 7, Tracing, first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex, StreamId
from treecast.base.installed_trees import InstalledPlace, InstalledTrees
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.wire.control import TreeQuery, TreeReport, emit_control
from treecast.wire.traced_trees import MAX_TRACED_CHILDREN, Place

QUERIES_PER_S, QUERIES_AT_ONCE = 50, 128
"""Queries of one root: two for each trace of a stream, and up to four times where datagrams are lost."""

LinkQuality = Callable[[NodeIndex], tuple[float | None, float | None]]
"""The round trip in ms, and the part of probes that is lost, of the link with a node; None: not measured."""


class TreeReports:
    """Answers of this node. Each root has a budget of its own; what is beyond is ``tree_query_rate``."""

    def __init__(
        self,
        drops: Drops,
        installed: InstalledTrees,
        subscribes: Callable[[NodeIndex, StreamId], bool],
        quality: LinkQuality,
        commands: list[Command],
    ) -> None:
        """``commands``: appended to; the owner of the list empties it."""
        self._drops = drops
        self._installed = installed
        self._subscribes = subscribes
        self._quality = quality
        self._budgets: dict[NodeIndex, TokenBucket] = {}
        """One for each linked node that has queried."""
        self._commands = commands

    def query(self, now: Instant, root: NodeIndex, query: TreeQuery) -> None:
        """A root queries where this node is on its stream's trees: nobody else learns of them here."""
        budget = self._budgets.get(root)
        if budget is None:
            budget = self._budgets[root] = TokenBucket.full(QUERIES_PER_S, QUERIES_AT_ONCE, now)
        if not budget.take(now):
            self._drops.count("tree_query_rate")
            return
        stream = StreamId(query.stream)
        installed = self._installed.installed_stream(root, stream)
        report = TreeReport(
            query.query,
            stream,
            round(now * 1e6),
            self._subscribes(root, stream),
            None if installed is None else installed.received,
            () if installed is None else self._places(installed.places),
        )
        self._commands.append(SendControl(root, emit_control(report)))

    def forget(self, peer: NodeIndex) -> None:
        """The link to the node has ended."""
        self._budgets.pop(peer, None)

    def _places(self, places: Sequence[InstalledPlace]) -> tuple[Place, ...]:
        return tuple(self._place(place) for place in places)

    def _place(self, place: InstalledPlace) -> Place:
        rtt_ms, loss = self._quality(place.parent)
        return Place(
            epoch=place.epoch,
            key_id=place.key_id,
            parent=place.parent,
            backup=place.backup,
            graft=place.graft,
            since_ms=round(place.since_s * 1000),
            rtt_us=None if rtt_ms is None else min(round(rtt_ms * 1000), 0xFFFF_FFFF),
            loss_ppm=None if loss is None else round(loss * 1e6),
            next_hops=len(place.next_hops),
            children=place.next_hops[:MAX_TRACED_CHILDREN],
        )
