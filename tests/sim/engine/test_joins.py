"""A node that joins takes what all know from one neighbour, and costs the others next to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from treecast.base.commands import Command
from treecast.base.events import ControlDatagram, Event
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.identity.keys import NodeKeys
from treecast.sim.world import SimNode, World
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, NodeContent, Signed, emit
from treecast.wire.control import Flood, emit_control

NODES = 24
KNOWN = 500
FIRST = 1_000
CHUNKS = 4
OF_EACH = 1 + CHUNKS
"""A known node's advertisements: NODE and LINKS in chunks."""
AT_ONCE = 128
"""Control datagrams that a node may have to take at a time while it joins: a socket's buffer has room for so many."""


def test_a_join_costs_a_few_messages_for_each_node() -> None:
    world = World(3, turn_interval=0.02)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(NODES - 1))]
    world.run(41.0)  # between two rounds of NODE advertisements
    world.underlay.reset_counts()
    joined = world.add(peer=first)
    world.run_until(lambda: len(joined.peers()) == NODES and all(node.knows(joined) for node in nodes), 1.0, 0.05)
    assert all(joined.knows(node) for node in nodes)
    assert (
        world.underlay.datagrams_of["control"] < 8 * NODES
    )  # for each: its own, ours, an acknowledgement, three asked
    assert world.underlay.bytes_of["control"] < 2_500 * NODES


def records_of_many(world: World) -> list[bytes]:
    """NODE and LINKS of nodes that are in a full mesh; all have the same keys here."""
    keys = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))
    signing_key = keys.signing
    wires: list[bytes] = []

    def advertise(origin: int, sequence: int, kind: Kind, key: bytes, content: bytes) -> None:
        body = emit(Body(origin, 1, sequence, kind, key, content))
        wires.append(emit(Signed(body, signing_key.sign(SIGNING_CONTEXT, body))))

    for index in range(FIRST, FIRST + KNOWN):
        node = NodeContent.of(world.certify(NodeIndex(index), keys).encode(), ())
        advertise(index, 1, Kind.NODE, b"", emit(node))
        for chunk in range(CHUNKS):
            size = KNOWN // CHUNKS
            first = FIRST + size * chunk
            advertise(
                index, 2 + chunk, Kind.LINKS, bytes((chunk,)), emit(LinksContent(tuple(range(first, first + size))))
            )
    return wires


def count_control(node: SimNode) -> list[int]:
    """How many control datagrams each turn of the node takes from now on."""
    turn, counts = node.engine.turn, list[int]()

    def counted(now: Instant, events: Sequence[Event]) -> list[Command]:
        counts.append(sum(isinstance(event, ControlDatagram) for event in events))
        return turn(now, events)

    node.engine.turn = counted  # type: ignore[method-assign, assignment]
    return counts


def test_a_join_into_the_records_of_500_nodes_comes_in_portions_and_takes_seconds() -> None:
    world = World(5, delay=0.025, turn_interval=0.02)
    first = world.add()
    other = world.add(peer=first)
    world.run_until(lambda: bool(first.peers() and other.peers()), 20.0)
    for wire in records_of_many(world):
        first.raise_event(ControlDatagram(other.index, 1, emit_control(Flood((wire,)))))
    world.run(5.0)
    assert all(other.engine.view.certificate(NodeIndex(index)) for index in range(FIRST, FIRST + KNOWN))
    joined = world.add(peer=first)
    counts = count_control(joined)

    def has_all() -> bool:
        kept = joined.engine.view.footprint().broadcast
        held = dict(zip(kept.origins, kept.advertisements, strict=True))
        return all(held.get(NodeIndex(index)) == OF_EACH for index in range(FIRST, FIRST + KNOWN))

    took = world.run_until(has_all, 10.0, 0.05)
    assert took <= 1.2
    assert max(counts) <= AT_ONCE
