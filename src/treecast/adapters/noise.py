"""Noise handshakes, as ``links`` wants them, by the extension: keys stay there."""

from __future__ import annotations

from treecast import _native
from treecast.base.errors import MalformedError
from treecast.identity.network import Network
from treecast.links.crypto import Handshake, KeyPair, LinkSecret


class NoiseHandshake:
    """A handshake of the data plane whose refusals are MalformedError."""

    def __init__(self, native: _native.Handshake) -> None:
        self.native = native

    @property
    def index(self) -> int:
        return self.native.index

    @property
    def remote_static(self) -> bytes:
        return self.native.remote_static

    def init_datagram(self) -> bytes:
        return self.native.init_datagram()

    def with_cookie(self, datagram: bytes) -> bytes:
        try:
            return self.native.with_cookie(datagram)
        except _native.HandshakeError as error:
            raise MalformedError(str(error)) from error

    def write_response(self, payload: bytes) -> bytes:
        return self.native.write_response(payload)

    def read_response(self, datagram: bytes) -> bytes:
        try:
            return self.native.read_response(datagram)
        except _native.HandshakeError as error:
            raise MalformedError(str(error)) from error

    def write_final(self, payload: bytes) -> bytes:
        return self.native.write_final(payload)

    def read_final(self, datagram: bytes) -> bytes:
        try:
            return self.native.read_final(datagram)
        except _native.HandshakeError as error:
            raise MalformedError(str(error)) from error

    def mix(self, secret: LinkSecret) -> None:
        if not isinstance(secret, _native.LinkSecret):
            raise TypeError("a handshake of the data plane takes a secret of the data plane")
        self.native.mix(secret)

    def write_refusal(self, payload: bytes) -> bytes:
        return self.native.write_refusal(payload)

    def read_refusal(self, datagram: bytes) -> bytes:
        try:
            return self.native.read_refusal(datagram)
        except _native.HandshakeError as error:
            raise MalformedError(str(error)) from error


class MlKemKeyPair:
    """A key pair of the data plane; a ciphertext that is none is a MalformedError."""

    def __init__(self) -> None:
        self._native = _native.KeyPair.generate()

    @property
    def encapsulation_key(self) -> bytes:
        return self._native.encapsulation_key

    def decapsulate(self, ciphertext: bytes) -> LinkSecret:
        try:
            return self._native.decapsulate(ciphertext)
        except ValueError as error:
            raise MalformedError("kem_malformed") from error


def native_network(network: Network) -> _native.Network:
    """A network as the extension knows it, with its key."""
    return _native.Network(bytes(network.id), network.key)


class NoiseFactory:
    """Begins handshakes with a node's static key."""

    def __init__(self, static_private: bytes, network: Network) -> None:
        self._key = _native.StaticKey(static_private)
        self._network = native_network(network)

    def initiate(self, index: int) -> Handshake:
        return NoiseHandshake(_native.Handshake.initiate(self._key, self._network, index))

    def respond(self, index: int, init: bytes) -> Handshake:
        try:
            return NoiseHandshake(_native.Handshake.respond(self._key, self._network, index, init))
        except _native.HandshakeError as error:
            raise MalformedError(str(error)) from error

    def key_pair(self) -> KeyPair:
        return MlKemKeyPair()

    def encapsulate(self, encapsulation_key: bytes) -> tuple[bytes, LinkSecret]:
        try:
            return _native.encapsulate(encapsulation_key)
        except ValueError as error:
            raise MalformedError("kem_malformed") from error


def preferred_aead() -> int:
    """1: this processor has AES instructions; 2: it has not."""
    return _native.preferred_aead()
