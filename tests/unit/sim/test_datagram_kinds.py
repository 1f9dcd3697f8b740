"""The kind and the length of each of the model's datagrams, as the real ones are long (docs/protocol.md section 4)."""

from __future__ import annotations

import pytest

from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.sim.datagrams import (
    Forward,
    Graft,
    Key,
    Mark,
    PathChallenge,
    Probe,
    Rekey,
    ServedFrom,
    ServiceRequest,
    SessionDatagram,
    Tick,
    TreeDatagram,
    TreeState,
    kind_and_bytes,
)

ONE, TWO, STREAM, EPOCH, KEY = NodeIndex(1), NodeIndex(2), StreamId(3), TreeEpoch(4), KeyId(5)
SEALED = 28 + 16 + 4 + 16


def sealed(body: object) -> SessionDatagram:
    return SessionDatagram(7, 1, body)


def of_tree(frame: object, signed_by: bytes | None = None) -> TreeDatagram:
    return TreeDatagram(ONE, STREAM, EPOCH, KEY, 1, frame, signed_by)


@pytest.mark.parametrize(
    ("datagram", "kind", "size_bytes"),
    [
        (b"x" * 100, "handshake", 128),
        (sealed(b"x" * 10), "control", SEALED + 10),
        (sealed(Probe(False, 1)), "probe", SEALED + 24),
        (sealed(Probe(True, 1)), "probe", SEALED + 32),
        (sealed(PathChallenge(1, response=True)), "probe", SEALED + 24),
        (sealed(Rekey(b"x" * 10)), "handshake", SEALED + 10),
        (sealed(Key(STREAM, KEY, b"xx")), "key", SEALED + 54),
        (sealed(TreeState(STREAM, EPOCH, KEY, ONE, TWO, (ONE,), (TWO, ONE))), "tree", SEALED + 50 + 12),
        (sealed(ServedFrom(STREAM, KEY, 1)), "tree", SEALED + 50),
        (sealed(ServiceRequest(STREAM)), "tree", SEALED + 20),
        (sealed(Graft(ONE, STREAM, EPOCH, 1)), "graft", SEALED + 20),
        (sealed(Tick()), "tick", SEALED),
        (sealed(Mark(ONE, STREAM, EPOCH, 1)), "tick", SEALED + 20),
        (sealed(("frame", b"x" * 60)), "frame", SEALED + 60),
        (sealed(("frame", "no bytes")), "frame", 0),
        (sealed("no bytes"), "frame", 0),
        (of_tree(b"x" * 60), "frame", 28 + 28 + 4 + 16 + 8 + 60),
        (of_tree(b"x" * 60, b"key"), "frame", 28 + 28 + 4 + 16 + 8 + 60 + 64),
        (of_tree("no bytes"), "frame", 0),
        (sealed(of_tree(b"x" * 60, b"key")), "frame", SEALED + 28 + 4 + 16 + 8 + 60 + 64),
        (sealed(of_tree("no bytes")), "frame", 0),
        (sealed(Forward(ONE, TWO, 8, sealed(Tick()))), "tick", SEALED + 12 + SEALED - 28),
        (sealed(Forward(ONE, TWO, 8, b"x" * 100)), "handshake", SEALED + 12 + 100),
    ],
)
def test_a_datagram_is_of_its_kind_and_as_long_as_the_real_one(datagram: object, kind: str, size_bytes: int) -> None:
    assert kind_and_bytes(datagram) == (kind, size_bytes)
