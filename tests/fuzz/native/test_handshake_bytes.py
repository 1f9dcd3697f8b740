"""Random and mutated bytes at the Handshake API: a HandshakeError with a known reason, never anything else."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.wire.mutations import SCALE
from treecast import _native

ROUNDS = 50_000
NETWORK = _native.Network(bytes(16), bytes(32))

COOKIE_MAC_LEN = 16
"""INIT ends with so many bytes, and is the same handshake with any of them."""


def mutated(rng: random.Random, datagram: bytes) -> bytes:
    """A datagram that differs from ``datagram``."""
    bad = bytearray(datagram)
    for _ in range(rng.randint(1, 4)):
        bad[rng.randrange(len(bad))] ^= rng.randint(1, 255)
    cut = bytes(bad[: rng.choice((len(bad), len(bad), rng.randrange(len(bad))))])
    return cut if cut != datagram else cut + b"\x00"


@pytest.mark.parametrize("seed", [1])
def test_mutated_datagrams_are_refused_and_the_handshake_still_ends_well(seed: int) -> None:
    rng = random.Random(seed)
    one, two = _native.StaticKey(rng.randbytes(32)), _native.StaticKey(rng.randbytes(32))
    first = _native.Handshake.initiate(one, NETWORK, 1)
    init = first.init_datagram()
    second = _native.Handshake.respond(two, NETWORK, 2, init)
    response = second.write_response(b"response")
    for _ in range(ROUNDS * SCALE):
        with pytest.raises(_native.HandshakeError):
            _native.Handshake.respond(two, NETWORK, 2, mutated(rng, init[:-COOKIE_MAC_LEN]) + init[-COOKIE_MAC_LEN:])
        with pytest.raises(_native.HandshakeError):
            first.read_response(mutated(rng, response))
        with pytest.raises(_native.HandshakeError):
            second.read_final(rng.randbytes(rng.randrange(600)))
    assert first.read_response(response) == b"response"
    assert second.read_final(first.write_final(b"final")) == b"final"
