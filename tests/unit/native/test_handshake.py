"""The Handshake API of treecast._native: order of calls, errors, sizes. Its bytes are checked by crates/core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from treecast import _native

NETWORK = _native.Network(bytes(16), bytes(32))
VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "vectors.json").read_text(encoding="utf-8"))


def keys() -> tuple[_native.StaticKey, _native.StaticKey]:
    return _native.StaticKey(bytes([1]) * 32), _native.StaticKey(bytes([2]) * 32)


def pair() -> tuple[_native.Handshake, _native.Handshake]:
    one, two = keys()
    first = _native.Handshake.initiate(one, NETWORK, 11)
    return first, _native.Handshake.respond(two, NETWORK, 22, first.init_datagram())


def test_both_sides_learn_the_others_key_payload_and_index() -> None:
    first, second = pair()
    assert first.read_response(second.write_response(b"two")) == b"two"
    assert second.read_final(first.write_final(b"one")) == b"one"
    one, two = keys()
    assert (first.remote_static, second.remote_static) == (two.public, one.public)
    assert (first.index, first.remote_index, second.index, second.remote_index) == (11, 22, 22, 11)


def test_a_refusal_is_read_after_the_keys_were_taken_and_is_shorter_than_any_final() -> None:
    first, second = pair()
    first.read_response(second.write_response(b"two"))
    final = first.write_final(b"")
    second.read_final(final)
    refusal = second.write_refusal(bytes(48))
    assert len(refusal) <= len(final)
    assert first.read_refusal(refusal) == first.read_refusal(refusal) == bytes(48)
    for position in (0, 4, 8, len(refusal) - 1):
        with pytest.raises(_native.HandshakeError):
            first.read_refusal(refusal[:position] + bytes([refusal[position] ^ 1]) + refusal[position + 1 :])
    with pytest.raises(RuntimeError):
        second.write_refusal(b"again")


def test_a_static_key_has_the_public_key_of_the_vectors() -> None:
    for side in ("initiator", "responder"):
        vector = VECTORS["handshake"][side]
        key = _native.StaticKey(bytes.fromhex(vector["static_private"]))
        assert key.public.hex() == vector["static_public"]


def test_the_responder_reads_the_init_of_the_vectors() -> None:
    vector = VECTORS["handshake"]
    network = _native.Network(bytes.fromhex(vector["network_id"]), bytes.fromhex(vector["network_key"]))
    init = bytes.fromhex(vector["init"])
    second = _native.Handshake.respond(keys()[1], network, 5, init)
    assert second.remote_index == vector["initiator"]["index"]


def test_an_init_is_1136_bytes_and_the_same_each_time() -> None:
    first, _ = pair()
    assert len(first.init_datagram()) == 1136
    assert first.init_datagram() == first.init_datagram()
    again, _ = pair()
    assert first.init_datagram() != again.init_datagram()


def test_a_bad_response_leaves_the_handshake_able_to_go_on() -> None:
    first, second = pair()
    response = second.write_response(b"two")
    for position in (0, 1, 8, 12, 60, len(response) - 1):
        bad = bytearray(response)
        bad[position] ^= 1
        with pytest.raises(_native.HandshakeError) as error:
            first.read_response(bytes(bad))
        assert error.value.args[0] in ("handshake_malformed", "handshake_version", "handshake_mac")
    assert first.read_response(response) == b"two"


def test_an_init_with_another_network_key_is_named_by_its_mac() -> None:
    one, two = keys()
    init = _native.Handshake.initiate(one, _native.Network(bytes(16), bytes(31) + b"x"), 1).init_datagram()
    with pytest.raises(_native.HandshakeError, match="handshake_mac"):
        _native.Handshake.respond(two, NETWORK, 2, init)


def test_a_response_to_another_handshake_is_named_by_its_index() -> None:
    one, two = keys()
    first = _native.Handshake.initiate(one, NETWORK, 1)
    other = _native.Handshake.initiate(one, NETWORK, 2)
    second = _native.Handshake.respond(two, NETWORK, 3, other.init_datagram())
    with pytest.raises(_native.HandshakeError, match="handshake_index"):
        first.read_response(second.write_response(b""))


def test_a_payload_that_does_not_fit_is_refused_and_a_shorter_one_goes() -> None:
    first, second = pair()
    with pytest.raises(ValueError, match="does not fit"):
        second.write_response(bytes(1011))
    assert len(second.write_response(bytes(1010))) == 1136
    assert isinstance(first.init_datagram(), bytes)


def test_steps_out_of_order_are_the_callers_mistake() -> None:
    first, second = pair()
    with pytest.raises(RuntimeError):
        first.write_final(b"")
    with pytest.raises(RuntimeError):
        second.read_final(b"")
    with pytest.raises(RuntimeError):
        _ = first.remote_static


def test_keys_and_ids_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        _native.StaticKey(bytes(31))
    with pytest.raises(ValueError, match="16 bytes"):
        _native.Network(bytes(15), bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        _native.Network(bytes(16), bytes(31))


def test_the_preferred_aead_is_one_of_the_two() -> None:
    assert _native.preferred_aead() in (_native.AEAD_AES_256_GCM, _native.AEAD_CHACHA20_POLY1305)
