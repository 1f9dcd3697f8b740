"""Recorded traffic and the network key: a session's keys are made of it, beside all that X25519 gives."""

from __future__ import annotations

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.noise import NoiseHandshake

NETWORK_KEY, ANOTHER = bytes(32), bytes(31) + b"\x01"


def side(psk: bytes, number: int) -> NoiseHandshake:
    """One of two nodes whose private keys are known: 1 begins."""
    private = [bytes([number + 2 * what] * 32) for what in (1, 2)]
    prologue = wire.prologue(bytes(16))
    return NoiseHandshake(initiator=number == 1, prologue=prologue, psk=psk, static=private[0], ephemeral=private[1])


def keys(psk: bytes) -> tuple[bytes, bytes]:
    """The session keys of the two, under a network key."""
    one, two = side(psk, 1), side(psk, 2)
    two.read_1(one.write_1(b""))
    one.read_2(two.write_2(b""))
    two.read_3(one.write_3(b""))
    assert one.split() == two.split()
    first, second = (wire.session_key(one.hash, one.split()[last], 1, 2, last) for last in (0, 1))
    return first, second


def test_who_knows_every_private_key_but_not_the_network_key_has_no_key_of_the_session() -> None:
    assert keys(NETWORK_KEY) == keys(NETWORK_KEY), "the private keys are all else that there is"
    assert not set(keys(NETWORK_KEY)) & set(keys(ANOTHER))
