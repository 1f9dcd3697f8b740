"""The answers to ``why`` and to ``trace``: the trees of a group, from what the nodes on them report."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import chain, count
from typing import Protocol

from treecast.adapters import clock
from treecast.api.records import ApiRequest, Verb
from treecast.api.trace_records import TracedNode, TracedTree, TreeTrace, Why
from treecast.base.addresses import IPAddress, packed_to_address
from treecast.base.flows import CountedFlow
from treecast.base.ids import NO_NODE, NodeIndex
from treecast.base.time import Duration, after
from treecast.base.tree_modes import TreeMode
from treecast.daemon.why_answers import WhyAnswers
from treecast.engine.engine import Engine
from treecast.engine.tree_view import TraceOf
from treecast.wire import control, traced_trees
from treecast.wire.traced_trees import GraftState, Service, TracedVolume

LOOKED_AT_EVERY: Duration = 0.02
WAIT: Duration = 4.0
"""The time after which each trace is over."""
FLOWS_AT_ONCE = 256
"""The flows that are read between two steps of the event loop; one takes about 4 us."""

_SERVICES = {Service.TREE: "tree", Service.COPIES: "copies"}
_MODES = {mode.value: mode.name.lower() for mode in TreeMode if mode is not TreeMode.USUAL}
_GRAFTS = {GraftState.INSTEAD_OF_PARENT: "backup", GraftState.BESIDE_PARENT: "both"}


class FlowNumbers(Protocol):
    """The numbers of ``adapters.native.DataPlane`` that are read."""

    def sent_flows(self) -> Iterable[CountedFlow]: ...
    def delivered_flows(self) -> Iterable[CountedFlow]: ...


class Tracing(Protocol):
    """A running node."""

    @property
    def engine(self) -> Engine: ...
    @property
    def plane(self) -> FlowNumbers: ...
    def trace_trees(self, trace: int, wanted: TraceOf) -> None: ...


class TraceAnswers:
    """Traces for this node's owner."""

    def __init__(self, node: Tracing) -> None:
        self._node = node
        self._numbers = count(1)

    async def ask(self, request: ApiRequest) -> TreeTrace | Why:
        """The answer to a request about something."""
        if request.verb is Verb.WHY:
            return WhyAnswers(self._node.engine.view, clock.monotonic()).about(request.group)
        return await self.answer(request.group, request.source)

    async def answer(self, group: str, source: str) -> TreeTrace:
        """The trees of a group, from a source or any (empty)."""
        try:
            wanted = ip_address(group)
            of = ip_address(source) if source else None
        except ValueError:
            return TreeTrace(group, [], [], why_none=f"{group or 'nothing'} from {source or 'any'} is no group")
        number, sent_here, senders = next(self._numbers) & 0xFFFF_FFFF, False, set[NodeIndex]()
        for read, flow in enumerate(chain(self._node.plane.sent_flows(), self._node.plane.delivered_flows())):
            if flow.group == wanted and flow.is_sending:
                sent_here |= flow.port is not None
                senders |= set() if flow.port is not None else {flow.root}
            if read % FLOWS_AT_ONCE == FLOWS_AT_ONCE - 1:
                await asyncio.sleep(0)
        self._node.trace_trees(number, TraceOf(wanted, of, senders))
        view, until = self._node.engine.view, after(clock.monotonic(), WAIT)
        while (found := view.take_trace(number)) is None:
            if clock.monotonic() > until:
                return TreeTrace(group, [], [], why_none="too many traces are under way: try again")
            await asyncio.sleep(LOOKED_AT_EVERY)
        trees = _whole(found.trees)
        silent = [view.name(node) for node in found.silent]
        left_out = {view.name(node): count for node, count in found.left_out}
        why_none = "" if trees else self._why_none(wanted, sent_here=sent_here, silent=silent, left_out=[*left_out])
        return TreeTrace(group, [self._tree(root, parts) for root, parts in trees], silent, why_none, left_out)

    def _why_none(self, group: IPAddress, *, sent_here: bool, silent: list[str], left_out: list[str]) -> str:
        if left_out:
            roots = ", ".join(left_out)
            return f"{roots} has more trees of {group} than are traced at once: name a sender with --source"
        if silent:
            return f"{', '.join(silent)} did not answer, and may be the root of trees of {group}: try again"
        is_joined = any(key[1] == group for key in self._node.engine.view.groups())
        if sent_here:
            return (
                f"hosts here send to {group}, and no node gets it: treecast groups shows why"
                if is_joined
                else f"hosts here send to {group}, and nobody has joined it"
            )
        if not is_joined:
            return f"nobody has joined {group}, and no host here sends to it"
        return f"this node is on no tree of {group}: nobody sends to it, or ask a node that sends or receives it"

    def _tree(self, root: NodeIndex, parts: list[control.TracedTree]) -> TracedTree:
        head = parts[0]
        group = str(packed_to_address(head.group))
        pps, rate_bps = _rate(head.sent)
        return TracedTree(
            root=self._name(root),
            group=group if head.prefix_length is None else f"{group}/{head.prefix_length}",
            source=str(packed_to_address(head.source)) if head.source else "*",
            vlan=head.vlan,
            stream=head.stream,
            epoch=head.epoch,
            key_id=head.key_id,
            since_s=head.since_ms / 1000,
            pps=pps,
            rate_bps=rate_bps,
            left_out=head.left_out,
            nodes=[self._traced(node) for part in parts for node in part.nodes],
            mode=_MODES.get(head.mode, ""),
        )

    def _traced(self, node: traced_trees.TracedNode) -> TracedNode:
        service = _SERVICES.get(Service(node.service), "none") if node.service in list(Service) else "none"
        place = node.place
        if place is None:
            return TracedNode(self._name(node.node), node.answered, service, node.subscribes)
        pps, rate_bps = _rate(node.rate)
        return TracedNode(
            node=self._name(node.node),
            answered=node.answered,
            service=service,
            subscribes=node.subscribes,
            parent=self._name(place.parent),
            backup=self._name(place.backup),
            graft=_GRAFTS.get(GraftState(place.graft), "") if place.graft in list(GraftState) else "",
            epoch=place.epoch,
            key_id=place.key_id,
            since_s=place.since_ms / 1000,
            rtt_ms=None if place.rtt_us is None else place.rtt_us / 1000,
            loss=None if place.loss_ppm is None else place.loss_ppm / 1e6,
            pps=pps,
            rate_bps=rate_bps,
            children=[self._name(child) for child in place.children],
        )

    def _name(self, node: int) -> str:
        return "" if node == NO_NODE else self._node.engine.view.name(NodeIndex(node))


def _whole(
    parts: Iterable[tuple[NodeIndex, control.TracedTree]],
) -> list[tuple[NodeIndex, list[control.TracedTree]]]:
    """Each tree with its parts."""
    trees: dict[tuple[NodeIndex, int], list[control.TracedTree]] = {}
    for root, part in parts:
        trees.setdefault((root, part.stream), []).append(part)
    return [(root, trees[root, stream]) for root, stream in sorted(trees)]


def _rate(rate: TracedVolume | None) -> tuple[float | None, float | None]:
    return (None, None) if rate is None else (rate[0] / 1000, float(rate[1]))
