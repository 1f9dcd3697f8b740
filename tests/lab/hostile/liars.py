"""Lying nodes: they speak the handshake perfectly, with a certificate that is not theirs, not valid or not of here."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path
from random import Random

from treecast import _native
from treecast.adapters.node_directory import CERTIFICATE_FILE
from treecast.adapters.noise import native_network
from treecast.adapters.storage import load_authority
from treecast.base.ids import NetworkId, NodeIndex
from treecast.identity.certificate import CertificateContent, issue
from treecast.identity.ids import derive_network_id
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.wire.handshake import HandshakePayload, HandshakeType, emit_payload

DAY_S = 86_400
READ_BYTES = 2048
_rng = Random(5)


@dataclass(frozen=True, slots=True)
class Liar:
    """Keys of its own, and what it says of itself in a handshake."""

    network: Network
    static_private: bytes
    payload: bytes

    def initiate(self, own: socket.socket, victim: tuple[str, int]) -> None:
        """A whole handshake in the initiator's role, up to FINAL."""
        handshake = _native.Handshake.initiate(self._key, native_network(self.network), _rng.getrandbits(32))
        own.sendto(handshake.init_datagram(), victim)
        handshake.read_response(own.recv(READ_BYTES))
        own.sendto(handshake.write_final(self.payload), victim)

    def respond(self, own: socket.socket, times: int = 1) -> None:
        """Answers the next INIT that comes, so often; what refuses an answer of before is passed over."""
        init, victim = own.recvfrom(READ_BYTES)
        while init[0] != HandshakeType.INIT:
            init, victim = own.recvfrom(READ_BYTES)
        handshake = _native.Handshake.respond(self._key, native_network(self.network), _rng.getrandbits(32), init)
        response = handshake.write_response(self.payload)
        for _ in range(times):
            own.sendto(response, victim)

    @property
    def _key(self) -> _native.StaticKey:
        return _native.StaticKey(self.static_private)


def liars(network: Path, other_network: Path, member: Path, now_unix_s: int) -> dict[str, Liar]:
    """One liar for each reason to be refused. ``member``: a node's directory, whose certificate was copied."""
    authority = load_authority(network)
    own = authority.network
    keys = NodeKeys.from_seeds(_rng.randbytes(32), _rng.randbytes(32))

    def saying(certificate: bytes) -> Liar:
        return Liar(own, keys.static.private, emit_payload(HandshakePayload(certificate, 1, 1, 1, 0, 1500, "1")))

    def signed(ca: SigningKey, of: NetworkId, not_before_s: int, not_after_s: int) -> Liar:
        claims = CertificateContent(
            network_id=of,
            node_index=NodeIndex(99),
            name="liar",
            static_key=keys.static.public,
            signing_key=keys.signing.public,
            ipv4=IPv4Interface("10.77.0.99/16"),
            ipv6=None,
            not_before_s=not_before_s,
            not_after_s=not_after_s,
        )
        return saying(issue(ca, claims).encode())

    other = load_authority(other_network).key
    here = authority.network.id
    valid = (now_unix_s - DAY_S, now_unix_s + DAY_S)
    return {
        "certificate_wrong_network": signed(other, derive_network_id(other.public), *valid),
        "certificate_bad_signature": signed(other, here, *valid),
        "certificate_expired": signed(authority.key, here, now_unix_s - 2 * DAY_S, now_unix_s - 1),
        "certificate_not_yet_valid": signed(authority.key, here, now_unix_s + DAY_S, now_unix_s + 2 * DAY_S),
        "certificate_malformed": saying(_rng.randbytes(200)),
        "handshake_not_its_certificate": saying((member / CERTIFICATE_FILE).read_bytes()),
        "handshake_payload_malformed": Liar(own, keys.static.private, _rng.randbytes(200)),
        "handshake_mac": Liar(replace(own, key=_rng.randbytes(32)), keys.static.private, b""),
    }
