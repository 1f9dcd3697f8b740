"""The state of the ML-KEM-768 exchange with one linked node, and the link secret that came of it. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.time import Instant
from treecast.links.crypto import Handshake, KeyPair, LinkSecret

HALVES = 2
"""A key and a ciphertext go in two messages each."""


class Halves:
    """The halves of a key or of a ciphertext that came, in whatever order. Of one that comes again the first counts."""

    def __init__(self) -> None:
        self._came: dict[int, bytes] = {}

    def take(self, half: int, data: bytes) -> bytes | None:
        """The whole, once all of it is here."""
        self._came.setdefault(half, data)
        return b"".join(self._came[one] for one in range(HALVES)) if len(self._came) == HALVES else None


def in_halves(data: bytes) -> tuple[bytes, ...]:
    """Halves of a key or of a ciphertext, as they are sent."""
    middle = len(data) // HALVES
    return data[:middle], data[middle:]


@dataclass(slots=True)
class Begun:
    """An exchange that this node has begun and that has no answer yet."""

    exchange: int
    keys: KeyPair
    ciphertext: Halves = field(default_factory=Halves)
    sent: int = 0
    """How often its key was sent."""


@dataclass(slots=True)
class Answered:
    """The last exchange that the peer has begun. ``ciphertext``: its halves, none before the whole key is here."""

    exchange: int
    begun_at: Instant
    key: Halves = field(default_factory=Halves)
    ciphertext: tuple[bytes, ...] = ()
    refused: bool = False
    """Its key is none."""
    closed: bool = False
    """The peer has the secret, too."""


@dataclass(slots=True)
class Exchange:
    """State of one peer's. ``next_begin``: when this node may begin the next one; None before the link was reviewed.

    ``ended``: the number of the one whose secret this is, where this node has begun it. ``can``: both nodes know
    exchanges; ``is_mine``: they are this node's to begin.
    """

    can: bool = False
    is_mine: bool = False
    secret: LinkSecret | None = None
    begun: Begun | None = None
    answered: Answered | None = None
    next_begin: Instant | None = None
    ended: int | None = None


def mixed(handshake: Handshake, secret: LinkSecret | None, named: bytes) -> bool:
    """Whether the other side has named this secret, too: then it is in the keys of the session."""
    if secret is None or secret.id != named:
        return False
    handshake.mix(secret)
    return True
