"""Objects that the engines of one process share."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.broadcast.store import Record
from treecast.identity.keys import SigningKey
from treecast.sim.sharing import Shared, VerifiedOnce
from treecast.sim.world import World
from treecast.wire.advertisement import Kind

KEY = SigningKey(bytes(32))


def test_a_signature_is_verified_once_however_many_engines_ask() -> None:
    verify = VerifiedOnce()
    signature = KEY.sign(b"context", b"body")
    assert [verify(KEY.public, b"context", b"body", signature) for _ in range(3)] == [True] * 3
    assert verify.verified == 1


def test_another_body_context_or_key_with_a_known_signature_is_refused() -> None:
    verify = VerifiedOnce()
    signature = KEY.sign(b"context", b"body")
    assert verify(KEY.public, b"context", b"body", signature)
    assert not verify(KEY.public, b"context", b"other", signature)
    assert not verify(KEY.public, b"other", b"body", signature)
    assert not verify(SigningKey(bytes(31) + b"1").public, b"context", b"body", signature)


def test_answers_are_bounded() -> None:
    verify = VerifiedOnce(lambda *_: True, limit=2)
    for body in (b"1", b"2", b"3", b"1"):
        verify(b"", b"", body, b"")
    assert verify.verified == 4


def test_engines_that_hold_one_advertisement_hold_one_record() -> None:
    shared = Shared(KEY.public)
    first, second = (Record(NodeIndex(1), 1, 1, Kind.NODE, b"", b"content", bytes([1, 2]), 7) for _ in range(2))
    assert shared.intern(first) is first
    assert shared.intern(second) is first


def test_a_network_verifies_each_advertisement_once() -> None:
    world = World(1)
    first = world.add()
    for _ in range(9):
        world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 9 for node in world.nodes.values()), 30)
    in_mesh = world.shared.signatures.verified
    world.run(60)
    made = 10 * 60 / 22.4  # NODE of each node, repeated after 22.4 s at the earliest
    assert 10 < world.shared.signatures.verified - in_mesh <= made + 20
