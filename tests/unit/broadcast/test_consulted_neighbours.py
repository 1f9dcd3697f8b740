"""Whether a node out of reach has a link, as the neighbours of this one advertise it, and what the answer costs."""

from __future__ import annotations

from functools import partial

from tests.unit.broadcast.test_broadcast import Node, advertisement, emit_links
from tests.unit.broadcast.test_broadcast import node_advertisement as short_advertisement
from tests.unit.broadcast.test_idle_turns import FIRST, KEYS, acknowledge_all, node_advertisement
from tests.unit.counting import steps_of, times_the_work
from treecast.base.ids import NodeIndex
from treecast.broadcast.consulted_neighbours import CONSULTED_NEIGHBOURS
from treecast.wire.advertised_links import MAX_LINKS_PER_CHUNK, LinksContent
from treecast.wire.advertisement import (
    SIGNING_CONTEXT,
    Body,
    Kind,
    Signed,
    emit,
)
from treecast.wire.control import Flood

UNREACHED = 50
"""The number of nodes that are judged each time."""


def links_advertisements(origin: int, listed: list[int]) -> list[bytes]:
    wires: list[bytes] = []
    for number in range(0, len(listed), MAX_LINKS_PER_CHUNK):
        chunk = LinksContent(tuple(listed[number : number + MAX_LINKS_PER_CHUNK]))
        key = bytes([number // MAX_LINKS_PER_CHUNK])
        body = emit(Body(origin, 1, 2 + key[0], Kind.LINKS, key, emit(chunk)))
        wires.append(emit(Signed(body, KEYS.signing.sign(SIGNING_CONTEXT, body))))
    return wires


def of_whom_two_are_reached(others: int) -> Node:
    """All others have links among themselves; this node has two."""
    node = Node(1)
    node.link(FIRST, FIRST + 1)
    every = range(FIRST, FIRST + others)
    for peer in every:
        listed = [other for other in every if other != peer]
        for wire in (node_advertisement(peer), *links_advertisements(peer, listed)):
            node.hear(FIRST, Flood((wire,)))
        acknowledge_all(node)
    return node


def judge(node: Node) -> None:
    last = FIRST + 2 + UNREACHED
    assert all(node.broadcast.is_listed(NodeIndex(peer)) for peer in range(FIRST + 2, last))


def test_to_judge_nodes_out_of_reach_takes_as_long_among_400_nodes_as_among_100() -> None:
    few, many = (of_whom_two_are_reached(others) for others in (100, 400))
    for node in (few, many):
        judge(node)  # their links are read
    assert steps_of(judge, many) <= 1.1 * steps_of(judge, few)
    assert times_the_work(partial(judge, many), of=partial(judge, few), samples=100) <= 1.5


def test_one_that_has_changed_is_read_again_and_the_others_are_not() -> None:
    node = of_whom_two_are_reached(100)
    first = steps_of(judge, node)
    again = steps_of(judge, node)
    body = emit(Body(FIRST + 9, 1, 50, Kind.LINKS, b"\x01", emit(LinksContent((FIRST + 300,)))))
    node.hear(FIRST, Flood((emit(Signed(body, KEYS.signing.sign(SIGNING_CONTEXT, body))),)))
    one = steps_of(judge, node) - again
    assert 0 < one <= 2 * (first - again) / UNREACHED


def with_neighbours(*neighbours: int, listed: tuple[int, ...] | None = None) -> Node:
    """Node 9 is out of reach; it and the neighbours list each other, where ``listed`` is no other choice of 9."""
    node = Node(1)
    node.link(*neighbours)
    node.hear(2, Flood((short_advertisement(9),)))
    say_links(node, 9, 2, *(neighbours if listed is None else listed))
    for peer in neighbours:
        node.hear(2, Flood((short_advertisement(peer),)))
        say_links(node, peer, 2, 1, 9)
    return node


def say_links(node: Node, origin: int, sequence: int, *listed: int) -> None:
    node.hear(2, Flood((advertisement(origin, sequence, Kind.LINKS, b"\x00", emit_links(*sorted(listed))),)))


def is_listed(node: Node) -> bool:
    return node.broadcast.is_listed(NodeIndex(9))


def test_a_node_that_all_consulted_neighbours_have_lost_has_no_link() -> None:
    node = with_neighbours(2, 3)
    assert is_listed(node)
    say_links(node, 2, 3, 1)
    assert is_listed(node), "3 has one with it"
    say_links(node, 3, 3, 1)
    assert not is_listed(node)
    say_links(node, 3, 4, 1, 9)
    assert is_listed(node)


def test_a_node_that_lists_others_only_may_have_a_link_and_one_that_lists_nobody_has_none() -> None:
    node = with_neighbours(2, listed=(7,))
    assert is_listed(node)
    say_links(node, 9, 3)
    assert not is_listed(node)
    say_links(node, 9, 4, 2)
    assert is_listed(node)


def test_of_a_node_that_is_not_known_nothing_is_listed() -> None:
    assert not Node(1).broadcast.is_listed(NodeIndex(9))


def test_a_new_neighbour_is_consulted_about_nodes_that_were_judged_before() -> None:
    node = with_neighbours(2, listed=(2, 3))
    say_links(node, 2, 3, 1)
    assert not is_listed(node)
    node.hear(2, Flood((short_advertisement(3),)))
    say_links(node, 3, 2, 1, 9)
    assert not is_listed(node), "3 is no neighbour yet"
    node.link(3)
    assert is_listed(node)


def test_a_neighbour_whose_link_ends_is_consulted_no_more() -> None:
    node = with_neighbours(2, 3)
    say_links(node, 2, 3, 1)
    assert is_listed(node)
    node.broadcast.link_down(node.now, NodeIndex(3))
    assert not is_listed(node)


def test_the_first_few_neighbours_are_consulted_about_a_node_that_lists_many() -> None:
    neighbours = range(2, 2 + CONSULTED_NEIGHBOURS)
    node = with_neighbours(*neighbours, listed=(*neighbours, 50))
    for peer in neighbours:
        say_links(node, peer, 3, 1)
    assert not is_listed(node)
    node.link(50)
    node.hear(2, Flood((short_advertisement(50),)))
    say_links(node, 50, 2, 1, 9)
    assert not is_listed(node)
    node.broadcast.link_down(node.now, NodeIndex(3))
    assert is_listed(node)


def test_nothing_is_kept_of_a_node_that_is_forgotten() -> None:
    node = with_neighbours(2)
    assert is_listed(node)
    node.hear(2, Flood((short_advertisement(9, epoch=2),)))
    assert not is_listed(node)
