"""Pending handshakes: those that other nodes began and that wait for their FINAL, found by index or by INIT.

Decides nothing. ``handshakes`` bounds how many there are and how long each stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.links.crypto import Handshake
from treecast.links.states import SESSION, SessionEvent, SessionState
from treecast.wire.handshake import without_cookie


@dataclass(slots=True)
class Pending:
    """A handshake that somebody else began: bounded, short-lived, changes nothing until FINAL is verified."""

    handshake: Handshake
    init: bytes
    response: bytes
    own_offset_s: float
    """This node's wall clock as the response states it, minus its monotonic one."""
    state: SessionState = SessionState.NONE

    def take(self, event: SessionEvent) -> None:
        self.state = SESSION.after(self.state, event)


class PendingHandshakes:
    """One node's, by the index of their handshakes."""

    def __init__(self) -> None:
        self._by_index: dict[int, Pending] = {}
        self._by_init: dict[bytes, Pending] = {}

    def add(self, pending: Pending) -> None:
        """An INIT was answered."""
        self._by_index[pending.handshake.index] = pending
        self._by_init[without_cookie(pending.init)] = pending

    def remove(self, index: int, event: SessionEvent) -> None:
        """The handshake has become a session, or has ended."""
        pending = self._by_index.pop(index)
        pending.take(event)
        del self._by_init[without_cookie(pending.init)]

    def get(self, index: int) -> Pending | None:
        """The pending handshake of this index."""
        return self._by_index.get(index)

    def with_init(self, init: bytes) -> Pending | None:
        """The pending handshake that began with this INIT."""
        return self._by_init.get(without_cookie(init))

    def oldest(self) -> int:
        """The index of the one that has waited longest."""
        return next(iter(self._by_index))

    def sizes(self) -> tuple[int, int]:
        """How many are kept, by index and by INIT: equal, unless one leaks."""
        return len(self._by_index), len(self._by_init)

    def __len__(self) -> int:
        return len(self._by_index)

    def __contains__(self, index: int) -> bool:
        return index in self._by_index
