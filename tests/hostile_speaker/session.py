"""A session with a node: its keys, and what has come of the node in it. A handshake inside makes the next keys."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

from tests.hostile_speaker import layouts as wire

Address = tuple[str, int]


@dataclass(slots=True)
class SessionKeys:
    """Keys and indices that one handshake has made. ``index``: the speaker's own; ``hybrid``: with a link secret."""

    index: int
    remote_index: int
    aead: int
    seal_key: bytes = field(repr=False)
    open_key: bytes = field(repr=False)
    hybrid: bool = False
    counter: int = 0
    confirmed: threading.Event = field(default_factory=threading.Event)
    """Something has come under them."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seal(self, kind: int, body: bytes) -> bytes:
        """The next datagram."""
        (datagram,) = self.seal_many(kind, body, 1)
        return datagram

    def seal_many(self, kind: int, body: bytes, count: int) -> list[bytes]:
        """The next datagrams, all with the same body."""
        with self._lock:
            first, self.counter = self.counter + 1, self.counter + count
        plaintext, cipher = wire.inner(kind, body), wire.aead(self.aead, self.seal_key)
        heads = [wire.session_header(self.remote_index, counter) for counter in range(first, first + count)]
        return [head + cipher.encrypt(wire.nonce_of(head), plaintext, head) for head in heads]

    def open(self, datagram: bytes) -> bytes:
        """The plaintext; InvalidTag."""
        return wire.open_session_datagram(self.aead, self.open_key, datagram)


@dataclass(slots=True)
class Session:
    """Keys that are sealed with, and what came. ``secret``: of the link, once there is one.

    ``later``: what is sent is of a later version.
    """

    own: socket.socket
    node: Address
    peer: int
    sealing: SessionKeys
    secret: wire.LinkSecret | None = None
    signing_key: bytes = b""
    """The node's public one."""
    keys: list[wire.TreeKeys] = field(default_factory=list)
    states: list[wire.TreeState] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    messages: list[list[object]] = field(default_factory=list)
    responses: list[bytes] = field(default_factory=list)
    """Answers to its path challenges."""
    later: bool = False

    def send(self, kind: int, body: bytes) -> None:
        body += wire.LATER if self.later and kind in wire.GROWING else b""
        self.own.sendto(self.sealing.seal(kind, body), self.node)

    def say(self, *message: object) -> None:
        """A control message: its tag and fields."""
        more = (wire.LATER, None) if self.later else ()
        self.send(wire.CONTROL, wire.encode((*message, *more)))

    def flood(self, *advertisements: bytes) -> None:
        for one in advertisements:
            self.say(wire.FLOOD, [one])

    def shake(self, datagram: bytes) -> None:
        """A handshake datagram of the next session."""
        self.send(wire.HANDSHAKE, datagram)

    @property
    def flooded(self) -> list[bytes]:
        """The advertisements that the node has sent."""
        floods = [message[1] for message in list(self.messages) if message[0] == wire.FLOOD]
        return [one for flood in floods if isinstance(flood, list) for one in flood]

    @property
    def offers(self) -> list[wire.TreeKeys]:
        """The keys that were offered, each with the tree whose state names it."""
        trees = {(state.stream, state.key_id): state for state in list(self.states)}
        names = [(key, (key.stream, key.key_id)) for key in list(self.keys)]
        return [key.on(trees[name]) for key, name in names if name in trees]

    @property
    def broadcast_offered(self) -> wire.TreeKeys:
        """The newest key that was offered of the peer's broadcast."""
        return max((key for key in self.offers if not key.stream), key=lambda key: (key.epoch, key.key_id, key.step))

    @property
    def offered(self) -> wire.TreeKeys:
        """The newest key that was offered of a group's tree."""
        return max((key for key in self.offers if key.stream), key=lambda key: (key.epoch, key.key_id, key.step))
