"""Pending handshakes: those that other nodes began and that wait for their FINAL, found by index or by INIT.

Decides which of them make room for others. ``handshakes`` bounds how long each stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_PENDING_HANDSHAKES
from treecast.links.crypto import Handshake, LinkSecret
from treecast.links.handshake_channels import Forwarded, HandshakeChannel, InSession, OutOfSession
from treecast.links.states import SESSION, SessionEvent, SessionState
from treecast.wire.handshake import without_cookie


@dataclass(slots=True)
class Pending:
    """A handshake that somebody else began: bounded, short-lived, changes nothing until FINAL is verified."""

    handshake: Handshake
    init: bytes
    response: bytes
    channel: HandshakeChannel
    """Where its INIT came from, and RESPONSE goes."""
    own_offset_s: float
    """This node's wall clock as the response states it, minus its monotonic one."""
    secret: LinkSecret | None
    """The link secret that the response names."""
    state: SessionState = SessionState.NONE

    def take(self, event: SessionEvent) -> None:
        self.state = SESSION.after(self.state, event)


_Key = tuple[bytes, OutOfSession | Forwarded | NodeIndex]


class PendingHandshakes:
    """One node's, by the index of their handshakes."""

    def __init__(self) -> None:
        self._by_index: dict[int, Pending] = {}
        self._by_init: dict[_Key, Pending] = {}
        self._outside: dict[int, None] = {}
        """Handshakes outside of sessions, the oldest first."""
        self._by_peer: dict[NodeIndex, int] = {}
        """The handshake in each peer's session: one at a time."""

    def add(self, pending: Pending) -> None:
        """An INIT was answered."""
        pending.take(SessionEvent.INIT)
        self._by_index[pending.handshake.index] = pending
        self._by_init[_key(pending.init, pending.channel)] = pending
        if pending.channel.peer is None:
            self._outside[pending.handshake.index] = None
        else:
            self._by_peer[pending.channel.peer] = pending.handshake.index

    def remove(self, index: int, event: SessionEvent) -> None:
        """The handshake has become a session, or has ended."""
        pending = self._by_index.pop(index)
        pending.take(event)
        del self._by_init[_key(pending.init, pending.channel)]
        if pending.channel.peer is None:
            del self._outside[index]
        else:
            del self._by_peer[pending.channel.peer]

    def get(self, index: int) -> Pending | None:
        """The pending handshake of this index."""
        return self._by_index.get(index)

    def with_init(self, init: bytes, channel: HandshakeChannel) -> Pending | None:
        """The pending handshake that began with this INIT from there: each RESPONSE goes to one address, and who sends
        its FINAL has read it there.
        """
        return self._by_init.get(_key(init, channel))

    def replaced_by(self, channel: HandshakeChannel) -> list[int]:
        """The indices of those that end when another INIT comes: the one of the same peer's session; outside of
        sessions, where there are as many as may be, the one that has waited longest.
        """
        if channel.peer is not None:
            return [self._by_peer[channel.peer]] if channel.peer in self._by_peer else []
        return [next(iter(self._outside))] if len(self._outside) >= MAX_PENDING_HANDSHAKES else []

    def sizes(self) -> tuple[int, int]:
        """How many are kept, by index and by INIT: equal, unless one leaks."""
        return len(self._by_index), len(self._by_init)

    def __len__(self) -> int:
        return len(self._by_index)

    def __contains__(self, index: int) -> bool:
        return index in self._by_index


def _key(init: bytes, channel: HandshakeChannel) -> _Key:
    return without_cookie(init), channel.peer if isinstance(channel, InSession) else channel
