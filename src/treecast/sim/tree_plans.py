"""Plans of trees in plain Python: slow and obvious, what ``crates/plan`` is held against.

Each choice looks at all there is to choose from, and takes the least.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

RELAYING_US = 200
RELAYS_SAVE_PERCENT = 20
BACKUP_LATER_US = 20_000
LOOKS = 64

LinkDelays = Sequence[Mapping[int, int]]
"""Each node's neighbours, and the delays of the links to them in microseconds."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """One tree that is to be planned. ``capacity`` and ``copy_us``: by node."""

    links: LinkDelays
    root: int
    members: Collection[int]
    relays: Collection[int]
    capacity: Sequence[int]
    copy_us: Sequence[int]

    def can_relay(self, node: int) -> bool:
        return self.capacity[node] > 0


@dataclass(slots=True)
class Tree:
    """A tree of a request: parents, and children in the order of their copies."""

    request: PlanRequest
    parents: dict[int, int] = field(default_factory=dict)
    children: dict[int, list[int]] = field(default_factory=dict)

    def has(self, node: int) -> bool:
        return node == self.request.root or node in self.parents

    def of(self, node: int) -> list[int]:
        return self.children.setdefault(node, [])

    def above(self, node: int) -> Iterator[int]:
        """The nodes above one, its parent first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def is_above(self, node: int, other: int) -> bool:
        return node == other or node in self.above(other)

    def has_child_slot(self, node: int) -> bool:
        return self.has(node) and len(self.of(node)) < self.request.capacity[node]

    def delay_us(self, node: int) -> int:
        if node not in self.parents:
            return 0
        parent = self.parents[node]
        return self._sent_us(parent, self.of(parent).index(node)) + self.request.links[parent][node]

    def arrival_us(self, node: int, link_us: int) -> int:
        """The time at which a further child would get a datagram."""
        return self._sent_us(node, len(self.of(node))) + link_us

    def _sent_us(self, node: int, number: int) -> int:
        relaying_us = 0 if node == self.request.root else RELAYING_US
        return self.delay_us(node) + relaying_us + self.request.copy_us[node] * (number + 1)

    def attach(self, parent: int, child: int) -> None:
        self.parents[child] = parent
        self.of(parent).append(child)

    def detach(self, child: int) -> None:
        self.of(self.parents.pop(child)).remove(child)

    def move_below(self, parent: int, child: int) -> None:
        self.detach(child)
        self.attach(parent, child)

    def prune(self) -> None:
        while barren := [node for node in self.parents if not self.of(node) and node not in self.request.members]:
            for node in barren:
                self.detach(node)

    def missed(self) -> list[int]:
        return [member for member in self.request.members if not self.has(member)]

    def mean_us(self) -> int:
        delays = [self.delay_us(member) for member in self.request.members if self.has(member)]
        return sum(delays) // max(len(delays), 1)


def plan(request: PlanRequest) -> Tree:
    """The compact tree: the node that is reached first goes in first, below whoever has room."""
    members = frozenset(request.members) - {request.root}
    best = _completed(Tree(request), members)
    useful, nearest = _useful_relays(request, members)
    if useful != members:
        tree = _grown(request, useful)
        missed, missed_without = len(tree.missed()), len(best.missed())
        saves = tree.mean_us() * 100 <= best.mean_us() * (100 - RELAYS_SAVE_PERCENT)
        if missed < missed_without or (missed == missed_without and saves):
            best = tree
    count = _enough(request, nearest, len(best.missed()))
    while best.missed() and count:
        tree = _grown(request, useful | set(nearest[:count]))
        if len(tree.missed()) < len(best.missed()):
            best = tree
        count = min(2 * count, len(nearest)) if count < len(nearest) else 0
    return best


def _grown(request: PlanRequest, admitted: Collection[int]) -> Tree:
    tree = _completed(Tree(request), admitted)
    tree.prune()
    return tree


def _enough(request: PlanRequest, nearest: Sequence[int], missed: int) -> int:
    """The number of the nearest relays that make room for the missed members."""
    free = 0
    for count, relay in enumerate(nearest, 1):
        free += max(request.capacity[relay] - 1, 0)
        if free >= missed:
            return count
    return len(nearest)


def keep(request: PlanRequest, parents: Mapping[int, int]) -> Tree:
    """A tree that there is already, with the members that are new below whoever has room."""
    tree = Tree(request)
    wanted = {*request.members, *request.relays} - {request.root}
    due = [request.root]
    for parent in due:
        for child in sorted(node for node in wanted if parents.get(node) == parent):
            if child in request.links[parent] and tree.has_child_slot(parent) and not tree.has(child):
                tree.attach(parent, child)
                due.append(child)
    tree.prune()
    return _completed(tree, frozenset(request.members) - {request.root})


def _completed(tree: Tree, admitted: Collection[int]) -> Tree:
    request = tree.request
    _grow(tree, lambda node: node in admitted and request.can_relay(node))
    _grow(tree, lambda node: node in admitted)
    looks = iter(range(LOOKS))

    def moves_one(member: int) -> bool:
        return not tree.has(member) and next(looks, None) is not None and _free_child_slot(tree, member)

    while any(map(moves_one, request.members)):
        _grow(tree, lambda node: node in admitted)
    return tree


def _grow(tree: Tree, admits: Callable[[int], bool]) -> None:
    links = tree.request.links
    while offers := [
        (tree.arrival_us(parent, link_us), child, parent)
        for parent in range(len(links))
        if tree.has_child_slot(parent)
        for child, link_us in links[parent].items()
        if admits(child) and not tree.has(child)
    ]:
        _, child, parent = min(offers)
        tree.attach(parent, child)


def _free_child_slot(tree: Tree, node: int) -> bool:
    links = tree.request.links
    moves = [
        (tree.arrival_us(other, link_us), child, other)
        for neighbour in links[node]
        if tree.has(neighbour)
        for child in tree.of(neighbour)
        for other, link_us in links[child].items()
        if other != neighbour and tree.has_child_slot(other) and not tree.is_above(child, other)
    ]
    if moves:
        _, child, other = min(moves)
        tree.move_below(other, child)
    return bool(moves)


def _useful_relays(request: PlanRequest, members: frozenset[int]) -> tuple[frozenset[int], list[int]]:
    """The members, with the relays that a shortest way to a member takes; and all that a way leads to, by distance."""
    known = members | frozenset(request.relays)
    nearest: dict[int, tuple[int, int]] = {request.root: (0, -1)}
    done: set[int] = set()
    while due := sorted((*nearest[node], node) for node in nearest if node not in done):
        delay_us, _, node = due[0]
        done.add(node)
        for other, link_us in request.links[node].items() if request.can_relay(node) else ():
            if other in known and other != request.root:
                found = (delay_us + link_us, node)
                nearest[other] = min(nearest.get(other, found), found)
    useful = set(members)
    for member in members & nearest.keys():
        at = nearest[member][1]
        while at != request.root:
            useful.add(at)
            at = nearest[at][1]
    reached = [node for node in nearest if node in known - members and node != request.root]
    return frozenset(useful), sorted(reached, key=lambda node: (nearest[node][0], node))


def improve(tree: Tree, most: int) -> int:
    """Nodes that get datagrams last move to where they get them earlier; how many did."""
    moved = 0
    for node in sorted(tree.parents, key=lambda node: (-tree.delay_us(node), node)):
        offers = [
            (tree.arrival_us(other, link_us), other)
            for other, link_us in tree.request.links[node].items()
            if other != tree.parents[node] and tree.has_child_slot(other) and not tree.is_above(node, other)
        ]
        if moved < most and offers and min(offers)[0] < tree.delay_us(node):
            tree.move_below(min(offers)[1], node)
            moved += 1
    tree.prune()
    return moved


def backups(tree: Tree) -> dict[int, int]:
    """The backup of each node for when its parent is gone: those with most below them choose first."""
    request = tree.request
    nodes = sorted(node for node, parent in tree.parents.items() if parent != request.root)
    below = {node: sum(tree.is_above(node, other) for other in tree.parents) for node in nodes}
    left = [most and max(most + 1 - len(tree.of(node)), 0) for node, most in enumerate(request.capacity)]
    chosen: dict[int, int] = {}
    for node in sorted(nodes, key=lambda node: (-below[node], node)):
        latest_us = tree.delay_us(node) + BACKUP_LATER_US
        found = [
            (max(tree.arrival_us(other, link_us) - latest_us, 0), link_us, other)
            for other, link_us in request.links[node].items()
            if other in tree.parents and left[other] > 0 and not tree.is_above(tree.parents[node], other)
            if chosen.get(other) != node
        ]
        if found:
            chosen[node] = min(found)[2]
            left[chosen[node]] -= 1
    return chosen
