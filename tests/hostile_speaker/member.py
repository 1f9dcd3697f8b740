"""A node's directory in the speaker's hands: certificate, keys, network key. docs/operations.md has its files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.hostile_speaker.layouts import decode

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    """Identity of a node: whoever has read its directory. ``static``: its private key."""

    network_id: bytes
    network_key: bytes = field(repr=False)
    certificate: bytes
    static: bytes = field(repr=False)
    signing: Ed25519PrivateKey = field(repr=False)
    index: int

    @classmethod
    def load(cls, directory: Path) -> Member:
        network = json.loads((directory / "network.json").read_text())
        ca = bytes.fromhex(network["ca_public_key"])
        network_id = hashlib.sha256(b"treecast network id 1" + ca).digest()[:16]
        keys = [load_pem_private_key(block, None) for block in _PEM.findall((directory / "node.key").read_bytes())]
        static, signing = keys
        if not (isinstance(static, X25519PrivateKey) and isinstance(signing, Ed25519PrivateKey)):
            raise TypeError("the static key comes first")
        certificate = (directory / "node.cert").read_bytes()
        key = bytes.fromhex(network["key"])
        return cls(network_id, key, certificate, static.private_bytes_raw(), signing, cls.index_of(certificate))

    @staticmethod
    def signing_key_of(certificate: bytes) -> bytes:
        """The public signing key in a certificate, the eighth field of section 2."""
        body = decode(certificate)[0]
        key = decode(body)[7] if isinstance(body, bytes) else None
        if not isinstance(key, bytes):
            raise TypeError("no certificate")
        return key

    @staticmethod
    def index_of(certificate: bytes) -> int:
        """The node index in a certificate, the fifth field of section 2."""
        body = decode(certificate)[0]
        index = decode(body)[4] if isinstance(body, bytes) else None
        if not isinstance(index, int):
            raise TypeError("no certificate")
        return index

    @property
    def mac(self) -> bytes:
        return b"\x02\x54" + self.index.to_bytes(4, "big")

    def sign(self, context: bytes, body: bytes) -> bytes:
        return self.signing.sign(context + b"\0" + body)
