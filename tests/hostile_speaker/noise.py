"""Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s (Noise revision 34), by the primitives of ``cryptography``.

By hand, as no library would do: noiseprotocol has had no release since 2020, dissononce none since 2019, and both
would only wrap the same primitives; docs/vectors.json holds these hundred lines to what the document says.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NAME = b"Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s"
DH_LEN = 32
TAG_LEN = 16


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _hkdf(chaining_key: bytes, material: bytes, outputs: int) -> list[bytes]:
    """Section 4.3."""
    temporary = hmac.digest(chaining_key, material, hashlib.blake2s)
    made, last = [], b""
    for number in range(1, outputs + 1):
        last = hmac.digest(temporary, last + bytes([number]), hashlib.blake2s)
        made.append(last)
    return made


class NoiseHandshake:
    """One side of a handshake: messages 1 and 3 are the initiator's, 2 is the responder's."""

    def __init__(self, *, initiator: bool, prologue: bytes, psk: bytes, static: bytes, ephemeral: bytes) -> None:
        """``static``, ``ephemeral``: private keys."""
        self._initiator = initiator
        self._static = X25519PrivateKey.from_private_bytes(static)
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._psk = psk
        self.hash = _hash(NAME)
        """Handshake hash, so far."""
        self._chaining_key = self.hash
        self._key = b""
        self._nonce = 0
        self._remote_ephemeral = b""
        self.remote_static = b""
        self._mix_hash(prologue)

    # messages

    def write_1(self, payload: bytes) -> bytes:
        """psk, e."""
        self._mix_key_and_hash(self._psk)
        return self._write_ephemeral() + self._seal(payload)

    def read_1(self, message: bytes) -> bytes:
        self._mix_key_and_hash(self._psk)
        return self._open(self._read_ephemeral(message))

    def write_2(self, payload: bytes) -> bytes:
        """e, ee, s, es."""
        ephemeral = self._write_ephemeral()
        self._mix_key(self._dh(self._ephemeral, self._remote_ephemeral))
        static = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._dh(self._static, self._remote_ephemeral))
        return ephemeral + static + self._seal(payload)

    def read_2(self, message: bytes) -> bytes:
        rest = self._read_ephemeral(message)
        self._mix_key(self._dh(self._ephemeral, self._remote_ephemeral))
        self.remote_static = self._open(rest[: DH_LEN + TAG_LEN])
        self._mix_key(self._dh(self._ephemeral, self.remote_static))
        return self._open(rest[DH_LEN + TAG_LEN :])

    def write_3(self, payload: bytes) -> bytes:
        """s, se."""
        static = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._dh(self._static, self._remote_ephemeral))
        return static + self._seal(payload)

    def read_3(self, message: bytes) -> bytes:
        self.remote_static = self._open(message[: DH_LEN + TAG_LEN])
        self._mix_key(self._dh(self._ephemeral, self.remote_static))
        return self._open(message[DH_LEN + TAG_LEN :])

    def split(self) -> tuple[bytes, bytes]:
        """Raw keys, of the initiator's direction and of the responder's."""
        one, two = _hkdf(self._chaining_key, b"", 2)
        return one, two

    # tokens

    def _write_ephemeral(self) -> bytes:
        public = self._ephemeral.public_key().public_bytes_raw()
        self._mix_hash(public)
        self._mix_key(public)  # section 9.2: with a psk
        return public

    def _read_ephemeral(self, message: bytes) -> bytes:
        self._remote_ephemeral = message[:DH_LEN]
        self._mix_hash(self._remote_ephemeral)
        self._mix_key(self._remote_ephemeral)
        return message[DH_LEN:]

    def _dh(self, private: X25519PrivateKey, public: bytes) -> bytes:
        return private.exchange(X25519PublicKey.from_public_bytes(public))

    # symmetric state

    def _mix_hash(self, data: bytes) -> None:
        self.hash = _hash(self.hash + data)

    def _mix_key(self, material: bytes) -> None:
        self._chaining_key, self._key = _hkdf(self._chaining_key, material, 2)
        self._nonce = 0

    def _mix_key_and_hash(self, material: bytes) -> None:
        self._chaining_key, to_hash, self._key = _hkdf(self._chaining_key, material, 3)
        self._mix_hash(to_hash)
        self._nonce = 0

    def _seal(self, plaintext: bytes) -> bytes:
        ciphertext = ChaCha20Poly1305(self._key).encrypt(self._next_nonce(), plaintext, self.hash)
        self._mix_hash(ciphertext)
        return ciphertext

    def _open(self, ciphertext: bytes) -> bytes:
        plaintext = ChaCha20Poly1305(self._key).decrypt(self._next_nonce(), ciphertext, self.hash)
        self._mix_hash(ciphertext)
        return plaintext

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce
