"""The view of an engine's trees: traces of them, and what decided them. Its part of ``view``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.dataplane.tree_traces import TraceResult
from treecast.engine.rooms import Rooms


@dataclass(frozen=True, slots=True)
class TraceOf:
    """A group, a source of it or any, and roots from which hosts here were given it."""

    group: IPAddress
    source: IPAddress | None
    senders: Collection[NodeIndex]


def begin_trace(rooms: Rooms, now: Instant, trace: int, wanted: TraceOf) -> bool:
    """Trace from all roots whose tree this node may be on: a relay does not know which group it relays."""
    of_group = (tree.root for tree in rooms.downstream_trees.trees() if tree.flow and _carries(tree.flow, wanted))
    relayed = (root for root, _ in rooms.tree_states.relayed())
    roots = {*wanted.senders, *of_group, *relayed}
    return rooms.tree_traces.begin(now, trace, (wanted.group, wanted.source), roots)


class TreeView:
    """Shows an engine's trees."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def take_trace(self, trace: int) -> TraceResult | None:
        """The result of a trace, once; None: it goes on."""
        return self._rooms.tree_traces.take(trace)


def _carries(flow: Flow, wanted: TraceOf) -> bool:
    return flow.carries(wanted.group, wanted.source)
