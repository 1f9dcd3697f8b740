"""Exchanges: ML-KEM-768 once for each link, inside its session, for the keys of the sessions after it.

Decides when an exchange begins, is repeated and given up, which are answered, and when a link wants its first hybrid
session. Keys and secrets stay with their holder (``crypto``). Read docs/protocol.md section 3 first: Hybrid sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.protocol_version import ML_KEM
from treecast.base.time import Duration, Instant, after
from treecast.links.crypto import HandshakeFactory
from treecast.links.exchange import Answered, Begun, Halves, in_halves
from treecast.links.finished import Finished
from treecast.links.peers import Peer, Peers
from treecast.wire.control import Ciphertext, EncapsulationKey, emit_control

FIRST_PAUSE = (0.5, 3.0)
"""Seconds after a link came up, by chance: links that came up together exchange one after the other."""
REPETITIONS = 10
"""One for each review, which is once a second. Without jitter: links begin by chance, and 64 in a review at most."""
UNANSWERED_PAUSE: Duration = 60.0
FORGOTTEN_PAUSE: Duration = 5.0
"""The pause after a secret that the peer does not have: a peer that has none ever does not set the pace."""
ANSWER_INTERVAL: Duration = 0.9
"""One new exchange of a peer a second, and some jitter of the network."""
BEGUN_PER_REVIEW = 64
"""A key pair costs 16 us, an encapsulation 19 us, a decapsulation 22 us; the handshake that follows costs more."""


class Exchanges:
    """All exchanges of one node. Messages to send are appended to ``commands``; the caller empties it."""

    def __init__(self, my_index: NodeIndex, factory: HandshakeFactory, peers: Peers, rng: Random, drops: Drops) -> None:
        self._me = my_index
        self._factory = factory
        self._peers = peers
        self._rng = rng
        self._drops = drops
        self.commands: list[Command] = []

    def review(self, now: Instant, peers: Iterable[Peer]) -> None:
        """Begins, repeats and gives up the exchanges that are this node's to begin, about once a second."""
        left = BEGUN_PER_REVIEW
        for peer in peers:
            exchange = peer.exchange
            if not peer.up or exchange.secret is not None:
                continue
            if exchange.next_begin is None:
                exchange.next_begin = after(now, self._rng.uniform(*FIRST_PAUSE))
            if exchange.begun is not None and exchange.begun.sent >= REPETITIONS:
                exchange.begun, exchange.next_begin = None, after(now, UNANSWERED_PAUSE)
            if exchange.begun is None and now >= exchange.next_begin and left > 0:
                left -= 1
                exchange.begun = Begun(self._rng.getrandbits(32), self._factory.key_pair())
            if exchange.begun is not None:
                self._send_key(peer, exchange.begun)

    def _send_key(self, peer: Peer, begun: Begun) -> None:
        halves = in_halves(begun.keys.encapsulation_key)
        messages = [EncapsulationKey(begun.exchange, half, data) for half, data in enumerate(halves)]
        # In the other order each time: a network that loses every second datagram loses another half.
        for message in reversed(messages) if begun.sent % 2 else messages:
            self.commands.append(SendControl(peer.node, emit_control(message)))
        begun.sent += 1

    def receive(self, now: Instant, node: NodeIndex, message: EncapsulationKey | Ciphertext) -> None:
        """A message of an exchange, which came in a session with that node."""
        peer = self._peers.get(node)
        if peer is None:
            self._drops.count("kem_unknown")
            return
        try:
            match message:
                case EncapsulationKey():
                    self._answer(now, peer, message)
                case Ciphertext():
                    self._take_ciphertext(peer, message)
        except MalformedError as error:
            self._drops.count(error.reason)

    def _answer(self, now: Instant, peer: Peer, message: EncapsulationKey) -> None:
        if self._me < peer.node:
            raise MalformedError("kem_unknown")
        answered = self._answered(now, peer, message.exchange)
        if answered.refused:
            raise MalformedError("kem_malformed")
        if answered.closed:
            return
        halves: tuple[int, ...] = (message.half,)
        if not answered.ciphertext:
            key = answered.key.take(message.half, message.data)
            if key is None:
                return
            answered.refused = True  # unless what follows takes it
            ciphertext, peer.exchange.secret = self._factory.encapsulate(key)
            answered.refused, answered.key, answered.ciphertext = False, Halves(), in_halves(ciphertext)
            halves = (0, 1)
        for half in halves:
            answer = Ciphertext(message.exchange, half, answered.ciphertext[half])
            self.commands.append(SendControl(peer.node, emit_control(answer)))

    def _answered(self, now: Instant, peer: Peer, number: int) -> Answered:
        """The exchange of that number; another one takes the place of the one before."""
        known = peer.exchange.answered
        if known is not None and known.exchange == number:
            return known
        if known is not None and now - known.begun_at < ANSWER_INTERVAL:
            raise MalformedError("kem_rate")
        peer.exchange.answered = Answered(number, now)
        return peer.exchange.answered

    def _take_ciphertext(self, peer: Peer, message: Ciphertext) -> None:
        begun = peer.exchange.begun
        if peer.exchange.ended == message.exchange:
            return  # a repetition
        if begun is None or begun.exchange != message.exchange:
            raise MalformedError("kem_unknown")
        ciphertext = begun.ciphertext.take(message.half, message.data)
        if ciphertext is not None:
            peer.exchange.secret = begun.keys.decapsulate(ciphertext)
            peer.exchange.begun, peer.exchange.ended = None, begun.exchange

    def installed(self, now: Instant, peer: Peer, finished: Finished) -> None:
        """A handshake has made a session: a secret that this node named and the peer did not is worth nothing."""
        exchange, secret = peer.exchange, finished.named
        exchange.can = bool(finished.payload.capabilities & ML_KEM)
        exchange.is_mine = self._me < peer.node and exchange.can
        if finished.hybrid and exchange.answered is not None:
            exchange.answered.closed, exchange.answered.ciphertext = True, ()
        elif not finished.hybrid and secret is not None and secret is exchange.secret and exchange.is_mine:
            exchange.secret, exchange.next_begin = None, after(now, FORGOTTEN_PAUSE)
            self._drops.count("kem_differs")
