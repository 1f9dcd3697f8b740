"""The model's trees that begin at a node: who gets them, since which counter, and the keys by id."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.ids import KeyId, NodeIndex, TreeEpoch

LAST_RANGE = 64
"""Datagrams before which a node that is served anew learns its first counter again, as in the real one."""


@dataclass(slots=True)
class RootTree:
    """A tree that begins at this node."""

    epoch: TreeEpoch
    key_id: KeyId
    waiting: tuple[KeyId, TreeEpoch] | None = None
    """The key that is to follow, and its tree's epoch."""
    next_hops: tuple[NodeIndex, ...] = ()
    replicate: tuple[NodeIndex, ...] = ()
    beyond: tuple[NodeIndex, ...] = ()
    used: bool = False
    taken: int = 0
    sealed: int = 0
    """Datagrams under the key in use."""
    wear_reports: int = 0
    """Reports of the wear of the key in use."""
    firsts: dict[NodeIndex, int] = field(default_factory=dict)
    """The first counter, under the key in use, that each next hop got by the tree."""

    def newly_served(self, next_hops: tuple[NodeIndex, ...]) -> list[tuple[NodeIndex, int]]:
        """The next hops that get none before the next datagram, or may not know since when, with their first counters.

        The word goes before the 1st, 2nd, 4th datagram and so on to the 64th.
        """
        counter = self.sealed + 1
        self.firsts = {peer: self.firsts.get(peer, counter) for peer in next_hops}
        gone = {peer: counter - first + 1 for peer, first in self.firsts.items()}
        due = [peer for peer, nth in gone.items() if nth <= LAST_RANGE and nth & (nth - 1) == 0]
        return [(peer, self.firsts[peer]) for peer in due if self.firsts[peer] > 1 or gone[peer] == 1]

    @property
    def key_ids(self) -> set[KeyId]:
        """The key in use, and the one that waits."""
        return {self.key_id} if self.waiting is None else {self.key_id, self.waiting[0]}

    def key_of(self, epoch: TreeEpoch) -> KeyId:
        """The key of that tree's datagrams; KeyError where there is none."""
        of = {self.epoch: self.key_id}
        if self.waiting is not None:
            of[self.waiting[1]] = self.waiting[0]
        return of[epoch]
