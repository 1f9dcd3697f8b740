"""ML-KEM-768 of the data plane (AWS-LC) and of OpenSSL: each takes the other's keys and ciphertexts.

The link secret is made here as ``docs/protocol.md`` section 3 says, from what OpenSSL gives.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.unit.links.shaking import NETWORK
from treecast.adapters.noise import MlKemKeyPair, NoiseFactory
from treecast.base.errors import MalformedError
from treecast.sim.handshake import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES


@pytest.fixture
def factory() -> NoiseFactory:
    return NoiseFactory(bytes([1] * 32), NETWORK)


def secret_id(shared: bytes, key: bytes, ciphertext: bytes) -> bytes:
    extract = HMAC(hashlib.sha256(key + ciphertext).digest(), SHA256())
    extract.update(shared)
    return HKDFExpand(SHA256(), 8, b"treecast link secret id 1").derive(extract.finalize())


def test_openssl_encapsulates_for_a_key_of_the_data_plane() -> None:
    for _ in range(20):
        pair = MlKemKeyPair()
        shared, ciphertext = MLKEM768PublicKey.from_public_bytes(pair.encapsulation_key).encapsulate()
        assert pair.decapsulate(ciphertext).id == secret_id(shared, pair.encapsulation_key, ciphertext)


def test_openssl_decapsulates_what_the_data_plane_made(factory: NoiseFactory) -> None:
    for number in range(20):
        private = MLKEM768PrivateKey.from_seed_bytes(bytes([number] * 64))
        key = private.public_key().public_bytes_raw()
        ciphertext, secret = factory.encapsulate(key)
        assert secret.id == secret_id(private.decapsulate(ciphertext), key, ciphertext)


def test_both_have_the_same_secret_of_a_ciphertext_that_was_altered(factory: NoiseFactory) -> None:
    private = MLKEM768PrivateKey.from_seed_bytes(bytes(64))
    key = private.public_key().public_bytes_raw()
    ciphertext, secret = factory.encapsulate(key)
    altered = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    assert secret_id(private.decapsulate(altered), key, altered) != secret.id  # implicit rejection


@pytest.mark.parametrize("change", ["short", "long", "coefficient"])
def test_both_refuse_the_same_keys(factory: NoiseFactory, change: str) -> None:
    key = MlKemKeyPair().encapsulation_key
    bad = {"short": key[:-1], "long": key + b"\0", "coefficient": b"\xff" * 3 + key[3:]}[change]
    with pytest.raises(MalformedError, match="kem_malformed"):
        factory.encapsulate(bad)
    with pytest.raises(ValueError):
        MLKEM768PublicKey.from_public_bytes(bad).encapsulate()


def test_what_is_no_ciphertext_is_refused_and_the_model_has_the_real_lengths(factory: NoiseFactory) -> None:
    pair = MlKemKeyPair()
    ciphertext, _ = factory.encapsulate(pair.encapsulation_key)
    assert (len(pair.encapsulation_key), len(ciphertext)) == (ENCAPSULATION_KEY_BYTES, CIPHERTEXT_BYTES)
    for bad in (b"", ciphertext[:-1], ciphertext + b"\0"):
        with pytest.raises(MalformedError, match="kem_malformed"):
            pair.decapsulate(bad)
