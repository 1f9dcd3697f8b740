"""Gatherings of this node as a root: what all nodes of its trees of one group report of their places.

Decides whom a root queries, how often, and when it has enough reports. Each node is queried until it has replied twice,
half a second apart or more, so that rates are measured. It is over 2 s after its begin, whoever has not replied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress
from treecast.base.commands import Command, SendControl
from treecast.base.ids import NodeIndex, StreamId
from treecast.base.installed_trees import InstalledRoot, InstalledTrees, Volume
from treecast.base.limits import MAX_GATHERINGS
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.base.token_bucket import TokenBucket
from treecast.dataplane.key_times import KEY_LIFETIME
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.root_trees import RootTrees
from treecast.wire.control import (
    MAX_CONTROL_BYTES,
    MAX_NODES_PER_TRACE,
    TracedTree,
    TreeQuery,
    TreeReport,
    emit_control,
)
from treecast.wire.traced_trees import Place, Service, TracedNode, length_of

ASKED_EVERY: Duration = 0.5
ROUNDS = 4
"""Two seconds in all."""
SECOND_ROUND = 2
"""The round from which on who has replied once is queried again: rates are over one second."""
KEPT_FOR: Duration = 1.0
"""A gathering that is over answers the same query just then."""
GATHERINGS_PER_S, GATHERINGS_AT_ONCE = 16, 16
"""The rate of all nodes together: to find the trees of a group among 65,536 takes 10 ms."""
OF_ONE_PER_S, OF_ONE_AT_ONCE = 1, 4
"""The same for one of them: so each leaves the others some."""
NODES_PER_S, NODES_AT_ONCE = 1000, 4096
"""Nodes that are queried for others, each twice to four times: 1 Mbit/s at most."""
MAX_TREES_PER_GATHERING = 16
"""The trees of one group and its sources."""
MAX_NODES_PER_GATHERING = 1024
"""Nodes of one tree that are queried; a report has some 50 bytes."""
HEAD_BYTES = 128
"""The longest head of a TracedTree."""

GatheringKey = tuple[IPAddress, IPAddress | None]
"""A group, and a source, or any."""


@dataclass(slots=True)
class _Answers:
    """A node's first report, and the last one that rates are measured by."""

    first: TreeReport | None = None
    last: TreeReport | None = None

    def take(self, report: TreeReport) -> bool:
        """Another report; whether it is the last one that was awaited."""
        if self.first is None:
            self.first = report
        elif self.last is None and report.time_us - self.first.time_us >= ASKED_EVERY * 1e6:
            self.last = report
            return True
        return False

    @property
    def rate(self) -> Volume | None:
        """The rate, in datagrams in 1,000 s and in bits a second."""
        first, last = self.first, self.last
        if first is None or last is None or first.received is None or last.received is None:
            return None
        return rate(first.received, last.received, (last.time_us - first.time_us) / 1e6)


@dataclass(slots=True)
class GatheredTree:
    """One tree of a gathering. ``sent``: when it began, and when it was over."""

    tree: RootTree
    installed: InstalledRoot
    since_s: Duration
    left_out: int
    answers: dict[NodeIndex, _Answers]
    sent: Volume | None = None
    rate: Volume | None = None

    def may_know(self, node: NodeIndex) -> bool:
        """Whether the node is on the tree."""
        return is_on(self.tree, node)

    def nodes(self) -> Iterator[TracedNode]:
        """All that is known of each node, by index."""
        served = {*self.installed.next_hops, *self.installed.beyond}
        copied = set(self.installed.copied)
        for node, answers in sorted(self.answers.items()):
            service = Service.TREE if node in served else Service.COPIES if node in copied else Service.NONE
            report = answers.last or answers.first
            if report is None:
                yield TracedNode(node, service, answered=False, subscribes=False, place=None, rate=None)
            else:
                place = self._place(report)
                yield TracedNode(node, service, True, report.subscribes, place, answers.rate)

    def _place(self, report: TreeReport) -> Place | None:
        """The one on the tree in use, where it has one there."""
        of_epoch = (place for place in report.places if place.epoch == self.installed.epoch)
        return next(of_epoch, report.places[-1] if report.places else None)


@dataclass(slots=True)
class Gathering:
    """``over_at`` None: it goes on. ``waiting``: who is to get it, and the number of that one's request."""

    key: GatheringKey
    query: int
    began: Instant
    trees: list[GatheredTree]
    left_out: list[RootTree]
    """Further trees of the group, which are not traced."""
    awaited: int
    """Nodes that have not answered twice, of each tree."""
    round: int = 0
    over_at: Instant | None = None
    waiting: dict[NodeIndex, int] = field(default_factory=dict)

    def messages(self, query: int, to: NodeIndex | None) -> list[TracedTree]:
        """All that ``to`` may know of it (None: this node itself), in parts that fit a message each."""
        heads = [tree for tree in self.trees if to is None or tree.may_know(to)]
        parts = [(tree, nodes) for tree in heads for nodes in in_parts(tree.nodes())]
        more = self.trees_left_out(to)
        return [_part(query, number, len(parts), tree, nodes, more) for number, (tree, nodes) in enumerate(parts)]

    def trees_left_out(self, to: NodeIndex | None) -> int:
        """How many of the trees that ``to`` may know of are not traced."""
        return sum(to is None or is_on(tree, to) for tree in self.left_out)


class TreeGatherings:
    """This node's gatherings. Those of the same group and source are one."""

    def __init__(self, root_trees: RootTrees, installed: InstalledTrees, first_query: int) -> None:
        self._root_trees = root_trees
        self._installed = installed
        self._gatherings: dict[GatheringKey, Gathering] = {}
        self._by_query: dict[int, Gathering] = {}
        self._due: Timers[GatheringKey] = Timers()
        """The time of each gathering's next round of queries, or end; of one that is over, when it is forgotten."""
        self._query = first_query
        self._budget: TokenBucket | None = None
        self._nodes: TokenBucket | None = None
        self._budgets: dict[NodeIndex, TokenBucket] = {}
        """One for each linked node that has queried."""
        self.commands: list[Command] = []

    def begin(self, now: Instant, key: GatheringKey) -> Gathering:
        """The gathering of a group and source, for this node: one that goes on or was over just now, else another."""
        return self._gatherings.get(key) or self._put(now, key, *self._found(now, key))

    def begin_for(self, now: Instant, asker: NodeIndex, key: GatheringKey) -> Gathering | None:
        """The same for another node: an empty one, where it is on no such tree. None: there are too many."""
        known = self._gatherings.get(key)
        if known is not None:
            return known
        if self._budget is None or self._nodes is None:
            self._budget = TokenBucket.full(GATHERINGS_PER_S, GATHERINGS_AT_ONCE, now)
            self._nodes = TokenBucket.full(NODES_PER_S, NODES_AT_ONCE, now)
        own = self._budgets.get(asker)
        if own is None:
            own = self._budgets[asker] = TokenBucket.full(OF_ONE_PER_S, OF_ONE_AT_ONCE, now)
        if len(self._gatherings) >= MAX_GATHERINGS or not self._nodes.has(now) or not own.take(now):
            return None
        if not self._budget.take(now):
            return None
        found, left_out = self._found(now, key)
        if not any(tree.may_know(asker) for tree in found):
            return Gathering(key, 0, now, [], left_out, 0, over_at=now)
        self._nodes.take(now, sum(len(tree.answers) for tree in found))
        return self._put(now, key, found, left_out)

    def _found(self, now: Instant, key: GatheringKey) -> tuple[list[GatheredTree], list[RootTree]]:
        of_group = self._trees(key)
        trees = (self._gathered(now, tree) for tree in of_group[:MAX_TREES_PER_GATHERING])
        return [tree for tree in trees if tree is not None], of_group[MAX_TREES_PER_GATHERING:]

    def _put(self, now: Instant, key: GatheringKey, found: list[GatheredTree], left_out: list[RootTree]) -> Gathering:
        self._query = self._query + 1 & 0xFFFF_FFFF
        gathering = Gathering(key, self._query, now, found, left_out, sum(len(tree.answers) for tree in found))
        self._gatherings[key] = self._by_query[self._query] = gathering
        sent = self._sent(gathering)
        for one in gathering.trees:
            one.sent = sent.get(one.tree.stream)
        self._due.set(key, now)
        return gathering

    def forget(self, peer: NodeIndex) -> None:
        """The link to the node has ended: it waits for nothing."""
        self._budgets.pop(peer, None)
        for gathering in self._gatherings.values():
            gathering.waiting.pop(peer, None)

    def report(self, now: Instant, node: NodeIndex, report: TreeReport) -> bool:
        """A node's answer; False: it was not queried for that, or is late."""
        gathering = self._by_query.get(report.query)
        if gathering is None or gathering.over_at is not None:
            return False
        tree = next((one for one in gathering.trees if one.tree.stream == report.stream), None)
        if tree is None or node not in tree.answers:
            return False
        if tree.answers[node].take(report):
            gathering.awaited -= 1
            if not gathering.awaited:
                self._due.set(gathering.key, now)
        return True

    def advance(self, now: Instant) -> list[Gathering]:
        """Ask who has not answered; the gatherings that are over since the last call."""
        over: list[Gathering] = []
        for key in self._due.due(now):
            gathering = self._gatherings[key]
            if gathering.over_at is not None:
                del self._gatherings[key], self._by_query[gathering.query]
            elif gathering.round >= ROUNDS or not gathering.awaited:
                self._end(now, gathering)
                over.append(gathering)
                self._due.set(key, after(now, KEPT_FOR))
            else:
                self._ask(gathering)
                gathering.round += 1
                self._due.set(key, after(gathering.began, gathering.round * ASKED_EVERY))
        return over

    def next_deadline(self) -> Instant | None:
        """The time at which ``advance`` has something to do."""
        return self._due.next()

    def _ask(self, gathering: Gathering) -> None:
        for tree in gathering.trees:
            query = emit_control(TreeQuery(gathering.query, tree.tree.stream))
            for node, answers in tree.answers.items():
                if answers.first is None or (answers.last is None and gathering.round >= SECOND_ROUND):
                    self.commands.append(SendControl(node, query))

    def _end(self, now: Instant, gathering: Gathering) -> None:
        gathering.over_at = now
        sent = self._sent(gathering)
        for one in gathering.trees:
            last = sent.get(one.tree.stream)
            if one.sent is not None and last is not None:
                one.rate = rate(one.sent, last, now - gathering.began)

    def _sent(self, gathering: Gathering) -> dict[StreamId, Volume]:
        return self._installed.sent_by_streams([one.tree.stream for one in gathering.trees])

    def _trees(self, key: GatheringKey) -> list[RootTree]:
        """Trees in use that carry the group, from that source, by stream."""
        group, source = key
        found = [
            tree
            for flow, tree in self._root_trees.trees.items()
            if flow is not None and tree.used and flow.carries(group, source)
        ]
        found.sort(key=lambda tree: tree.stream)
        return found

    def _gathered(self, now: Instant, tree: RootTree) -> GatheredTree | None:
        installed = self._installed.installed_root(tree.stream)
        if installed is None:
            return None
        on_it = tree.members.union(*(key.plan.branch_of for key in tree.keys))
        nodes = sorted(on_it)[:MAX_NODES_PER_GATHERING]
        since_s = max(now - tree.key_due + KEY_LIFETIME, 0.0)
        return GatheredTree(tree, installed, since_s, len(on_it) - len(nodes), {node: _Answers() for node in nodes})


def is_on(tree: RootTree, node: NodeIndex) -> bool:
    """Whether the node is on the tree, as member or relay."""
    return node in tree.members or tree.has_relay(node)


def rate(before: Volume, later: Volume, seconds: Duration) -> Volume | None:
    """Packets in 1,000 s, and bits a second, between two counts; None where these are of another stream."""
    packets, count = later[0] - before[0], later[1] - before[1]
    if seconds <= 0 or packets < 0 or count < 0:
        return None
    return round(packets * 1000 / seconds), round(count * 8 / seconds)


def in_parts(nodes: Iterable[TracedNode]) -> Iterator[tuple[TracedNode, ...]]:
    """Nodes as they fit a message each; one part where there are none."""
    part: list[TracedNode] = []
    size = HEAD_BYTES
    for node in nodes:
        length = length_of(node)
        if part and (size + length > MAX_CONTROL_BYTES or len(part) >= MAX_NODES_PER_TRACE):
            yield tuple(part)
            part, size = [], HEAD_BYTES
        part.append(node)
        size += length
    yield tuple(part)


def _part(
    query: int, number: int, parts: int, one: GatheredTree, nodes: tuple[TracedNode, ...], trees_left_out: int
) -> TracedTree:
    flow = one.tree.flow
    if flow is None:
        raise ValueError("broadcast is no group's")
    return TracedTree(
        query=query,
        part=number,
        parts=parts,
        vlan=flow.vlan,
        group=flow.group.packed,
        prefix_length=flow.prefix_length,
        source=flow.source.packed if flow.source is not None else b"",
        stream=one.tree.stream,
        epoch=one.installed.epoch,
        key_id=one.installed.key_id,
        since_ms=round(one.since_s * 1000),
        sent=one.rate,
        left_out=one.left_out,
        nodes=nodes,
        trees_left_out=trees_left_out,
        mode=one.tree.mode,
    )
