"""Other runs of a node, as its neighbours bring them, and what the node says of itself then."""

from __future__ import annotations

from msgspec.structs import replace

from tests.unit.broadcast.test_broadcast import Node, advertisement, certificate_of
from treecast.base.time import after
from treecast.wire.advertisement import Kind, NodeContent, emit, parse_node, parse_signed
from treecast.wire.control import Flood

OWN_EPOCH = 1_000


def of_run(epoch: int) -> bytes:
    """A NODE of an earlier run of node 1, which names one that is over, too."""
    node = NodeContent.of(certificate_of(1).encode(), ())
    content = replace(node, instance=epoch.to_bytes(8, "big"), rival=b"longgone")
    return advertisement(1, 1, Kind.NODE, b"", emit(content), epoch=epoch)


def rivals_named(node: Node) -> dict[int, int]:
    """The epochs of the runs that it names now, by the sequence of each NODE of its own."""
    bodies = [parse_signed(wire)[1] for _, wire in node.floods()]
    rivals = {body.sequence: parse_node(body.content).rival for body in bodies if body.kind == Kind.NODE}
    return {sequence: int.from_bytes(rival, "big") for sequence, rival in rivals.items() if rival}


def test_a_node_whose_former_runs_are_replayed_announces_itself_again_once_a_second() -> None:
    node = Node(1, epoch_ms=OWN_EPOCH)
    node.link_for_long(2)
    named: dict[int, int] = {}
    for epoch in range(1, 21):
        node.hear(2, Flood((of_run(epoch),)))
        named |= rivals_named(node)
        node.now = after(node.now, 0.125)
    assert [*named.values()] == [1, 9, 17]
