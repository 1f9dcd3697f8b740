"""Handshakes of section 3 as either side, and the answers in an exchange by ML-KEM-768: bytes in, bytes out."""

from __future__ import annotations

import secrets
import struct
import time

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.noise import NoiseHandshake
from tests.hostile_speaker.session import SessionKeys


class Handshake:
    """One handshake. ``index``: the speaker's own; ``secret``: the link secret that it names, inside of a session."""

    def __init__(
        self,
        member: Member,
        epoch: int,
        *,
        initiator: bool,
        secret: wire.LinkSecret | None = None,
        capabilities: int = 0,
    ) -> None:
        self.index = 1 + secrets.randbelow(2**32 - 1)
        self._member = member
        self._epoch = epoch
        self._initiator = initiator
        self._secret = secret
        self._capabilities = capabilities
        self._remote_index = 0
        self._remote: list[object] = []
        self._noise = NoiseHandshake(
            initiator=initiator,
            prologue=wire.prologue(member.network_id),
            psk=member.network_key,
            static=member.static,
            ephemeral=secrets.token_bytes(32),
        )

    # as the initiator

    def init(self) -> bytes:
        """INIT, without a cookie."""
        head = wire.handshake_header(wire.INIT, self.index)
        head += self._noise.write_1(bytes(wire.PAYLOAD_LENS[wire.INIT]))
        return self._finished(head) + bytes(wire.MAC_LEN)

    def read_response(self, response: bytes) -> None:
        (self._remote_index,) = struct.unpack_from(">I", response, 4)
        self._remote = wire.decode(wire.unpadded(self._noise.read_2(response[12 : -wire.MAC_LEN])))

    def final(self) -> bytes:
        padded = wire.padded(wire.FINAL, self._payload(), secrets.token_bytes(wire.FINAL_NONCE_LEN))
        head = wire.handshake_header(wire.FINAL, self._remote_index)
        return self._finished(head + self._noise.write_3(padded))

    # as the responder

    def read_init(self, init: bytes) -> None:
        """InvalidTag for who has another network key."""
        (self._remote_index,) = struct.unpack_from(">I", init, 4)
        self._noise.read_1(init[8 : -2 * wire.MAC_LEN])

    def response(self) -> bytes:
        head = wire.handshake_header(wire.RESPONSE, self.index, self._remote_index)
        return self._finished(head + self._noise.write_2(wire.padded(wire.RESPONSE, self._payload())))

    def read_final(self, final: bytes) -> None:
        self._remote = wire.decode(wire.unpadded(self._noise.read_3(final[8 : -wire.MAC_LEN])))

    # what came of it

    @property
    def peer(self) -> int:
        """The node index in the certificate that the other side has shown."""
        certificate = self._remote[0]
        if not isinstance(certificate, bytes):
            raise TypeError("no certificate")
        return Member.index_of(certificate)

    def session_keys(self) -> SessionKeys:
        named = self._remote[10] if len(self._remote) > 10 else b""
        hybrid = self._secret is not None and named == self._secret.id
        secret = self._secret.secret if self._secret is not None and hybrid else b""
        ends = (self.index, self._remote_index) if self._initiator else (self._remote_index, self.index)
        hash_ = self._noise.hash
        keys = [wire.session_key(hash_, raw, *ends, last, secret) for last, raw in enumerate(self._noise.split())]
        seal_key, open_key = keys if self._initiator else reversed(keys)
        which = wire.AES_GCM if self._remote[1] == wire.AES_GCM else wire.CHACHA20
        return SessionKeys(self.index, self._remote_index, which, seal_key, open_key, hybrid)

    def _payload(self) -> bytes:
        clock = int(time.time() * 1000)
        named = self._secret.id if self._secret is not None else b""
        return wire.handshake_payload(
            self._member.certificate, wire.AES_GCM, self._epoch, clock, capabilities=self._capabilities, named=named
        )

    def _finished(self, head: bytes) -> bytes:
        return head + wire.handshake_mac(self._member.network_key, head)


class Exchange:
    """The last exchange that a node has begun: its key comes in halves, and the ciphertext for it goes in halves."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.secret: wire.LinkSecret | None = None
        self._key: dict[int, bytes] = {}
        self._ciphertext = b""

    def take(self, half: int, data: bytes) -> list[tuple[int, bytes]]:
        """The halves of the ciphertext that answer this half of the key."""
        self._key.setdefault(half, data)
        if len(self._key) < 2:
            return []
        answers = (half,) if self._ciphertext else (0, 1)
        if not self._ciphertext:
            key = self._key[0] + self._key[1]
            shared, self._ciphertext = MLKEM768PublicKey.from_public_bytes(key).encapsulate()
            self.secret = wire.LinkSecret.of(shared, key, self._ciphertext)
        middle = len(self._ciphertext) // 2
        return [(one, self._ciphertext[one * middle : (one + 1) * middle]) for one in answers]
