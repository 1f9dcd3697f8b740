"""Which neighbours get what another has sent, and when."""

from __future__ import annotations

from tests.unit.broadcast.test_broadcast import GROUPS, WANTED, Node, advertisement, emit_links, node_advertisement
from tests.unit.broadcast.test_digests import acknowledge_all
from treecast.base.ids import NodeIndex
from treecast.base.time import after
from treecast.broadcast.news import YOUNG_FOR
from treecast.wire.advertisement import Kind, emit, parse_signed
from treecast.wire.control import Acknowledge, Flood


def test_news_for_a_young_link_waits_for_what_its_ends_list_but_not_what_introduces_a_node() -> None:
    node = Node(1)
    node.link(2, 3, 4, 5, 9)
    node.said()
    node.hear(9, Flood((node_advertisement(9), advertisement(9, 2, Kind.GROUPS, GROUPS, emit(WANTED)))))
    node.hear(9, Flood((node_advertisement(8),)))
    introduced = [(peer, parse_signed(wire)[1]) for peer, wire in node.floods()]
    for peer, body in introduced:
        node.hear(peer, Acknowledge(((body.origin, body.epoch, body.sequence),)))
    assert [(peer, body.origin) for peer, body in introduced] == [(2, 9), (3, 9), (4, 9), (5, 9)], "8 by 9 alone"
    node.hear(9, Flood((advertisement(9, 3, Kind.LINKS, b"\0", emit_links(1, 2, 3)),)))
    node.hear(2, Flood((node_advertisement(2), advertisement(2, 2, Kind.LINKS, b"\0", emit_links(1, 9)))))
    node.broadcast.link_down(node.now, NodeIndex(5))
    acknowledge_all(node)
    deadline = node.broadcast.next_deadline()
    assert deadline is not None
    node.now = after(node.now, YOUNG_FOR)
    assert deadline <= node.now
    bodies = [(peer, parse_signed(wire)[1]) for peer, wire in node.floods()]
    assert [(peer, body.kind) for peer, body in bodies if body.origin == 9] == [(4, Kind.GROUPS), (4, Kind.LINKS)]
    assert [peer for peer, body in bodies if body.origin == 8] == [3, 4]
