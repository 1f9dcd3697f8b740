"""Private keys, signatures, and the PEM files that hold keys.

A CA key file is one PKCS8 block (Ed25519); a node key file is two: static key (X25519) and signing key (Ed25519).
No key shows itself in a ``repr``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from treecast.base.errors import MalformedError

KEY_MALFORMED = "key_malformed"

MAX_KEY_FILE_BYTES = 4096

VerifySignature = Callable[[bytes, bytes, bytes, bytes], bool]
"""Public key, context, body and signature: whether they belong together. ``verify`` is the real one."""

_PEM_BLOCK = re.compile(rb"-----BEGIN PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]+?-----END PRIVATE KEY-----\r?\n?")


class SigningKey:
    """An Ed25519 private key (RFC 8032): of a CA or of a node."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        """``seed``: 32 secret random bytes; ValueError otherwise."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def seed(self) -> bytes:
        """The 32 secret bytes, for the data plane, which signs broadcast."""
        return self._key.private_bytes_raw()

    def sign(self, context: bytes, body: bytes) -> bytes:
        """64 bytes over ``context || 0x00 || body``: a signature made for one purpose is worth nothing in another."""
        return self._key.sign(context + b"\x00" + body)

    def pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


@dataclass(frozen=True, slots=True)
class StaticKey:
    """A node's X25519 key pair (RFC 7748): proved in the handshake."""

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def from_private(cls, private: bytes) -> StaticKey:
        """``private``: 32 secret random bytes; ValueError otherwise."""
        return cls(private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())

    def pem(self) -> bytes:
        key = X25519PrivateKey.from_private_bytes(self.private)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The two private keys of a node."""

    static: StaticKey
    signing: SigningKey

    @classmethod
    def from_seeds(cls, static_seed: bytes, signing_seed: bytes) -> NodeKeys:
        """Two times 32 secret random bytes."""
        return cls(StaticKey.from_private(static_seed), SigningKey(signing_seed))

    def pem(self) -> bytes:
        return self.static.pem() + self.signing.pem()


def sign(key: SigningKey, context: bytes, body: bytes) -> bytes:
    """The signature of ``body`` for the purpose ``context``: 64 bytes."""
    return key.sign(context, body)


def verify(public_key: bytes, context: bytes, body: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``sign`` with the private half of ``public_key``. Any bytes may be given."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, context + b"\x00" + body)
    except (InvalidSignature, ValueError):
        return False
    return True


def parse_ca_key(data: bytes) -> SigningKey:
    """A CA key file; MalformedError ``key_malformed`` when it is not one."""
    match _private_keys(data):
        case [Ed25519PrivateKey() as signing]:
            return SigningKey(signing.private_bytes_raw())
    raise MalformedError(KEY_MALFORMED)


def parse_node_keys(data: bytes) -> NodeKeys:
    """A node key file; MalformedError ``key_malformed`` when it is not one."""
    match _private_keys(data):
        case [X25519PrivateKey() as static, Ed25519PrivateKey() as signing]:
            return NodeKeys.from_seeds(static.private_bytes_raw(), signing.private_bytes_raw())
    raise MalformedError(KEY_MALFORMED)


def _private_keys(data: bytes) -> list[object]:
    """The unencrypted PKCS8 keys of a PEM file, in its order; nothing but keys may be in it."""
    if len(data) > MAX_KEY_FILE_BYTES or _PEM_BLOCK.sub(b"", data).strip():
        raise MalformedError(KEY_MALFORMED)
    try:
        return [load_pem_private_key(block, password=None) for block in _PEM_BLOCK.findall(data)]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError(KEY_MALFORMED) from error
