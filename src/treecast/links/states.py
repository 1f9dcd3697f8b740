"""The states of a handshake and the session that it makes, and of the link to a peer.

A session belongs to one link: it begins as an attempt of this node's or as a pending one of another's. Decides
nothing: ``handshakes`` and ``sessions`` find when each event happens.
"""

from __future__ import annotations

from enum import Enum

from treecast.base.state_table import StateTable
from treecast.base.state_table import Transition as Row


class SessionState(Enum):
    NONE = "none"
    ATTEMPT = "attempt"
    """This node's INIT is out."""
    PENDING = "pending"
    """Another node's INIT was answered. Nothing but this bounded entry changes before its FINAL is verified."""
    UNCONFIRMED = "unconfirmed"
    """Installed by the initiator, which sends on it at once: whether the other side has it is not known yet."""
    CONFIRMED = "confirmed"
    ENDED = "ended"


class SessionEvent(Enum):
    BEGIN = "begin"
    INIT = "INIT"
    RESPONSE = "RESPONSE of a member"
    FINAL = "FINAL of a member"
    DATAGRAM = "first authentic datagram"
    REFUSED = "certificate refused"
    OVERDUE = "overdue"
    DROPPED = "dropped"


_NONE, _ATTEMPT, _PENDING = SessionState.NONE, SessionState.ATTEMPT, SessionState.PENDING
_UNCONFIRMED, _CONFIRMED, _ENDED = SessionState.UNCONFIRMED, SessionState.CONFIRMED, SessionState.ENDED

SESSION: StateTable[SessionState, SessionEvent] = StateTable(
    Row(_NONE, SessionEvent.BEGIN, _ATTEMPT, "INIT to all addresses, repeated after 0.5 s, doubling to 2 s"),
    Row(_NONE, SessionEvent.INIT, _PENDING, "RESPONSE"),
    Row(_ATTEMPT, SessionEvent.RESPONSE, _UNCONFIRMED, "FINAL, repeated after 0.25 s, doubling; session installed"),
    Row(_ATTEMPT, SessionEvent.REFUSED, _ENDED, "tried again after 2 s"),
    Row(_ATTEMPT, SessionEvent.OVERDUE, _ENDED, "10 s: begun again with a fresh key"),
    Row(_ATTEMPT, SessionEvent.DROPPED, _ENDED, "its target is not sought any more"),
    Row(_PENDING, SessionEvent.INIT, _PENDING, "a repetition: the same RESPONSE"),
    Row(_PENDING, SessionEvent.FINAL, _CONFIRMED, "session installed"),
    Row(_PENDING, SessionEvent.REFUSED, _ENDED, "REFUSAL to who once was a member; no answer to others"),
    Row(_PENDING, SessionEvent.OVERDUE, _ENDED, "5 s"),
    Row(_UNCONFIRMED, SessionEvent.DATAGRAM, _CONFIRMED, "no more FINAL"),
    Row(_UNCONFIRMED, SessionEvent.OVERDUE, _ENDED, "5 s: removed"),
    Row(_UNCONFIRMED, SessionEvent.DROPPED, _ENDED, "a peer's fourth, no room for it, or its link is down: removed"),
    Row(_CONFIRMED, SessionEvent.DATAGRAM, _CONFIRMED),
    Row(_CONFIRMED, SessionEvent.OVERDUE, _ENDED, "180 s: removed"),
    Row(_CONFIRMED, SessionEvent.DROPPED, _ENDED, "a peer's fourth, no room for it, or its link is down: removed"),
)


class LinkState(Enum):
    DOWN = "down"
    SESSION = "has a session"
    """None that is confirmed yet."""
    UP = "up"


class PeerEvent(Enum):
    INSTALLED = "session installed"
    CONFIRMED = "session confirmed"
    LOST = "lost"
    """No session is left, the peer is silent or restarted, it sent GOODBYE, or its certificate has ended."""


LINK: StateTable[LinkState, PeerEvent] = StateTable(
    Row(LinkState.DOWN, PeerEvent.INSTALLED, LinkState.SESSION),
    Row(LinkState.SESSION, PeerEvent.INSTALLED, LinkState.SESSION),
    Row(LinkState.UP, PeerEvent.INSTALLED, LinkState.UP, "a new key"),
    Row(LinkState.SESSION, PeerEvent.CONFIRMED, LinkState.UP, "LinkUp: all rooms learn of it"),
    Row(LinkState.UP, PeerEvent.CONFIRMED, LinkState.UP),
    Row(LinkState.SESSION, PeerEvent.LOST, LinkState.DOWN, "ForgetPeer; nobody had learned of it"),
    Row(LinkState.UP, PeerEvent.LOST, LinkState.DOWN, "ForgetPeer; LinkDown"),
)
