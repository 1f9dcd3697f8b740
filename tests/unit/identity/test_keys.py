"""Keys, their files, and signatures."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.unit.identity.samples import CA_KEY, KEYS, OTHER_KEYS
from treecast.base.errors import MalformedError
from treecast.identity.keys import StaticKey, parse_ca_key, parse_node_keys, sign, verify


def test_the_static_key_is_that_of_rfc_7748_section_6_1() -> None:
    bob = StaticKey.from_private(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"


def test_a_signature_is_over_context_zero_byte_and_body() -> None:
    signature = sign(KEYS.signing, b"treecast purpose", b"body")
    assert verify(KEYS.signing.public, b"treecast purpose", b"body", signature)
    assert verify(KEYS.signing.public, b"", b"body", KEYS.signing.sign(b"", b"body"))
    assert signature == KEYS.signing.sign(b"treecast purpose", b"body")


@pytest.mark.parametrize(
    ("key", "context", "body", "change"),
    [
        (KEYS.signing.public, b"other purpose", b"body", 0),
        (KEYS.signing.public, b"purpose", b"bodY", 0),
        (OTHER_KEYS.signing.public, b"purpose", b"body", 0),
        (KEYS.signing.public, b"purpose", b"body", 1),
        (b"", b"purpose", b"body", 0),
        (b"\x00" * 31, b"purpose", b"body", 0),
        (b"\xff" * 32, b"purpose", b"body", 0),
    ],
)
def test_a_signature_says_nothing_about_another_key_purpose_or_body(
    key: bytes, context: bytes, body: bytes, change: int
) -> None:
    signature = sign(KEYS.signing, b"purpose", b"body")
    assert not verify(key, context, body, bytes([signature[0] ^ change]) + signature[1:])


@pytest.mark.parametrize("signature", [b"", b"\x00" * 63, b"\x00" * 64, b"\x00" * 65, b"\xff" * 64])
def test_what_is_no_signature_does_not_verify(signature: bytes) -> None:
    assert not verify(KEYS.signing.public, b"purpose", b"body", signature)


def test_a_context_cannot_be_moved_into_the_body() -> None:
    signature = sign(KEYS.signing, b"a", b"b\x00c")
    assert not verify(KEYS.signing.public, b"a\x00b", b"c", sign(KEYS.signing, b"a\x00", b"b\x00c"))
    assert not verify(KEYS.signing.public, b"ab", b"c", signature)


def test_a_ca_key_file_gives_the_key_back() -> None:
    assert parse_ca_key(CA_KEY.pem()).public == CA_KEY.public


def test_a_node_key_file_is_two_pkcs8_blocks_and_gives_both_keys_back() -> None:
    file = KEYS.pem()
    assert file.count(b"-----BEGIN PRIVATE KEY-----\n") == 2
    keys = parse_node_keys(file)
    assert (keys.static, keys.signing.public) == (KEYS.static, KEYS.signing.public)


def test_a_key_file_with_other_line_ends_and_blank_lines_is_read() -> None:
    assert parse_node_keys(b"\r\n" + KEYS.pem().replace(b"\n", b"\r\n") + b"\n\n").static == KEYS.static


def _encrypted() -> bytes:
    key = load_pem_private_key(CA_KEY.pem(), password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


_ED448 = Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"not a key",
        CA_KEY.pem()[:-30],
        CA_KEY.pem() + b"and more",
        CA_KEY.pem() * 2,
        KEYS.static.pem(),
        KEYS.pem(),
        CA_KEY.pem() + b"\n" * 5000,
        CA_KEY.pem().replace(b"M", b"N", 1),
        _encrypted(),
        _ED448,
    ],
)
def test_what_is_no_ca_key_file_is_malformed(file: bytes) -> None:
    with pytest.raises(MalformedError, match="key_malformed"):
        parse_ca_key(file)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        KEYS.static.pem(),
        KEYS.signing.pem(),
        KEYS.signing.pem() + KEYS.static.pem(),
        KEYS.static.pem() * 2,
        KEYS.pem() + KEYS.signing.pem(),
        KEYS.pem().replace(b"PRIVATE", b"PUBLIC"),
    ],
)
def test_what_is_no_node_key_file_is_malformed(file: bytes) -> None:
    with pytest.raises(MalformedError, match="key_malformed"):
        parse_node_keys(file)


def test_keys_do_not_show_themselves() -> None:
    shown = repr(KEYS) + repr(CA_KEY)
    assert KEYS.static.private.hex() not in shown
    assert repr(KEYS.static.private) not in shown
    assert (b"\x04" * 32).hex() not in shown
    assert (b"\x01" * 32).hex() not in shown
