"""The speaker: a socket, a thread that reads it, and sessions with the nodes that it has shaken hands with."""

from __future__ import annotations

import queue
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidTag

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.handshakes import Exchange, Handshake
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.session import Address, Session, SessionKeys

READ_BYTES = 9000
ANSWER_LIMIT_S = 5.0
READ_LIMIT_S = 0.1
REPEAT_S = 0.5

Send = Callable[[bytes], object]


class Speaker:
    """``takes_keys``: whether it acknowledges sender keys and states of trees; ``takes_inits``: whether it answers who
    begins a handshake with it; inside of sessions it always does. ``capabilities``: those that it says it has.
    """

    def __init__(
        self,
        member: Member,
        own: socket.socket,
        *,
        takes_keys: bool = True,
        takes_inits: bool = False,
        capabilities: int = 0,
    ) -> None:
        self.member = member
        self.own = own
        self.takes_keys = takes_keys
        self.takes_inits = takes_inits
        self.capabilities = capabilities
        self.answers_probes = True
        self.receipt = b""
        """Put at the end of its answers to probes: how many datagrams it says have come."""
        self.later = False
        """Whether it speaks a later version, from its next session on: then it answers path challenges, too."""
        self.epoch = int(time.time() * 1000)
        self.tree_datagrams: list[bytes] = []
        self.answers: queue.Queue[bytes] = queue.Queue()
        self.accepted: list[Session] = []
        """Sessions that nodes have begun."""
        self.sequence = 0
        self._begun: dict[int, Handshake] = {}
        """Handshakes that nodes have begun, by the speaker's index."""
        self._opening: dict[int, tuple[Session, SessionKeys]] = {}
        self._exchanges: dict[int, Exchange] = {}
        self._over = threading.Event()
        own.settimeout(READ_LIMIT_S)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        self._over.set()
        self._reader.join()

    # handshakes that it begins

    def connect(self, node: Address) -> Session:
        """A session with the node at this address; TimeoutError."""
        handshake = Handshake(self.member, self.epoch, initiator=True, capabilities=self.capabilities)

        def send(datagram: bytes) -> None:
            self.own.sendto(datagram, node)

        self.ask(handshake, send)
        final = handshake.final()
        session = self._session(handshake, node, handshake.session_keys())
        self._open(session, session.sealing)
        self._confirm(session.sealing, send, final, lambda: session.send(wire.PROBE, bytes(wire.PROBE_LEN)))
        return session

    def rekey(self, session: Session) -> None:
        """The next session with the same node, made inside this one; TimeoutError."""
        handshake = self._next(session, initiator=True)
        self.ask(handshake, session.shake)
        final = handshake.final()
        keys = handshake.session_keys()
        self._open(session, keys)
        self._confirm(keys, session.shake, final, lambda: None)
        session.sealing = keys

    def ask(self, handshake: Handshake, send: Send) -> None:
        """Sends INIT until the RESPONSE is there, after a COOKIE where one comes; TimeoutError."""
        until = time.monotonic() + ANSWER_LIMIT_S
        init, own = handshake.init(), struct.pack(">I", handshake.index)
        send(init)
        while time.monotonic() < until:
            try:
                answer = self.answers.get(timeout=REPEAT_S)
            except queue.Empty:
                send(init)
                continue
            if answer[0] == wire.COOKIE and answer[4:8] == own:
                send(wire.with_cookie(init, answer[24:40]))
            elif answer[0] == wire.RESPONSE and answer[8:12] == own:
                handshake.read_response(answer)
                return
        raise TimeoutError("no RESPONSE")

    def _confirm(self, keys: SessionKeys, send: Send, final: bytes, ask: Callable[[], None]) -> None:
        """Sends FINAL until something comes in the session: what is sent before the node has it is lost."""
        until = time.monotonic() + ANSWER_LIMIT_S
        while not keys.confirmed.is_set():
            if time.monotonic() > until:
                raise TimeoutError("nothing comes in the session")
            send(final)
            ask()
            keys.confirmed.wait(REPEAT_S / 2)

    def _next(self, session: Session, *, initiator: bool) -> Handshake:
        """A handshake inside of a session."""
        return Handshake(
            self.member, self.epoch, initiator=initiator, secret=session.secret, capabilities=self.capabilities
        )

    def _session(self, handshake: Handshake, node: Address, keys: SessionKeys) -> Session:
        certificate = handshake.certificate
        signing_key = Member.signing_key_of(certificate)
        index = Member.index_of(certificate)
        return Session(self.own, node, index, keys, signing_key=signing_key, later=self.later)

    def _open(self, session: Session, keys: SessionKeys) -> None:
        self._opening[keys.index] = session, keys

    # handshakes that nodes begin

    def _take_handshake(self, datagram: bytes, source: Address, session: Session | None) -> None:
        """``session``: the one that it came in, if it did."""
        kind = datagram[0]
        if kind in (wire.RESPONSE, wire.COOKIE, wire.REFUSAL):
            self.answers.put(datagram)
        elif kind == wire.INIT and session is not None:
            self._respond(datagram, self._next(session, initiator=False), session.shake)
        elif kind == wire.INIT and self.takes_inits:
            handshake = Handshake(self.member, self.epoch, initiator=False, capabilities=self.capabilities)
            self._respond(datagram, handshake, lambda response: self.own.sendto(response, source))
        elif kind == wire.FINAL:
            handshake_or_none = self._begun.pop(struct.unpack_from(">I", datagram, 4)[0], None)
            if handshake_or_none is not None:
                self._finish(datagram, handshake_or_none, source, session)

    def _respond(self, init: bytes, handshake: Handshake, send: Send) -> None:
        try:
            handshake.read_init(init)
        except InvalidTag:
            return
        self._begun[handshake.index] = handshake
        send(handshake.response())

    def _finish(self, final: bytes, handshake: Handshake, source: Address, session: Session | None) -> None:
        try:
            handshake.read_final(final)
        except InvalidTag:
            return
        keys = handshake.session_keys()
        is_new = session is None
        session = session or self._session(handshake, source, keys)
        session.sealing = keys
        self._open(session, keys)
        session.send(wire.PROBE, bytes(wire.PROBE_LEN))  # the node waits for it
        if is_new:
            self.accepted.append(session)

    # what it says of itself

    def advertise(self, kind: int, key: bytes, content: bytes) -> bytes:
        """Its next advertisement."""
        self.sequence += 1
        body = wire.advertisement_body(self.member.index, self.epoch, self.sequence, kind, key, content)
        return wire.encode([body, self.member.sign(b"treecast advertisement 1", body)])

    def describe(self, floor: int = 0) -> bytes:
        """Its NODE advertisement."""
        host, port = self.own.getsockname()
        endpoint, instance = (socket.inet_aton(host), port), secrets.token_bytes(8)
        content = wire.node_content(self.member.certificate, endpoint, instance, self.epoch, floor)
        return self.advertise(wire.NODE, b"", content)

    def announce(self, session: Session) -> None:
        """Advertise NODE, and LINKS with that node."""
        links = self.advertise(wire.LINKS, b"\0", wire.encode([[session.peer]]))
        session.flood(self.describe(), links)

    def join(self, session: Session, group: str, chunk: int = 0, sources: tuple[bytes, ...] = ()) -> None:
        """All sources of a group, or those that are named."""
        listed = [0, socket.inet_aton(group), 0 if sources else 1, list(sources)]
        session.flood(self.advertise(wire.GROUPS, wire.chunk_key(chunk), wire.encode([[listed]])))

    def leave(self, session: Session, chunk: int = 0) -> None:
        session.flood(self.advertise(wire.GROUPS, wire.chunk_key(chunk), b""))

    # what comes

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                datagram, source = self.own.recvfrom(READ_BYTES)
            except TimeoutError:
                continue
            kind = datagram[0] if datagram else 0
            if kind == wire.TREE:
                self.tree_datagrams.append(datagram)
            elif kind == wire.SESSION:
                opening = self._opening.get(struct.unpack_from(">I", datagram, 4)[0])
                if opening is not None:
                    self._take(*opening, datagram)
            elif kind in (wire.INIT, wire.RESPONSE, wire.FINAL, wire.REFUSAL, wire.COOKIE):
                self._take_handshake(datagram, source, None)

    def _take(self, session: Session, keys: SessionKeys, datagram: bytes) -> None:
        try:
            plaintext = keys.open(datagram)
        except InvalidTag:
            return
        keys.confirmed.set()
        kind, body = plaintext[0], plaintext[4:]
        if kind == wire.PROBE and self.answers_probes:
            more = self.receipt if not self.later else bytes(8) + wire.LATER
            reply = keys.seal(wire.PROBE_REPLY, body + more)
            self.own.sendto(reply, session.node)  # in another session it would be no answer
        elif kind == wire.PATH_CHALLENGE and self.later:
            session.send(wire.PATH_RESPONSE, body[:8])
        elif kind == wire.PATH_RESPONSE:
            session.responses.append(body)
        elif kind == wire.FRAME:
            session.frames.append(body)
        elif kind == wire.BROADCAST:
            self.tree_datagrams.append(body)
        elif kind == wire.SENDER_KEY:
            key = wire.TreeKeys.parse(session.peer, body)
            session.keys.append(key)
            if self.takes_keys:
                session.say(wire.KEY_ACKNOWLEDGEMENT, key.stream, key.key_id)
        elif kind == wire.TREE_STATE:
            state = wire.TreeState.parse(session.peer, body)
            session.states.append(state)
            if self.takes_keys:
                session.say(wire.TREE_ACKNOWLEDGEMENT, state.stream, state.epoch)
        elif kind == wire.HANDSHAKE:
            self._take_handshake(body, session.node, session)
        elif kind == wire.CONTROL:
            self._take_control(session, wire.decode(body))

    def _take_control(self, session: Session, message: list[object]) -> None:
        session.messages.append(message)
        match message:
            case [wire.FLOOD, list(flooded)]:
                session.say(wire.ACKNOWLEDGE, [wire.advertisement_name(one) for one in flooded])
            case [wire.ENCAPSULATION_KEY, int(number), int(half), bytes(data)]:
                exchange = self._exchanges.get(session.peer)
                if exchange is None or exchange.number != number:
                    exchange = self._exchanges[session.peer] = Exchange(number)
                for one, answer in exchange.take(half, data):
                    session.say(wire.CIPHERTEXT, number, one, answer)
                session.secret = exchange.secret or session.secret


@contextmanager
def speaking(
    make: Callable[[], socket.socket],
    member: Member,
    *,
    takes_keys: bool = True,
    takes_inits: bool = False,
    capabilities: int = 0,
) -> Iterator[Speaker]:
    """A speaker with a socket of its own, until the block ends."""
    with make() as own:
        speaker = Speaker(member, own, takes_keys=takes_keys, takes_inits=takes_inits, capabilities=capabilities)
        try:
            yield speaker
        finally:
            speaker.close()
