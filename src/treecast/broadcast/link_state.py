"""Links that other origins advertise in LINKS. Format: ``docs/protocol.md`` section 7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from treecast.base.ids import NodeIndex
from treecast.broadcast.learned import Learned
from treecast.broadcast.store import Record, Store
from treecast.wire.advertised_links import parse_links
from treecast.wire.advertisement import Kind

CACHED_ORIGINS = 8
"""Advertisements of one origin come in rows. A set of 1,000 links takes 54 kB."""


class LinkStateDatabase:
    """The links that other origins advertise, read from the advertisements held: sets of all would take O(N^2)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: dict[NodeIndex, frozenset[int]] = {}

    def of(self, index: NodeIndex) -> frozenset[int]:
        """The nodes that this origin lists, from all its chunks."""
        cached = self._cached.get(index)
        if cached is not None:
            return cached
        links = self.read(index)
        if len(self._cached) >= CACHED_ORIGINS:
            del self._cached[next(iter(self._cached))]
        self._cached[index] = links
        return links

    def read(self, index: NodeIndex) -> frozenset[int]:
        """The nodes that this origin lists; a caller that needs them again soon takes ``of``."""
        origin = self._store.get(index)
        return frozenset[int]() if origin is None else _union(record.content for record in origin.link_records())

    def classes(self, index: NodeIndex) -> Mapping[int, tuple[int, int]]:
        """The nodes that this origin lists, each with the classes of its round trip and loss there. Of one that is
        listed twice the later chunk counts.
        """
        origin = self._store.get(index)
        chunks = sorted(origin.link_records(), key=lambda record: record.key) if origin is not None else []
        listed = (parse_links(chunk.content).links() for chunk in chunks if chunk.content)
        return {peer: (rtt, loss) for links in listed for peer, rtt, loss in links}

    def keeps(self, index: NodeIndex, peer: NodeIndex) -> bool | None:
        """Whether this origin keeps its link with that node by itself; None where it lists none."""
        origin = self._store.get(index)
        chunks = (parse_links(record.content) for record in origin.link_records() if record.content) if origin else ()
        return next((keeps for chunk in chunks for node, keeps in chunk.kept() if node == peer), None)

    def held(self) -> list[NodeIndex]:
        """Origins whose links are held."""
        return sorted(self._cached)

    def forget(self, index: NodeIndex) -> None:
        """The origin's advertisements have changed, or ended."""
        self._cached.pop(index, None)


class ListedBy:
    """Which neighbours list an origin, by their advertisements. A bit for each: sets of all would take O(N^2).

    Bounded by what neighbours may list (``MAX_LINK_CHUNKS``).
    """

    def __init__(self) -> None:
        self._bits: dict[NodeIndex, int] = {}
        self._free: list[int] = []
        """Bits of neighbours that are none any more."""
        self._of: dict[int, int] = {}

    def link_up(self, neighbour: NodeIndex, listed: Set[int]) -> None:
        """A node is a neighbour from now on, and lists these."""
        self.link_down(neighbour)
        self._bits[neighbour] = self._free.pop() if self._free else 1 << len(self._bits)
        self.changed(neighbour, frozenset(), listed)

    def link_down(self, neighbour: NodeIndex) -> None:
        """A node is no neighbour any more."""
        self.cleared(neighbour)
        bit = self._bits.pop(neighbour, None)
        if bit is not None:
            self._free.append(bit)

    def changed(self, node: NodeIndex, before: Set[int], after: Set[int]) -> None:
        """A chunk of a node's links lists others."""
        bit = self._bits.get(node)
        if bit is not None:
            for index in before - after:
                self._clear(index, bit)
            for index in after - before:
                self._of[index] = self._of.get(index, 0) | bit

    def cleared(self, node: NodeIndex) -> None:
        """The node's advertisements have ended."""
        bit = self._bits.get(node)
        if bit is not None:
            for index in list(self._of):
                self._clear(index, bit)

    def select(self, origin: NodeIndex, neighbours: Iterable[NodeIndex]) -> set[NodeIndex]:
        """The neighbours among these that list an origin."""
        listing = self._of.get(origin, 0)
        if not listing:  # as of all nodes at first, where many start at once: each would walk all neighbours for each
            return set()
        return {neighbour for neighbour in neighbours if self._bits.get(neighbour, 0) & listing}

    def _clear(self, index: int, bit: int) -> None:
        left = self._of.get(index, 0) & ~bit
        if left:
            self._of[index] = left
        else:
            self._of.pop(index, None)


def links_in(content: bytes) -> frozenset[int]:
    """The nodes that one chunk lists; none when it is withdrawn."""
    return frozenset(parse_links(content).peers) if content else frozenset()


def own_links(records: Iterable[Record]) -> list[Learned]:
    """Chunks of a node's own links among what it publishes, as others learn of them."""
    chunks = [record for record in records if record.kind == Kind.LINKS]
    return [Learned(one.origin, one.kind, one.key, parse_links(one.content) if one.content else None) for one in chunks]


def _union(contents: Iterable[bytes]) -> frozenset[int]:
    return frozenset[int]().union(*(links_in(content) for content in contents))
