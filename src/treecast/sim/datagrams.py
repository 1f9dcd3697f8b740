"""Datagrams of the model and the windows against replay: meaning without bytes."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import KeyId, NodeIndex, TreeEpoch, TreeId


@dataclass(frozen=True, slots=True)
class SessionDatagram:
    receiver_index: int
    counter: int
    body: object


@dataclass(frozen=True, slots=True)
class Probe:
    reply: bool


@dataclass(frozen=True, slots=True)
class Key:
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    context: bytes


@dataclass(frozen=True, slots=True)
class TreeDatagram:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    counter: int
    frame: object


@dataclass(slots=True)
class ReplayWindow:
    """Which of the last ``size`` counters were received; an older one counts as a replay."""

    size: int
    highest: int = 0
    _received: int = 0
    """Bit n stands for the counter ``highest - n``."""

    def take(self, counter: int) -> bool:
        """Whether this counter is fresh; from now on it is not."""
        ahead = counter - self.highest
        if ahead > 0:
            self._received = (self._received << ahead | 1) & ((1 << self.size) - 1) if ahead < self.size else 1
            self.highest = counter
            return True
        bit = 1 << -ahead
        if -ahead >= self.size or self._received & bit:
            return False
        self._received |= bit
        return True
