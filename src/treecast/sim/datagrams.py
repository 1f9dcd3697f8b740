"""Datagrams of the model and the windows against replay: meaning without bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from treecast.base.commands import OfferTree
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch


@dataclass(frozen=True, slots=True)
class SessionDatagram:
    receiver_index: int
    counter: int
    body: object
    link_secret: bytes = b""
    """Its key was made of this, besides its handshake: who has another one cannot open it."""


@dataclass(frozen=True, slots=True)
class Probe:
    reply: bool
    fingerprint: int
    value: int = 0
    came: int = 0
    """A reply has how many datagrams of the session have come, but for probes and their replies."""


@dataclass(frozen=True, slots=True)
class PathChallenge:
    value: int
    response: bool = False


_PATH_CONTROL = (Probe, PathChallenge)


def is_path_control(body: object) -> bool:
    """Whether it measures or validates a path or route: only other bodies are counted."""
    return isinstance(body, _PATH_CONTROL)


@dataclass(frozen=True, slots=True)
class Rekey:
    handshake: bytes


@dataclass(frozen=True, slots=True)
class Forward:
    destination: NodeIndex
    source: NodeIndex
    hop_limit: int
    inner: SessionDatagram | bytes
    """Bytes: a handshake datagram."""

    def onward(self, hop_limit: int) -> Forward:
        """The same, as the next node gets it."""
        return Forward(self.destination, self.source, hop_limit, self.inner)


@dataclass(frozen=True, slots=True)
class Key:
    stream: StreamId
    key_id: KeyId
    context: bytes


@dataclass(frozen=True, slots=True)
class TreeState:
    """The key of the tree's datagrams, and where the receiver is on it."""

    stream: StreamId
    epoch: TreeEpoch
    key_id: KeyId
    parent: NodeIndex
    backup: NodeIndex
    children: tuple[NodeIndex, ...]
    backup_children: tuple[NodeIndex, ...] = ()
    backup_sends: bool = False
    """The backup sends all of it, too."""

    @classmethod
    def of(cls, offer: OfferTree, key_id: KeyId) -> TreeState:
        """The state that a command offers, of the tree of this key."""
        above, below = (offer.parent, offer.backup), (offer.children, offer.backup_children)
        return cls(offer.stream, offer.epoch, key_id, *above, *below, offer.backup_sends)

    @property
    def relays(self) -> bool:
        return bool(self.children or self.backup_children)

    @property
    def below(self) -> tuple[NodeIndex, ...]:
        return self.children + self.backup_children


@dataclass(frozen=True, slots=True)
class Graft:
    """The sender wants datagrams with higher counters from its backup."""

    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    after: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The sender is there, though nothing comes by it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The sender, a backup, has datagrams of a tree up to this counter."""

    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    counter: int


@dataclass(frozen=True, slots=True)
class ServedFrom:
    """The sender's word that its tree serves the receiver from this counter of a key on. Lower ones came as copies."""

    stream: StreamId
    key_id: KeyId
    first_counter: int


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A node of a tree asks the root whether the tree serves it. The real one is a request for an anchor."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class TreeDatagram:
    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    key_id: KeyId
    counter: int
    frame: object
    signed_by: bytes | None = None
    """The public key of who has signed it, as broadcast is."""


UDP_BYTES = 28
"""IPv4 and UDP headers."""
SESSION_BYTES = UDP_BYTES + 16 + 4 + 16
"""A session datagram's header besides, plaintext header and tag (docs/protocol.md section 4)."""
TREE_BYTES = UDP_BYTES + 28 + 4 + 16 + 8
SIGNATURE_BYTES = 64
PROBE_BYTES = 24
REPLY_BYTES = 32
FORWARD_BYTES = 12
KEY_BYTES = 52
"""A sender key; its context is beside it."""
STATE_BYTES = 50
"""A tree key and the rest; its children are beside it."""
ANCHOR_BYTES = 50
MARK_BYTES = 4 + 4 + 4 + 8
"""A graft, or a backup's tick."""
CHILD_BYTES = 4


KindAndBytes = tuple[str, int]

_OF_BODIES: dict[type, Callable[[Any], KindAndBytes]] = {
    bytes: lambda control: ("control", SESSION_BYTES + len(control)),
    Probe: lambda probe: ("probe", SESSION_BYTES + (REPLY_BYTES if probe.reply else PROBE_BYTES)),
    PathChallenge: lambda _: ("probe", SESSION_BYTES + PROBE_BYTES),
    Rekey: lambda rekey: ("handshake", SESSION_BYTES + len(rekey.handshake)),
    Forward: lambda forward: _around(forward.inner, SESSION_BYTES + FORWARD_BYTES),
    Key: lambda key: ("key", SESSION_BYTES + KEY_BYTES + len(key.context)),
    TreeState: lambda state: ("tree", SESSION_BYTES + STATE_BYTES + CHILD_BYTES * len(state.below)),
    ServedFrom: lambda _: ("tree", SESSION_BYTES + ANCHOR_BYTES),
    ServiceRequest: lambda _: ("tree", SESSION_BYTES + MARK_BYTES),
    Graft: lambda _: ("graft", SESSION_BYTES + MARK_BYTES),
    Tick: lambda _: ("tick", SESSION_BYTES),
    Mark: lambda _: ("tick", SESSION_BYTES + MARK_BYTES),
    TreeDatagram: lambda broadcast: _around(broadcast, SESSION_BYTES) if _is_real(broadcast) else UNREAL,
    tuple: lambda frame: ("frame", SESSION_BYTES + len(frame[1])) if isinstance(frame[1], bytes) else UNREAL,
}
"""Kind and bytes of a session datagram by the type of what is in it; each is measured as it is sent and as it comes."""
UNREAL: KindAndBytes = ("frame", 0)
"""Tests send frames that are no bytes."""


def kind_and_bytes(datagram: object) -> KindAndBytes:
    """The kind of a datagram, in one word, and how long the real one is on an IPv4 underlay."""
    if isinstance(datagram, SessionDatagram):
        of_body = _OF_BODIES.get(type(datagram.body))
        return of_body(datagram.body) if of_body is not None else UNREAL
    if isinstance(datagram, TreeDatagram) and isinstance(datagram.frame, bytes):
        signature_bytes = SIGNATURE_BYTES if datagram.signed_by is not None else 0
        return "frame", TREE_BYTES + len(datagram.frame) + signature_bytes
    return ("handshake", UDP_BYTES + len(datagram)) if isinstance(datagram, bytes) else UNREAL


def _around(inner: object, header_bytes: int) -> KindAndBytes:
    """A datagram in another one, without a UDP header of its own."""
    kind, size_bytes = kind_and_bytes(inner)
    return kind, header_bytes + size_bytes - UDP_BYTES


def _is_real(datagram: TreeDatagram) -> bool:
    return isinstance(datagram.frame, bytes)


@dataclass(slots=True)
class ReplayWindow:
    """Which of the last ``size`` counters were received; an older one counts as a replay."""

    size: int
    highest: int = 0
    _received: int = 0
    """Bit n stands for the counter ``highest - n``."""

    def is_fresh(self, counter: int) -> bool:
        """Whether this counter was not received yet."""
        behind = self.highest - counter
        return behind < 0 or (behind < self.size and not self._received >> behind & 1)

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
