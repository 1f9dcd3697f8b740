"""The view of an engine's trees and links: traces, and what decided them. Its part of ``view``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.installed_trees import InstalledPlace
from treecast.base.link_reasons import LinkReason
from treecast.base.on_demand import Demand
from treecast.base.plan_causes import PlanDecision, RefusedRelay
from treecast.base.relaying import Relaying
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeMode
from treecast.dataplane.key_times import KEY_LIFETIME
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.tree_traces import TraceResult
from treecast.engine.rooms import Rooms, may_relay


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


@dataclass(frozen=True, slots=True)
class RootedStream:
    """A stream that begins here, in use. ``plan`` None: this node sends to all members itself. ``since``: that its key
    is in use; ``mute``: members that acknowledge nothing.
    """

    flow: Flow
    stream: StreamId
    epoch: TreeEpoch
    key_id: KeyId
    since: Instant
    mode: TreeMode
    members: int
    mute: tuple[NodeIndex, ...]
    plan: PlanDecision | None
    epochs: int
    replans: int
    grafts: int


@dataclass(frozen=True, slots=True)
class TakenStream:
    """A stream of another root: this node's places on its trees, as they are installed, the lower epoch first."""

    root: NodeIndex
    stream: StreamId
    flow: Flow
    places: Sequence[InstalledPlace]


@dataclass(frozen=True, slots=True)
class LinkedSince:
    """The times since which a node is linked, and reached as it is; its round trip in ms; whether it may relay here."""

    up: Instant | None
    routed: Instant | None
    rtt_ms: float | None
    may_relay: bool
    relaying: Relaying
    refused: RefusedRelay | None


class TreeView:
    """Shows an engine's trees."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def take_trace(self, trace: int) -> TraceResult | None:
        """The result of a trace, once; None: it goes on."""
        return self._rooms.tree_traces.take(trace)

    def relayed_children(self) -> int:
        """The nodes that this one sends streams of other roots to."""
        return self._rooms.tree_states.children

    def rooted_streams(self, group: IPAddress) -> Iterator[RootedStream]:
        """Streams of this node that carry a group, and have a frame sent: a walk over all its trees."""
        for flow, tree in list(self._rooms.root_trees.trees.items()):
            if flow is not None and flow.carries(group, None):
                yield from self._rooted(flow, tree)

    def rooted_stream(self, flow: Flow) -> RootedStream | None:
        """The stream of this flow, if this node has one in use."""
        tree = self._rooms.root_trees.trees.get(flow)
        return next(self._rooted(flow, tree), None) if tree is not None else None

    def _rooted(self, flow: Flow, tree: RootTree) -> Iterator[RootedStream]:
        if not tree.used:
            return
        yield RootedStream(
            flow,
            tree.stream,
            tree.key.epoch,
            tree.key.key_id,
            Instant(tree.key_due - KEY_LIFETIME),
            tree.mode,
            len(tree.members),
            tuple(sorted(tree.mute)),
            None if tree.mode is TreeMode.AUTHENTICATED else self._rooms.tree_planning.decision(tree.stream),
            tree.epochs,
            tree.replans,
            tree.grafts,
        )

    def taken_streams(self, group: IPAddress) -> Iterator[TakenStream]:
        """Streams of other roots that carry a group, and that this node has a key of."""
        for tree in self._rooms.downstream_trees.trees():
            if tree.flow is not None and tree.flow.carries(group, None):
                found = self._rooms.installed.installed_stream(tree.root, tree.stream)
                yield TakenStream(tree.root, tree.stream, tree.flow, found.places if found is not None else ())

    def refused_relays(self, now: Instant) -> list[RefusedRelay]:
        """Nodes that are given fewer children on trees of this one than they advertise, for now."""
        return self._rooms.tree_planning.refused_relays(now)

    def link_reason(self, node: NodeIndex) -> LinkReason:
        """Why there is a link with a node that is linked."""
        choice = self._rooms.chosen_links
        reason = LinkReason.MESH if choice is None else choice.reason(node)
        is_on_demand = reason is LinkReason.ACCEPTED and node in self._rooms.on_demand_links.wanted
        return LinkReason.ON_DEMAND if is_on_demand else reason

    def demand(self, node: NodeIndex) -> Demand | None:
        """The demand for a link with a node, as far as its traffic makes one."""
        return self._rooms.on_demand_links.demand(node)

    def linked_since(self, now: Instant, node: NodeIndex) -> LinkedSince:
        """How a node is linked, and what it may do for trees of this one."""
        rooms = self._rooms
        refused = next((one for one in self.refused_relays(now) if one.node == node), None)
        rtt_ms, _ = rooms.broadcast.link_quality(node)
        relaying = rooms.nodes.relaying(node)
        return LinkedSince(*rooms.link_history.of(node), rtt_ms, may_relay(rooms.nodes, node), relaying, refused)


def _carries(flow: Flow, wanted: TraceOf) -> bool:
    return flow.carries(wanted.group, wanted.source)
