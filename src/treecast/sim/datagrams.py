"""Datagrams of the model and the windows against replay: meaning without bytes."""

from __future__ import annotations

from dataclasses import dataclass

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
    """In a reply: how many datagrams of the session have come, but for probes and their replies."""


@dataclass(frozen=True, slots=True)
class PathChallenge:
    value: int
    response: bool = False


def is_of_ways(body: object) -> bool:
    """Whether it only asks or says what a way is like: what else goes on a way is counted."""
    return isinstance(body, Probe | PathChallenge)


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
"""And a session datagram's header, plaintext header and tag (docs/protocol.md section 4)."""
TREE_BYTES = UDP_BYTES + 28 + 4 + 16 + 8
SIGNATURE_BYTES = 64
PROBE_BYTES = 24
REPLY_BYTES = 32
FORWARD_BYTES = 12
KEY_BYTES = 52
"""A sender key; its context is beside it."""
STATE_BYTES = 50
"""A tree key and the rest; its children are beside it."""
ANCHOR_BYTES = 34
MARK_BYTES = 4 + 4 + 4 + 8
"""A graft, or a backup's tick."""
CHILD_BYTES = 4


def kind_and_bytes(datagram: object) -> tuple[str, int]:
    """The kind of a datagram, in one word, and how long the real one is on an IPv4 underlay."""
    match datagram:
        case SessionDatagram(body=bytes() as control):
            return "control", SESSION_BYTES + len(control)
        case SessionDatagram(body=Probe(reply=True)):
            return "probe", SESSION_BYTES + REPLY_BYTES
        case SessionDatagram(body=Probe() | PathChallenge()):
            return "probe", SESSION_BYTES + PROBE_BYTES
        case SessionDatagram(body=Rekey(handshake)):
            return "handshake", SESSION_BYTES + len(handshake)
        case SessionDatagram(body=Forward(inner=inner)):
            kind, size_bytes = kind_and_bytes(inner)
            return kind, SESSION_BYTES + FORWARD_BYTES + size_bytes - UDP_BYTES
        case SessionDatagram(body=Key(context=context)):
            return "key", SESSION_BYTES + KEY_BYTES + len(context)
        case SessionDatagram(body=TreeState() as state):
            return "tree", SESSION_BYTES + STATE_BYTES + CHILD_BYTES * len(state.below)
        case SessionDatagram(body=ServedFrom()):
            return "tree", SESSION_BYTES + ANCHOR_BYTES
        case SessionDatagram(body=Graft()):
            return "graft", SESSION_BYTES + MARK_BYTES
        case SessionDatagram(body=Tick()):
            return "tick", SESSION_BYTES
        case SessionDatagram(body=Mark()):
            return "tick", SESSION_BYTES + MARK_BYTES
        case SessionDatagram(body=TreeDatagram() as broadcast):
            kind, size_bytes = kind_and_bytes(broadcast)
            return kind, SESSION_BYTES + size_bytes - UDP_BYTES if size_bytes else 0
        case SessionDatagram(body=(_, bytes() as frame)):
            return "frame", SESSION_BYTES + len(frame)
        case TreeDatagram(frame=bytes() as frame, signed_by=signed_by):
            return "frame", TREE_BYTES + len(frame) + (SIGNATURE_BYTES if signed_by is not None else 0)
        case bytes():
            return "handshake", UDP_BYTES + len(datagram)
    return "frame", 0  # tests send frames that are no bytes


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
