"""Traces of trees: what the nodes of a group's trees report of their places, for people (RFC 8487's queries).

Decides whom this node queries for a trace, and what it reports. Every node is reached so: who traces queries the
roots, and a root queries the nodes of its trees, which have sessions with it and report to nobody else. Read
``docs/protocol.md`` section 7, Tracing, first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, packed_to_address
from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_TRACES
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.base.token_bucket import TokenBucket
from treecast.dataplane.tree_gatherings import Gathering, GatheringKey, TreeGatherings
from treecast.wire.control import TracedTree, TraceRequest, TreeReport, emit_control

REQUESTED_EVERY: Duration = 0.5
GIVEN_UP_AFTER: Duration = 3.0
"""All reports of a root come within 2 s; the rest is for what is lost on the way."""
KEPT_FOR: Duration = 10.0
"""A trace that nobody takes is gone then."""
REQUESTS_PER_S, REQUESTS_AT_ONCE = 4, 16
"""Requests of one node: a trace is requested six times at most."""
MAX_PARTS_PER_TRACE = 2048
"""Parts of one root's answer: of 16 trees with 1,024 nodes each, where none has more than two children."""


@dataclass(slots=True)
class _FromRoot:
    """A root's answer, by its parts."""

    parts: dict[int, TracedTree] = field(default_factory=dict)
    count: int | None = None
    left_out: int = 0

    @property
    def is_whole(self) -> bool:
        return self.count is not None and len(self.parts) >= self.count


@dataclass(slots=True)
class _Trace:
    key: GatheringKey
    began: Instant
    roots: dict[NodeIndex, _FromRoot]
    gathering: Gathering | None
    own: list[TracedTree] = field(default_factory=list)
    own_left_out: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class TraceResult:
    """``trees``: with their roots, in parts. ``silent``: roots that did not answer, or not all.

    ``left_out``: roots that have more trees, and how many these are.
    """

    trees: tuple[tuple[NodeIndex, TracedTree], ...]
    silent: tuple[NodeIndex, ...]
    left_out: tuple[tuple[NodeIndex, int], ...] = ()


class TreeTraces:
    """Traces that this node wants, and those that others want of its own trees."""

    def __init__(self, me: NodeIndex, drops: Drops, gatherings: TreeGatherings) -> None:
        self._me = me
        self._drops = drops
        self._gatherings = gatherings
        self._traces: dict[int, _Trace] = {}
        self._due: Timers[int] = Timers()
        """The time at which each trace requests again what is missing; of one that is over, when it is forgotten."""
        self._budgets: dict[NodeIndex, TokenBucket] = {}
        """One for each linked node that has requested a trace."""
        self.commands: list[Command] = []

    def begin(self, now: Instant, trace: int, key: GatheringKey, roots: Collection[NodeIndex]) -> bool:
        """Trace a group's trees from these roots, and those of this node. False: too many are under way."""
        if len(self._traces) >= MAX_TRACES:
            return False
        gathering = self._gatherings.begin(now, key)
        asked = {root: _FromRoot() for root in sorted(roots) if root != self._me}
        self._traces[trace] = _Trace(key, now, asked, gathering)
        self._due.set(trace, now)
        return True

    def take(self, trace: int) -> TraceResult | None:
        """The result, once; None: it goes on."""
        found = self._traces.get(trace)
        if found is None or not found.is_over:
            return None
        del self._traces[trace]
        self._due.cancel(trace)
        trees = [(self._me, part) for part in found.own]
        for root, answer in found.roots.items():
            trees += [(root, answer.parts[number]) for number in sorted(answer.parts)]
        silent = tuple(root for root, answer in found.roots.items() if not answer.is_whole)
        left_out = [(self._me, found.own_left_out)] + [(root, answer.left_out) for root, answer in found.roots.items()]
        return TraceResult(tuple(trees), silent, tuple(one for one in left_out if one[1]))

    def request(self, now: Instant, peer: NodeIndex, request: TraceRequest) -> None:
        """Another node wants to know of this node's trees that it is on: of others it learns nothing."""
        budget = self._budgets.get(peer)
        if budget is None:
            budget = self._budgets[peer] = TokenBucket.full(REQUESTS_PER_S, REQUESTS_AT_ONCE, now)
        gathering = None
        if budget.take(now):
            source = packed_to_address(request.source) if request.source else None
            gathering = self._gatherings.begin_for(now, peer, (packed_to_address(request.group), source))
        if gathering is None:
            self._drops.count("trace_request_rate")
        elif gathering.over_at is None and any(tree.may_know(peer) for tree in gathering.trees):
            gathering.waiting[peer] = request.query
        else:
            self._answer(peer, request.query, gathering)

    def report(self, now: Instant, node: NodeIndex, report: TreeReport) -> None:
        """A node of a tree of this node's answers."""
        if not self._gatherings.report(now, node, report):
            self._drops.count("tree_report_unexpected")

    def traced(self, now: Instant, root: NodeIndex, part: TracedTree) -> None:
        """A part of a root's answer."""
        trace = self._traces.get(part.query)
        answer = trace.roots.get(root) if trace is not None and not trace.is_over else None
        count = min(part.parts, MAX_PARTS_PER_TRACE)
        if answer is None or (part.part >= count and count) or answer.count not in (None, count):
            self._drops.count("traced_tree_unexpected")
            return
        answer.count, answer.left_out = count, part.trees_left_out
        if count:
            answer.parts[part.part] = part
        if answer.is_whole:
            self._due.set(part.query, now)

    def forget(self, peer: NodeIndex) -> None:
        """The link to the node has ended."""
        self._budgets.pop(peer, None)
        self._gatherings.forget(peer)

    def advance(self, now: Instant) -> None:
        """Go on with what is due."""
        for gathering in self._gatherings.advance(now):
            for peer, query in gathering.waiting.items():
                self._answer(peer, query, gathering)
            for number, trace in self._traces.items():
                if trace.gathering is gathering:
                    self._due.set(number, now)
        self.commands += self._gatherings.commands
        self._gatherings.commands.clear()
        for number in self._due.due(now):
            self._go_on(now, number, self._traces[number])

    def next_deadline(self) -> Instant | None:
        """The time at which ``advance`` has something to do."""
        return earliest(self._due.next(), self._gatherings.next_deadline())

    def _go_on(self, now: Instant, number: int, trace: _Trace) -> None:
        if trace.is_over:
            del self._traces[number]  # nobody has taken it
            return
        gathered = trace.gathering is None or trace.gathering.over_at is not None
        missing = [root for root, answer in trace.roots.items() if not answer.is_whole]
        if (gathered and not missing) or now - trace.began >= GIVEN_UP_AFTER:
            if trace.gathering is not None:
                trace.own = trace.gathering.messages(number, None)
                trace.own_left_out = trace.gathering.trees_left_out(None)
                trace.gathering = None
            trace.is_over = True
            self._due.set(number, after(now, KEPT_FOR))
            return
        group, source = trace.key
        request = TraceRequest(number, group.packed, source.packed if source is not None else b"")
        self._send(missing, request)
        self._due.set(number, after(now, REQUESTED_EVERY))

    def _answer(self, peer: NodeIndex, query: int, gathering: Gathering) -> None:
        parts = gathering.messages(query, peer)
        for part in parts or [_nothing(query, gathering.key, gathering.trees_left_out(peer))]:
            self.commands.append(SendControl(peer, emit_control(part)))

    def _send(self, nodes: Iterable[NodeIndex], message: TraceRequest) -> None:
        wire = emit_control(message)
        self.commands += [SendControl(node, wire) for node in nodes]


def _nothing(query: int, key: GatheringKey, trees_left_out: int) -> TracedTree:
    """The answer to a node that is on no tree of the group, or on none that was traced."""
    group: IPAddress = key[0]
    return TracedTree(query, 0, 0, 0, group.packed, None, b"", 0, 0, 0, 0, None, 0, (), trees_left_out)
