"""A node of a later version among nodes of this one: more fields, kinds, tags, capabilities, wherever they may be.

The model has no bytes of session datagrams. Those that may grow are appended to in ``crates/core/tests/all``
(``later_version.rs``), and between real nodes in ``tests/lab/hostile/test_a_later_version.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import pytest

from treecast.base import protocol_version
from treecast.base.commands import SendControl
from treecast.broadcast.footprint import BroadcastFootprint
from treecast.engine.engine import Engine
from treecast.identity import certificate
from treecast.sim.world import SimNode, World
from treecast.wire import advertisement, control, handshake, key_context
from treecast.wire.advertised_groups import GroupsContent
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertisement import HostContent, NodeContent
from treecast.wire.handshake import HandshakePayload

LATER = protocol_version.HIGHEST + 1
LATER_KIND, LATER_TAG = 200, 99
MORE = ["later", {"than": [1]}, None]
"""Fields that no record of this version has."""
MORE_FLAGS = 0b1111_0000


class LaterContent(msgspec.Struct, frozen=True, array_like=True):
    """The content of a kind of advertisement that this version does not know."""

    text: str


class LaterEncoder:
    """Encodes as a later version does while its node has the turn, and as this one does while others have."""

    def __init__(self) -> None:
        self.lowest = protocol_version.LOWEST
        self._speaks = False
        self._encoder = msgspec.msgpack.Encoder()

    @contextmanager
    def later(self) -> Iterator[None]:
        self._speaks = True
        try:
            yield
        finally:
            self._speaks = False

    def encode(self, record: Any) -> bytes:
        if not self._speaks or isinstance(record, certificate.SignedBody):
            return self._encoder.encode(record)
        if isinstance(record, NodeContent | HandshakePayload):
            versions = {"lowest_protocol": self.lowest, "highest_protocol": LATER}
            record = msgspec.structs.replace(record, **versions, capabilities=2**62)
        if record is None:
            return self._encoder.encode(record)  # the context of a key of broadcast
        fields = msgspec.msgpack.decode(self._encoder.encode(record))
        if isinstance(record, tuple):
            fields.append(None)  # what the context of a key of one group leaves out
        if isinstance(record, certificate.CertificateBody):
            fields[-1] = [[7, False, b"an extension", *MORE]]
        if isinstance(record, GroupsContent):
            fields[0] = [[vlan, group, flags | MORE_FLAGS, *rest, *MORE] for vlan, group, flags, *rest in fields[0]]
        if isinstance(record, NodeContent):
            fields[1] = [[*endpoint, *MORE] for endpoint in fields[1]]
        if isinstance(record, HostContent):
            fields[2] |= MORE_FLAGS
        if isinstance(record, LinksContent):
            fields[3] = bytes(flags | MORE_FLAGS for flags in fields[3])
        return self._encoder.encode([*fields, *MORE])


class LaterEngine:
    """An engine whose every call is made by the later version."""

    def __init__(self, engine: object, encoder: LaterEncoder) -> None:
        self._engine = engine
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if not callable(found):
            return found

        def call(*arguments: object, **named: object) -> object:
            with self._encoder.later():
                return found(*arguments, **named)

        return call


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> LaterEncoder:
    made = LaterEncoder()
    for module in (control, advertisement, handshake, key_context):
        monkeypatch.setattr(module, "_encoder", made)
    monkeypatch.setattr(certificate, "_encode", made.encode)
    return made


def add_later(world: World, encoder: LaterEncoder, peer: SimNode) -> SimNode:
    with encoder.later():
        node = world.add(peer=peer)
    node.engine = cast(Engine, LaterEngine(node.engine, encoder))
    return node


def footprint(node: SimNode) -> BroadcastFootprint:
    return node.engine.rooms.broadcast.footprint()


def malformed(node: SimNode) -> list[str]:
    return [reason for reason in node.engine.view.drops() if "malformed" in reason]


def linked(*nodes: SimNode) -> bool:
    return all(node.is_linked(other) for node in nodes for other in nodes if other is not node)


def test_a_node_of_a_later_version_is_a_member_as_any_other(encoder: LaterEncoder) -> None:
    world = World(1)
    first = world.add()
    later = add_later(world, encoder, first)
    third = world.add(peer=first)
    world.run_until(lambda: linked(first, later, third), 5.0)
    later.report("239.1.1.1")
    third.report("239.1.1.2")
    others = (first, third)
    world.run_until(lambda: all(node.subscribes(later, "239.1.1.1") for node in others), 5.0)
    world.run_until(lambda: later.subscribes(third, "239.1.1.2"), 5.0)
    third.send("239.1.1.1", "to the later version")
    later.send("239.1.1.2", "from it")
    world.run_until(lambda: later.forwarder.delivered == ["to the later version"], 1.0)
    world.run_until(lambda: third.forwarder.delivered == ["from it"], 1.0)
    world.run(130.0)  # with new sessions
    assert linked(first, later, third)
    assert [malformed(node) for node in (first, later, third)] == [[], [], []]
    known = first.engine.view.certificate(later.index)
    assert known is not None and known.extensions[0].value == b"an extension"


def test_an_advertisement_of_an_unknown_kind_is_held_and_passed_on(encoder: LaterEncoder) -> None:
    world = World(2)
    first = world.add()
    later = add_later(world, encoder, first)
    world.run_until(lambda: linked(first, later), 5.0)
    with encoder.later():
        put: Any = later.engine.rooms.broadcast.put
        put(later.now, LATER_KIND, b"key", LaterContent("for whom it concerns"))
    world.run_until(lambda: footprint(first).unknown_kinds == 1, 5.0)
    later.stop()
    joiner = world.add(peer=first)  # it never meets the later node
    world.run_until(lambda: footprint(joiner).unknown_kinds == 1, 10.0)
    world.run_until(lambda: footprint(joiner).unknown_kinds == footprint(first).unknown_kinds == 0, 120.0, 1.0)
    assert [malformed(node) for node in (first, joiner)] == [[], []]


def test_a_control_message_of_an_unknown_tag_is_counted_and_nothing_else(encoder: LaterEncoder) -> None:
    world = World(3)
    first = world.add()
    later = add_later(world, encoder, first)
    world.run_until(lambda: linked(first, later), 5.0)
    for data in ([LATER_TAG, "what"], [LATER_TAG], [0]):
        later.carry_out([SendControl(first.index, msgspec.msgpack.encode(data))])
    world.run(1.0)
    assert first.engine.view.drops()["control_unknown"] == 3
    assert linked(first, later) and malformed(first) == []


def test_nodes_without_a_common_version_refuse_each_other_and_say_so(encoder: LaterEncoder) -> None:
    world = World(4)
    first = world.add()
    encoder.lowest = LATER
    later = add_later(world, encoder, first)
    world.run(10.0)
    assert not first.is_linked(later)
    assert first.engine.view.drops()["handshake_no_common_version"] > 0
    problems = {
        problem.kind: problem.text
        for node in (first, later)
        for problem in node.engine.problems(node.now)
        if problem.kind in ("peer_refused", "refused_by_peer")
    }
    assert set(problems) == {"peer_refused", "refused_by_peer"}
    assert all("install one release of Treecast on both" in text for text in problems.values())
