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
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.noise import NoiseHandshake

Address = tuple[str, int]
READ_BYTES = 9000
ANSWER_LIMIT_S = 5.0
READ_LIMIT_S = 0.1


class RefusedError(Exception):
    """The node has refused the certificate; the reason of section 3."""


@dataclass(slots=True)
class Session:
    """Keys and indices of one session, and what came in it."""

    own: socket.socket
    node: Address
    peer: int
    remote_index: int
    aead: int
    seal_key: bytes = field(repr=False)
    open_key: bytes = field(repr=False)
    signing_key: bytes = b""
    """The peer's public one, by its certificate."""
    counter: int = 0
    keys: list[wire.TreeKeys] = field(default_factory=list)
    states: list[wire.TreeState] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    messages: list[list[object]] = field(default_factory=list)
    confirmed: threading.Event = field(default_factory=threading.Event)
    """Something has come in it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seal(self, kind: int, body: bytes) -> bytes:
        """The next datagram."""
        with self._lock:
            self.counter += 1
            counter = self.counter
        plaintext = wire.inner(kind, body)
        return wire.session_datagram(self.aead, self.seal_key, self.remote_index, counter, plaintext)

    def seal_many(self, kind: int, body: bytes, count: int) -> list[bytes]:
        """The next datagrams, all with the same body."""
        with self._lock:
            first, self.counter = self.counter + 1, self.counter + count
        plaintext, cipher = wire.inner(kind, body), wire.aead(self.aead, self.seal_key)
        heads = [wire.session_header(self.remote_index, counter) for counter in range(first, first + count)]
        return [head + cipher.encrypt(wire.nonce_of(head), plaintext, head) for head in heads]

    def send(self, kind: int, body: bytes) -> None:
        self.own.sendto(self.seal(kind, body), self.node)

    def say(self, *message: object) -> None:
        """A control message: its tag and fields."""
        self.send(wire.CONTROL, wire.encode(message))

    def flood(self, *advertisements: bytes) -> None:
        for one in advertisements:
            self.say(wire.FLOOD, [one])

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


class Speaker:
    """``takes_keys``: whether it acknowledges sender keys and states of trees."""

    def __init__(self, member: Member, own: socket.socket, *, takes_keys: bool = True) -> None:
        self.member = member
        self.own = own
        self.takes_keys = takes_keys
        self.answers_probes = True
        self.epoch = int(time.time() * 1000)
        self.tree_datagrams: list[bytes] = []
        self.answers: queue.Queue[bytes] = queue.Queue()
        self._sequence = 0
        self._sessions: dict[int, Session] = {}
        self._over = threading.Event()
        own.settimeout(READ_LIMIT_S)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        self._over.set()
        self._reader.join()

    # handshakes

    def init(self, index: int, cookie: bytes = b"") -> tuple[NoiseHandshake, bytes]:
        """A handshake and its INIT."""
        noise = NoiseHandshake(
            initiator=True,
            prologue=wire.prologue(self.member.network_id),
            psk=self.member.network_key,
            static=self.member.static,
            ephemeral=secrets.token_bytes(32),
        )
        head = wire.handshake_header(wire.INIT, index) + noise.write_1(bytes(wire.PAYLOAD_LENS[wire.INIT]))
        return noise, self.with_cookie(head + wire.handshake_mac(self.member.network_key, head), cookie)

    def with_cookie(self, init: bytes, cookie: bytes) -> bytes:
        head = init[: wire.HANDSHAKE_LEN - wire.MAC_LEN]
        return head + (wire.cookie_mac(cookie, head) if cookie else bytes(wire.MAC_LEN))

    def connect(self, node: Address) -> Session:
        """A session with the node at this address; RefusedError, TimeoutError."""
        index = 1 + secrets.randbelow(2**32 - 1)
        noise, init = self.init(index)
        response = self._ask(node, init, index)
        (remote_index,) = struct.unpack_from(">I", response, 4)
        payload = wire.decode(wire.unpadded(noise.read_2(response[12 : -wire.MAC_LEN])))
        final = self._final(noise, remote_index)
        one, two = noise.split()
        seal_key, open_key = (
            wire.session_key(noise.hash, raw, index, remote_index, last) for raw, last in ((one, 0), (two, 1))
        )
        certificate = payload[0]
        if not isinstance(certificate, bytes):
            raise TypeError("no certificate")
        which = wire.AES_GCM if payload[1] == wire.AES_GCM else wire.CHACHA20
        peer, signing_key = Member.index_of(certificate), Member.signing_key_of(certificate)
        session = Session(self.own, node, peer, remote_index, which, seal_key, open_key, signing_key)
        self._sessions[index] = session
        until = time.monotonic() + ANSWER_LIMIT_S
        while not session.confirmed.is_set():  # what comes before the node has the session is lost
            if time.monotonic() > until:
                raise TimeoutError(f"no session with {node}")
            self.own.sendto(final, node)
            session.send(wire.PROBE, bytes(wire.PROBE_LEN))
            session.confirmed.wait(0.1)
        return session

    def _final(self, noise: NoiseHandshake, remote_index: int) -> bytes:
        clock = int(time.time() * 1000)
        payload = wire.handshake_payload(self.member.certificate, wire.AES_GCM, self.epoch, clock)
        padded = wire.padded(wire.FINAL, payload, secrets.token_bytes(wire.FINAL_NONCE_LEN))
        head = wire.handshake_header(wire.FINAL, remote_index) + noise.write_3(padded)
        return head + wire.handshake_mac(self.member.network_key, head)

    def _ask(self, node: Address, init: bytes, index: int) -> bytes:
        """The RESPONSE, after a COOKIE where one comes."""
        until = time.monotonic() + ANSWER_LIMIT_S
        self.own.sendto(init, node)
        while time.monotonic() < until:
            try:
                answer = self.answers.get(timeout=0.5)
            except queue.Empty:
                self.own.sendto(init, node)
                continue
            if answer[0] == wire.COOKIE and answer[4:8] == struct.pack(">I", index):
                self.own.sendto(self.with_cookie(init, answer[24:40]), node)
            elif answer[0] == wire.RESPONSE and answer[8:12] == struct.pack(">I", index):
                return answer
        raise TimeoutError(f"no RESPONSE of {node}")

    # what it says of itself

    def advertise(self, kind: int, key: bytes, content: bytes) -> bytes:
        """Its next advertisement."""
        self._sequence += 1
        body = wire.advertisement_body(self.member.index, self.epoch, self._sequence, kind, key, content)
        return wire.encode([body, self.member.sign(b"treecast advertisement 1", body)])

    def announce(self, session: Session) -> None:
        """Advertise NODE, and LINKS with that node."""
        host, port = self.own.getsockname()
        content = wire.node_content(
            self.member.certificate, (socket.inet_aton(host), port), secrets.token_bytes(8), self.epoch, 0
        )
        session.flood(
            self.advertise(wire.NODE, b"", content), self.advertise(wire.LINKS, b"\0", wire.encode([session.peer]))
        )

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
                datagram = self.own.recv(READ_BYTES)
            except TimeoutError:
                continue
            kind = datagram[0] if datagram else 0
            if kind in (wire.RESPONSE, wire.COOKIE, wire.REFUSAL):
                self.answers.put(datagram)
            elif kind == wire.TREE:
                self.tree_datagrams.append(datagram)
            elif kind == wire.SESSION:
                session = self._sessions.get(struct.unpack_from(">I", datagram, 4)[0])
                if session is not None:
                    self._take(session, datagram)

    def _take(self, session: Session, datagram: bytes) -> None:
        try:
            plaintext = wire.open_session_datagram(session.aead, session.open_key, datagram)
        except InvalidTag:
            return
        session.confirmed.set()
        kind, body = plaintext[0], plaintext[4:]
        if kind == wire.PROBE and self.answers_probes:
            session.send(wire.PROBE_REPLY, body)
        elif kind == wire.FRAME:
            session.frames.append(body)
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
        elif kind == wire.CONTROL:
            message = wire.decode(body)
            session.messages.append(message)
            if message[0] == wire.FLOOD:
                self._acknowledge(session, message)

    def _acknowledge(self, session: Session, message: list[object]) -> None:
        flooded = message[1]
        if isinstance(flooded, list):
            names = [wire.advertisement_name(one) for one in flooded]
            session.say(wire.ACKNOWLEDGE, names)


@contextmanager
def speaking(make: Callable[[], socket.socket], member: Member, *, takes_keys: bool = True) -> Iterator[Speaker]:
    """A speaker with a socket of its own, until the block ends."""
    with make() as own:
        speaker = Speaker(member, own, takes_keys=takes_keys)
        try:
            yield speaker
        finally:
            speaker.close()
