"""Chosen links: with which nodes this one has a link, where their number is bounded.

Decides for one node, by all nodes that it knows: which it chooses, and which it accepts that have chosen it. ``links``
makes them. A network of few nodes is a mesh. In a larger one each chooses its successors on the ring, which alone
connect all, far ones, which keep ways short, and near ones. The ring and the far ones follow from the set of nodes
alone, so that a node that comes or goes changes few links of others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from itertools import islice
from math import ceil, log2

from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.time import Duration, Instant, after
from treecast.topology.near_links import Estimates, NearLinks, RoundTrips
from treecast.topology.ring import POSITIONS, Ring, points_of, position_of

MESH_NODES = 16
"""A network of so many nodes has links of each with each."""
SUCCESSORS = 2
"""Two successors keep the ring whole where one node has ended and others have not found that yet."""
FAR_DRAWS = 256
NEAR_DRAWS = 64
SHORTEST_DISTANCE_BITS = 32
"""Distances are drawn from 2^-32 of the ring on: those that are shorter than one node's part do not count."""
ACCEPTED_LINKS = 24
"""A node has so many links at most, whoever chose them, or half as many again as it may choose."""
GUESTS = 32
"""Links beyond the bound, for a moment: nodes that nobody has a link with yet learn of the others by these."""
UNANSWERED_AFTER: Duration = 12.0
"""A chosen node without a link for so long gives its place to another one: an attempt takes 10 s."""
ASIDE_FOR: Duration = 120.0


def far_count(nodes: int) -> int:
    """How many far nodes each chooses (Symphony has log N of them; a third and near ones do as well)."""
    return ceil(log2(nodes) / 3) if nodes > 1 else 0


class ChosenLinks:
    """One node's choice. ``most``: how many it chooses; one more while it tries a near one."""

    def __init__(self, me: NodeIndex, my_id: bytes, most: int) -> None:
        self._me = me
        self._most = most
        self.accepts_most = max(ACCEPTED_LINKS, most + most // 2)
        self._position = position_of(my_id)
        self._distances = [
            2.0 ** (-SHORTEST_DISTANCE_BITS * draw / POSITIONS) for draw in points_of(my_id, b"far", FAR_DRAWS)
        ]
        """Harmonic: as many between one and two nodes' parts of the ring as between a quarter and a half of it."""
        self._ring = Ring()
        self._near = NearLinks(points_of(my_id, b"near", NEAR_DRAWS), self.accepts_most)
        self._aside: dict[NodeIndex, Instant] = {}
        """Nodes that cannot be linked now, and until when."""
        self._unlinked_since: dict[NodeIndex, Instant] = {}
        self._by_ring: dict[NodeIndex, LinkReason] = {}
        self._predecessors: Set[NodeIndex] = frozenset()
        """The nodes before this one on the ring: this one is a successor of theirs."""
        self._is_stale = True
        self.chosen: Mapping[NodeIndex, LinkReason] = {}
        """The nodes that are to be linked, and why."""

    # what is known

    def learn(self, node: NodeIndex, node_id: bytes) -> None:
        """A node is there."""
        if node != self._me and self._ring.put(node, position_of(node_id)):
            self._is_stale = True
            self._near.learned(self._most)

    def forget(self, node: NodeIndex) -> None:
        """A node is there no more."""
        self._is_stale |= self._ring.remove(node)
        self._near.forget(node)
        self._unlinked_since.pop(node, None)
        self._aside.pop(node, None)

    def set_aside(self, now: Instant, node: NodeIndex) -> None:
        """The node has refused a link, or does not answer: others take its place for a while."""
        if node in self._ring:
            self._aside[node] = after(now, ASIDE_FOR)
            self._is_stale = True

    @property
    def is_mesh(self) -> bool:
        """Whether the network is so small that all are linked with all."""
        return len(self._ring) + 1 <= MESH_NODES

    @property
    def trial(self) -> NodeIndex | None:
        """The node that is tried as a near one, beyond what may be chosen."""
        return self._near.trial

    # the choice

    def review(
        self, now: Instant, linked: RoundTrips, static: Collection[NodeIndex], estimates: Estimates
    ) -> Mapping[NodeIndex, LinkReason]:
        """Choose anew, about once a second. ``linked``: the links that are up; ``static``: nodes that the operator has
        named, which are chosen, too.
        """
        over = [node for node, until in self._aside.items() if now >= until or node in linked]
        for node in over:
            del self._aside[node]
        self._is_stale |= bool(over)
        if self._is_stale:
            self._is_stale = False
            self._by_ring = dict(self._mesh() if self.is_mesh else self._ring_and_far())
            self._predecessors = frozenset(islice(self._ring.preceding(self._position), SUCCESSORS))
        named = (node for node in sorted(static) if node != self._me and node not in self._aside)
        chosen = dict.fromkeys(named, LinkReason.STATIC) | self._by_ring
        if not self.is_mesh:
            wanted = max(self._most - len(chosen), 0)
            without = {*chosen, *self._aside}
            self._near.review(now, wanted, self._ring, linked, without, estimates)
            trial = () if self.trial is None else (self.trial,)
            chosen |= dict.fromkeys((*self._near.kept, *trial), LinkReason.NEAR)
            self._find_unanswered(now, chosen, linked)
        self.chosen = chosen
        return chosen

    def _mesh(self) -> Iterator[tuple[NodeIndex, LinkReason]]:
        return ((node, LinkReason.MESH) for node in self._ring if node not in self._aside)

    def _ring_and_far(self) -> Iterator[tuple[NodeIndex, LinkReason]]:
        taken: set[NodeIndex] = set()
        for node in islice(self._ring.following(self._position, self._aside), SUCCESSORS):
            taken.add(node)
            yield node, LinkReason.RING
        nodes = len(self._ring) + 1
        wanted = min(far_count(nodes), self._most - SUCCESSORS)
        for distance in self._distances:
            if wanted <= 0:
                return
            if distance * nodes < 1.0:
                continue
            position = (self._position + int(distance * POSITIONS)) % POSITIONS
            found = next(self._ring.following(position, self._aside), None)
            if found is not None and found not in taken:
                taken.add(found)
                wanted -= 1
                yield found, LinkReason.FAR

    def _find_unanswered(self, now: Instant, chosen: Collection[NodeIndex], linked: Collection[NodeIndex]) -> None:
        before = self._unlinked_since
        self._unlinked_since = {node: before.get(node, now) for node in chosen if node not in linked}
        for node, since in self._unlinked_since.items():
            if now >= after(since, UNANSWERED_AFTER) and node not in self._aside:
                self.set_aside(now, node)

    # what others choose

    def accepts(
        self, node: NodeIndex, linked: Collection[NodeIndex], staying: Collection[NodeIndex], *, is_listed: bool
    ) -> bool:
        """Whether a link that another node begins is accepted. ``staying``: of the links that are up those that are no
        guests'. ``is_listed``: somebody has a link with that node; another one is a guest.
        """
        if node in linked:
            return True
        if not is_listed:
            return len(linked) < self.accepts_most + GUESTS
        return self.is_accepted_beside(node, staying if self._is_reserved(node) else linked)

    def is_accepted_beside(self, node: NodeIndex, linked: Collection[NodeIndex]) -> bool:
        """Whether one more link is accepted beside these, for as long as the other end wants it.

        Places are kept for what this node has chosen, or is yet to choose, and for who chooses it as a successor: the
        ring does not break.
        """
        if self._is_reserved(node):
            return len(linked) < self.accepts_most
        to_be_chosen = max(self._most - len(self.chosen), 0)
        return len({*linked, *self.chosen, *self._predecessors}) + to_be_chosen < self.accepts_most

    def _is_reserved(self, node: NodeIndex) -> bool:
        """Whether one of the links that are accepted is kept for it."""
        return node in self.chosen or node in self._predecessors

    def is_wanted(self, node: NodeIndex) -> bool:
        """Whether this node keeps a link with that one by itself."""
        return node in self.chosen

    def reason(self, node: NodeIndex) -> LinkReason:
        """Why there is a link with the node."""
        return self.chosen.get(node, LinkReason.ACCEPTED)

    def surplus(self, linked: Collection[NodeIndex]) -> int:
        """How many links there are beyond what is accepted."""
        return max(len(linked) - self.accepts_most, 0)
