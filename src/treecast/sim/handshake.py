"""A handshake with the datagrams and the refusals of the real one, and no secrecy: for simulation only."""

from __future__ import annotations

import hashlib
import struct

from treecast.base.errors import MalformedError
from treecast.links.crypto import LinkSecret

DATAGRAM_BYTES = 1136
ENCAPSULATION_KEY_BYTES, CIPHERTEXT_BYTES = 1184, 1088
KEM_MARK = b"model"
"""The mark before each encapsulation key: others are none."""


class ModelHandshake:
    """Payloads travel in the clear, each behind its sender's public key."""

    def __init__(self, public: bytes, index: int, remote_index: int = 0) -> None:
        self._public = public
        self._index = index
        self.remote_index = remote_index
        self._remote_static = b""
        self.link_secret = b""
        """The id of the secret that was mixed in."""

    @property
    def index(self) -> int:
        return self._index

    @property
    def remote_static(self) -> bytes:
        return self._remote_static

    def init_datagram(self) -> bytes:
        return struct.pack("!BBHI", 0xC0, 2, 0, self._index).ljust(DATAGRAM_BYTES, b"\0")

    def with_cookie(self, datagram: bytes) -> bytes:
        if len(datagram) != 24 or datagram[0] != 0xC6:
            raise MalformedError("handshake_malformed")
        return self.init_datagram()[:-16] + datagram[8:]

    def write_response(self, payload: bytes) -> bytes:
        return _padded(struct.pack("!BBHII", 0xC1, 2, 0, self._index, self.remote_index) + self._public, payload)

    def read_response(self, datagram: bytes) -> bytes:
        if len(datagram) != DATAGRAM_BYTES or datagram[0] != 0xC1:
            raise MalformedError("handshake_malformed")
        self.remote_index = struct.unpack_from("!I", datagram, 4)[0]
        self._remote_static = datagram[12:44]
        return _unpadded(datagram[44:])

    def write_final(self, payload: bytes) -> bytes:
        return _padded(struct.pack("!BBHI", 0xC2, 2, 0, self.remote_index) + self._public, payload)

    def read_final(self, datagram: bytes) -> bytes:
        if len(datagram) != DATAGRAM_BYTES or datagram[0] != 0xC2:
            raise MalformedError("handshake_malformed")
        self._remote_static = datagram[8:40]
        return _unpadded(datagram[40:])

    def mix(self, secret: LinkSecret) -> None:
        self.link_secret = secret.id

    def write_refusal(self, payload: bytes) -> bytes:
        return struct.pack("!BBHI", 0xC3, 2, 0, self.remote_index) + payload

    def read_refusal(self, datagram: bytes) -> bytes:
        if len(datagram) < 8 or datagram[0] != 0xC3:
            raise MalformedError("handshake_malformed")
        return datagram[8:]


class ModelLinkSecret:
    """Its id, and nothing that were secret."""

    def __init__(self, encapsulation_key: bytes, ciphertext: bytes) -> None:
        self.id = hashlib.sha256(encapsulation_key + ciphertext).digest()[:8]


class ModelKeyPair:
    """An encapsulation key of the right length without a private key."""

    def __init__(self, name: bytes) -> None:
        self.encapsulation_key = KEM_MARK + name.ljust(ENCAPSULATION_KEY_BYTES - len(KEM_MARK), b"\0")

    def decapsulate(self, ciphertext: bytes) -> LinkSecret:
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise MalformedError("kem_malformed")
        return ModelLinkSecret(self.encapsulation_key, ciphertext)


class ModelFactory:
    """Begins model handshakes and exchanges for the node with this static public key."""

    def __init__(self, public: bytes) -> None:
        self._public = public
        self._made = 0

    def _new_name(self) -> bytes:
        self._made += 1
        return self._public + self._made.to_bytes(8, "big")

    def key_pair(self) -> ModelKeyPair:
        return ModelKeyPair(self._new_name())

    def encapsulate(self, encapsulation_key: bytes) -> tuple[bytes, LinkSecret]:
        if len(encapsulation_key) != ENCAPSULATION_KEY_BYTES or not encapsulation_key.startswith(KEM_MARK):
            raise MalformedError("kem_malformed")
        ciphertext = self._new_name().ljust(CIPHERTEXT_BYTES, b"\0")
        return ciphertext, ModelLinkSecret(encapsulation_key, ciphertext)

    def initiate(self, index: int) -> ModelHandshake:
        return ModelHandshake(self._public, index)

    def respond(self, index: int, init: bytes) -> ModelHandshake:
        if len(init) != DATAGRAM_BYTES or init[0] != 0xC0:
            raise MalformedError("handshake_malformed")
        return ModelHandshake(self._public, index, struct.unpack_from("!I", init, 4)[0])


def _padded(head: bytes, payload: bytes) -> bytes:
    datagram = head + len(payload).to_bytes(2, "big") + payload
    if len(datagram) > DATAGRAM_BYTES:
        raise ValueError("the payload does not fit a handshake datagram")
    return datagram.ljust(DATAGRAM_BYTES, b"\0")


def _unpadded(body: bytes) -> bytes:
    return body[2 : 2 + int.from_bytes(body[:2], "big")]
