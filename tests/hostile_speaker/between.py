"""A hostile member between nodes that cannot reach each other: it sends on what it wants of theirs.

Its own links are healthy: it answers probes, lists its links as the shortest there are, and passes news on.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.session import Address, Session, SessionKeys
from tests.hostile_speaker.speaker import Speaker

FORWARD = 8
HEAD = struct.Struct(">IIB3x")
ALL_INDICES = 2**32 - 1
AGAIN_S = 5.0
SHORTEST = 1


class Between(Speaker):
    """Linked with the nodes at ``nodes``. ``sends_on``: whether a Forward of so many bytes inside goes on."""

    def __init__(self, member: Member, own: socket.socket, nodes: tuple[Address, ...]) -> None:
        self.linked: list[Session] = []
        self.sends_on: Callable[[int], bool] = lambda size_bytes: True
        self.swallowed = 0
        self._ended = threading.Event()
        super().__init__(member, own)
        self.linked += [self.connect(node) for node in nodes]
        self._repeating = threading.Thread(target=self._announce_again)
        self._repeating.start()

    def close(self) -> None:
        self._ended.set()
        self._repeating.join()
        super().close()

    def _announce_again(self) -> None:
        while True:
            peers = sorted(session.peer for session in self.linked)
            delays = bytes([SHORTEST]) * len(peers)
            links = self.advertise(
                wire.LINKS, b"\0", wire.encode([peers, delays, bytes(len(peers)), bytes(len(peers))])
            )
            node = self.describe()
            for session in self.linked:
                session.flood(node, links)
                session.say(wire.DIGEST, 0, ALL_INDICES, [], True)  # it is sent all that they know
            if self._ended.wait(AGAIN_S):
                return

    def _take(self, session: Session, keys: SessionKeys, datagram: bytes) -> None:
        plaintext = keys.open(datagram)
        if plaintext[0] != FORWARD:
            super()._take(session, keys, datagram)
            return
        keys.confirmed.set()
        destination, source, hop_limit = HEAD.unpack_from(plaintext, 4)
        inner = plaintext[4 + HEAD.size :]
        if not self.sends_on(len(inner)):
            self.swallowed += 1
            return
        for other in self.linked:
            if other.peer == destination:
                other.send(FORWARD, HEAD.pack(destination, source, hop_limit - 1) + inner)

    def _take_control(self, session: Session, message: list[object]) -> None:
        super()._take_control(session, message)
        if message[0] == wire.FLOOD:
            for other in self.linked:
                if other is not session:
                    other.say(wire.FLOOD, message[1])
