"""Handshakes as links need them from the holder of the keys. Implemented by ``adapters.native``."""

from __future__ import annotations

from typing import Protocol


class LinkSecret(Protocol):
    """Secret that an ML-KEM-768 exchange has made: its bytes stay with the holder of the keys, its id names it."""

    @property
    def id(self) -> bytes: ...


class KeyPair(Protocol):
    """Keys of the side that begins an exchange."""

    @property
    def encapsulation_key(self) -> bytes: ...
    def decapsulate(self, ciphertext: bytes) -> LinkSecret:
        """MalformedError("kem_malformed") for what is no ciphertext."""


class Handshake(Protocol):
    """One Noise handshake; the methods are those of ``treecast._native.Handshake``.

    A datagram that does not continue it raises MalformedError and leaves it as it was.
    """

    @property
    def index(self) -> int: ...
    @property
    def remote_static(self) -> bytes: ...
    def init_datagram(self) -> bytes: ...
    def with_cookie(self, datagram: bytes) -> bytes: ...
    def write_response(self, payload: bytes) -> bytes: ...
    def read_response(self, datagram: bytes) -> bytes: ...
    def write_final(self, payload: bytes) -> bytes: ...
    def read_final(self, datagram: bytes) -> bytes: ...
    def mix(self, secret: LinkSecret) -> None:
        """Make the session's keys of this secret, too."""

    def write_refusal(self, payload: bytes) -> bytes: ...
    def read_refusal(self, datagram: bytes) -> bytes: ...


class HandshakeFactory(Protocol):
    """Begins handshakes with this node's static key, in its network, and exchanges."""

    def initiate(self, index: int) -> Handshake: ...
    def respond(self, index: int, init: bytes) -> Handshake: ...
    def key_pair(self) -> KeyPair: ...
    def encapsulate(self, encapsulation_key: bytes) -> tuple[bytes, LinkSecret]:
        """A ciphertext for this key, and the secret. MalformedError("kem_malformed") for what is no key."""
