"""Keys of sessions, streams and trees stay in the data plane.

Python speaks the other side here, so it knows them, and finds none of them in what the data plane gives to it.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lab.planes import LIMIT_S, NETWORK, DataPlane, DataPlanes, session_of
from lab.waiting import wait_until
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.noise import NoiseHandshake
from tests.hostile_speaker.session import Session, SessionKeys
from tests.lab.overlay.secrets_in_memory import forms
from treecast import _native
from treecast.adapters.native_records import parse_events
from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint
from treecast.base.downstream_commands import AcceptKey, AcceptTree
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch

NETWORK_ID, NETWORK_KEY = bytes(range(16)), bytes(range(32))
"""The id and the key that ``NETWORK`` is made of."""
PEER, OWN_INDEX, INDEX = NodeIndex(9), 500, 600
STREAM, EPOCH, KEY = StreamId(5), TreeEpoch(1), KeyId(1)
MESSAGE = b"a message of the peer"
CONTEXT = [0, bytes((239, 1, 1, 1)), None]

Kind = TypeVar("Kind", bound=e.FromDataPlane)


@dataclass(slots=True)
class Peer:
    """The other side: what it knows, and all that the data plane has given to Python."""

    plane: DataPlane
    own: socket.socket
    given: list[bytes] = field(default_factory=list)
    known: list[bytes] = field(default_factory=list)

    def wait_for(self, kind: type[Kind]) -> Kind:
        """An event of this kind."""

        def seen() -> list[Kind]:
            self.given.append(self.plane.forwarder.drain(10_000))
            return [event for event in parse_events(self.given[-1]) if isinstance(event, kind)]

        return wait_until(seen, LIMIT_S, kind.__name__)[0]

    def shake_hands(self) -> Session:
        """A session that the peer began."""
        noise = NoiseHandshake(
            initiator=True,
            prologue=wire.prologue(NETWORK_ID),
            psk=NETWORK_KEY,
            static=secrets.token_bytes(32),
            ephemeral=secrets.token_bytes(32),
        )
        first = noise.write_1(bytes(wire.PAYLOAD_LENS[wire.INIT]))
        init = finished(wire.handshake_header(wire.INIT, OWN_INDEX) + first) + bytes(wire.MAC_LEN)
        other = _native.Handshake.respond(self.plane.key, NETWORK, INDEX, init)
        response = other.write_response(b"response")
        assert wire.unpadded(noise.read_2(response[12 : -wire.MAC_LEN])) == b"response"
        third = noise.write_3(wire.padded(wire.FINAL, b"final", bytes(wire.FINAL_NONCE_LEN)))
        assert other.read_final(finished(wire.handshake_header(wire.FINAL, INDEX) + third)) == b"final"
        self.given += [response, shown(other), shown(NETWORK)]
        raw = noise.split()
        seal_key, open_key = (wire.session_key(noise.hash, raw[n], OWN_INDEX, INDEX, n) for n in (0, 1))
        self.known += [*raw, seal_key, open_key, NETWORK_KEY]
        host, port = self.own.getsockname()
        self.plane.do(session_of(other, PEER, Endpoint(ip_address(host), port), _native.AEAD_AES_256_GCM))
        keys = SessionKeys(OWN_INDEX, INDEX, _native.AEAD_AES_256_GCM, seal_key, open_key)
        return Session(self.own, self.plane.address, self.plane.node, keys)

    def receive(self, session: Session, kind: int) -> bytes:
        """The body of the next session datagram of this kind."""

        def body() -> bytes:
            datagram = self.own.recv(9000)
            try:
                plaintext = session.sealing.open(datagram)
            except InvalidTag:
                return b""
            return plaintext[4:] if plaintext[0] == kind else b""

        return wait_until(body, LIMIT_S, f"kind {kind}")


def finished(head: bytes) -> bytes:
    return head + wire.handshake_mac(NETWORK_KEY, head)


def shown(thing: object) -> bytes:
    """All that an object of the data plane shows of itself, without being called."""
    names = [name for name in dir(thing) if not callable(getattr(type(thing), name))]
    values = [getattr(thing, name) for name in names]
    assert not isinstance(thing, _native.Handshake) or "remote_static" in names
    return b"".join(value for value in values if isinstance(value, bytes)) + repr([thing, values]).encode()


def holds(given: list[bytes], secret: bytes) -> bool:
    """Whether a secret, or any form of it, is in what was given: as bytes, in hexadecimal, or as Python shows bytes."""
    every = (secret, *forms(secret))
    written = [*every, *(one.hex().encode() for one in every), *(repr(one)[2:-1].encode() for one in every)]
    return any(one in data for data in given for one in written)


def give(peer: Peer, session: Session) -> None:
    """The keys of a tree of the peer, which the data plane takes."""
    key = wire.TreeKeys(PEER, STREAM, KEY, wire.AES_GCM, 0, 1, secrets.token_bytes(32), list(CONTEXT))
    session.send(wire.SENDER_KEY, key.emit())
    peer.wait_for(e.KeyOffered)
    peer.plane.do(AcceptKey(PEER, STREAM, KEY, None, b""))
    state = wire.TreeState(PEER, STREAM, EPOCH, KEY, 0, PEER, 0, 1400, secrets.token_bytes(16))
    session.send(wire.TREE_STATE, state.emit())
    offered = peer.wait_for(e.TreeOffered)
    peer.plane.do(AcceptTree(PEER, STREAM, EPOCH, offered.number, b""))
    peer.known += [key.secret, state.tree_key]


def take(peer: Peer, session: Session) -> None:
    """The keys of a tree of the data plane's own, which the peer is offered."""
    own = NodeIndex(peer.plane.node)
    peer.plane.do(c.CreateTree(STREAM, EPOCH, KEY), c.OfferKey(STREAM, KEY, PEER, b"\xc0", KeyId(0), 0))
    peer.known.append(wire.TreeKeys.parse(own, peer.receive(session, wire.SENDER_KEY)).secret)
    peer.plane.do(c.OfferTree(STREAM, EPOCH, PEER, own))
    peer.known.append(wire.TreeState.parse(own, peer.receive(session, wire.TREE_STATE)).tree_key)


def test_no_key_of_a_session_a_stream_or_a_tree_comes_out_to_python() -> None:
    with DataPlanes(1) as planes:
        plane = planes[0]
        with plane.machine.enter():
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with own:
            own.bind((plane.machine.underlay_ipv4, 7701))
            own.settimeout(LIMIT_S)
            peer = Peer(plane, own)
            session = peer.shake_hands()
            give(peer, session)
            take(peer, session)
            session.send(wire.CONTROL, MESSAGE)
            assert peer.wait_for(e.ControlDatagram).data == MESSAGE
        numbers = plane.forwarder
        answers = [*numbers.sessions(), *numbers.peers(), *numbers.routes(), *numbers.streams()]
        assert len(answers) >= 2
        peer.given += [*map(shown, answers), shown(numbers), shown(plane.key)]
    assert holds(peer.given, MESSAGE) and holds(peer.given, wire.encode(CONTEXT)), "the search finds what does come out"
    assert len({len(secret) for secret in peer.known}) == 2 and len(peer.known) == 9
    assert [secret for secret in peer.known if holds(peer.given, secret)] == []


def test_no_link_secret_comes_out_to_python() -> None:
    pair = _native.KeyPair.generate()
    shared, ciphertext = MLKEM768PublicKey.from_public_bytes(pair.encapsulation_key).encapsulate()
    extract = HMAC(hashlib.sha256(pair.encapsulation_key + ciphertext).digest(), SHA256())
    extract.update(shared)
    made = extract.finalize()
    secret = HKDFExpand(SHA256(), 32, b"treecast link secret 1").derive(made)
    name = HKDFExpand(SHA256(), 8, b"treecast link secret id 1").derive(made)
    given = [shown(pair), shown(pair.decapsulate(ciphertext))]
    assert holds(given, name) and holds(given, pair.encapsulation_key), "the search finds what does come out"
    assert not holds(given, secret) and not holds(given, shared)
