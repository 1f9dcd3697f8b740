"""Nodes remembered for the next start: tried where they were, and forgotten when that is long ago."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.unit.links.shaking import UNIX_NOW, Node, begin, endpoint_of, shake
from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMEMBERED_ENDPOINTS, MAX_REMEMBERED_NODES
from treecast.base.time import Instant
from treecast.links.link_events import LinkUp
from treecast.links.memory import (
    FORGOTTEN_AFTER_HOURS,
    HOUR_S,
    Remembered,
    RememberedNodes,
)
from treecast.links.reachability import KNOWN_UNREACHED_AFTER
from treecast.links.standing import Standing
from treecast.links.target import LAST_RECALL_PAUSE
from treecast.links.targets import FIRST_RECALL_PAUSE, HIGHER_INDEX_DELAY, RECALL_DELAY

HOUR = int(UNIX_NOW) - int(UNIX_NOW) % HOUR_S


def remembered(index: int, *places: int) -> Remembered:
    overlay = (IPv4Address(f"10.77.0.{index}"),)
    endpoints = tuple(endpoint_of(place) for place in places or (index,))
    return Remembered(NodeIndex(index), f"n{index}", endpoints, HOUR, overlay=overlay)


def recalling(*nodes: Remembered, index: int = 1) -> Node:
    node = Node(index, epoch=2)
    node.links.recall(Instant(0.0), nodes)
    return node


def advance(node: Node, now: float) -> list[bytes]:
    node.links.advance(Instant(now))
    return node.sent()


def inits_in(node: Node, seconds: int) -> set[bytes]:
    """Different handshakes that the node begins, looked at four times a second."""
    return {init for quarter in range(4 * seconds) for init in advance(node, quarter / 4)}


def test_a_link_that_is_up_is_remembered_with_the_address_in_use_before_those_that_are_advertised() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    advertised = tuple(endpoint_of(place) for place in (20, 2, 21, 22, 23))
    one.links.learn(Instant(1.0), NodeIndex(2), advertised, "n2")
    (known,) = one.links.remembered(Instant(2.0))
    assert known.to_the_hour() == remembered(2, 2, 20, 21, 22)
    assert MAX_REMEMBERED_ENDPOINTS == 4


def test_a_link_that_came_and_ended_between_two_looks_is_remembered_once() -> None:
    one, two = Node(1), Node(2)
    one.links.remembered(Instant(0.0))
    shake(one, two)
    (peer,) = one.links.peers()
    one.links.goodbye(Instant(2.0), NodeIndex(2), peer.current.index)
    assert one.links.remembered(Instant(5.0)) == (replace(remembered(2), linked_unix_s=int(UNIX_NOW) + 2),)
    shake(Node(3), one, 6.0)
    after_an_hour = one.links.remembered(Instant(5.0 + HOUR_S))
    assert [(known.node, known.missed_hours) for known in after_an_hour] == [(2, 1), (3, 0)]


def test_what_is_remembered_to_the_hour_does_not_change_from_minute_to_minute() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    (first,), (later,) = (one.links.remembered(Instant(now)) for now in (1.0, 600.0))
    assert first != later
    assert first.to_the_hour() == later.to_the_hour()


def test_a_remembered_node_is_tried_after_the_configured_peers_and_linked() -> None:
    one, two = recalling(remembered(2)), Node(2)
    assert advance(one, RECALL_DELAY - 0.1) == []
    (init,) = advance(one, RECALL_DELAY)
    two.hear(1.0, init, 1)
    one.hear(1.0, two.sent()[0], 2)
    two.hear(1.0, one.sent()[0], 1)
    assert [event.peer for event in two.events() if isinstance(event, LinkUp)] == [1]


def test_of_two_nodes_that_remember_each_other_the_lower_index_begins() -> None:
    two = recalling(remembered(1), index=2)
    assert advance(two, RECALL_DELAY) == []
    assert len(advance(two, RECALL_DELAY + HIGHER_INDEX_DELAY)) == 1


def test_a_remembered_node_that_is_gone_for_good_is_tried_less_and_less_and_is_no_problem() -> None:
    one = recalling(remembered(2))
    assert len(inits_in(one, 50)) == 3  # after 1, 16 and 46 s
    shake(Node(3), one, 50.0)
    assert list(one.links.problems(Instant(50.0))) == []
    hour = {init for second in range(50, 3650) for init in advance(one, float(second))}
    assert len(hour) <= 3600 / LAST_RECALL_PAUSE + 6
    assert FIRST_RECALL_PAUSE < LAST_RECALL_PAUSE


def said(node: Node, now: float) -> list[tuple[str, str]]:
    return [(problem.kind, problem.text) for problem in node.links.problems(Instant(now))]


def test_remembered_nodes_none_of_which_answers_are_one_problem_until_a_link_is_up() -> None:
    one = recalling(*(remembered(index) for index in range(2, 8)))
    assert said(one, KNOWN_UNREACHED_AFTER) == []
    ((kind, text),) = said(one, KNOWN_UNREACHED_AFTER + 1.0)
    assert kind == "no_remembered_node"
    assert "none of the 6 remembered nodes answers (n2 at 192.0.2.2:7700, n3 at " in text
    assert "and 2 more), so this node has no link: check this machine's network and firewall" in text
    shake(Node(9), one, 20.0)
    assert said(one, 21.0) == []


@pytest.mark.parametrize("obstacle", ["loopback", "family", "route"])
def test_remembered_nodes_none_of_which_can_be_tried_are_not_blamed_nor_is_the_network(obstacle: str) -> None:
    nodes = [remembered(2), remembered(3)]
    if obstacle == "family":
        places = [(Endpoint.parse(f"[2001:db8::{one.node}]:7700"),) for one in nodes]
        nodes = [replace(one, endpoints=place) for one, place in zip(nodes, places, strict=True)]
    one = recalling(*nodes)
    if obstacle == "loopback":
        one.loopback[4] = IPv4Address("127.0.0.1")
    one.unroutable = {endpoint_of(number).address for number in (2, 3)} if obstacle == "route" else set()
    ((kind, text),) = said(one, KNOWN_UNREACHED_AFTER + 1.0)
    causes = {
        "loopback": "): this node listens on 127.0.0.1 only, from which nothing leaves this machine, so this node has "
        "no link: start it with another --listen, or without",
        "family": "): only IPv6 leads there, and this node listens on IPv4 only, by its --listen or because this "
        "system has no IPv6, so this node has no link: start it with a --listen of IPv6, too",
        "route": "): this machine has no route there, so this node has no link: check this machine's addresses and "
        "routes (ip route get 192.0.2.2), or name an address with --peer that it has a route to",
    }
    assert kind == "no_remembered_node"
    assert text.startswith("none of the 2 remembered nodes can be tried (n2 at ")
    assert causes[obstacle] in text
    assert "firewall" not in text


def test_remembered_nodes_of_which_one_can_be_tried_do_not_answer() -> None:
    one = recalling(remembered(2), remembered(3))
    one.unroutable = {endpoint_of(2).address}
    ((_, text),) = said(one, KNOWN_UNREACHED_AFTER + 1.0)
    assert "none of the 2 remembered nodes answers" in text


def test_the_one_remembered_node_that_does_not_answer_is_a_problem_unless_it_took_its_leave() -> None:
    one, two = recalling(remembered(2)), Node(2)
    assert "the one remembered node does not answer (n2 at 192.0.2.2:7700)" in said(one, 13.0)[0][1]
    shake(two, one, 20.0)
    (peer,) = one.links.peers()
    one.links.goodbye(Instant(21.0), NodeIndex(2), peer.current.index)
    assert said(one, 60.0) == []


def test_a_node_that_is_learned_or_configured_is_sought_for_itself_and_the_remembered_ones_are_no_problem() -> None:
    one = recalling(remembered(2), remembered(3))
    one.links.learn(Instant(13.0), NodeIndex(4), (endpoint_of(4),), "n4")
    assert said(one, 14.0) == []
    one.links.forget(NodeIndex(4))
    assert [kind for kind, _ in said(one, 14.0)] == ["no_remembered_node"]
    one.links.configure(Instant(14.0), "peer", (endpoint_of(9),))
    assert [kind for kind, _ in said(one, 20.0)] == ["peer_unreachable"]


def test_many_remembered_nodes_are_no_problem_before_each_was_tried() -> None:
    one = recalling(*(remembered(index) for index in range(2, 162)))
    assert said(one, KNOWN_UNREACHED_AFTER + 9.0) == []
    assert [kind for kind, _ in said(one, KNOWN_UNREACHED_AFTER + 10.0)] == ["no_remembered_node"]


def test_peers_shows_a_remembered_node_as_connecting_and_then_as_offline() -> None:
    one = recalling(remembered(2))
    for now, standing in ((1.0, Standing.CONNECTING), (KNOWN_UNREACHED_AFTER, Standing.OFFLINE)):
        (known,) = one.links.known(Instant(now))
        assert (known.name, known.node, known.standing, known.endpoints) == ("n2", 2, standing, (endpoint_of(2),))


@pytest.mark.parametrize(("linked_s_ago", "heard_ago"), [(8 * 86_400, 8 * 86_400), (-HOUR_S, None)])
def test_peers_shows_when_a_remembered_node_was_last_linked_unless_that_is_to_come(
    linked_s_ago: int, heard_ago: int | None
) -> None:
    one = recalling(replace(remembered(2), linked_unix_s=int(UNIX_NOW) + 20 - linked_s_ago))
    (known,) = one.links.known(Instant(20.0))
    ago = 20.0 - known.last_received if known.last_received is not None else None
    assert (ago, known.overlay) == (heard_ago, (IPv4Address("10.77.0.2"),))


def test_a_node_that_broadcast_tells_of_is_sought_where_that_says() -> None:
    one = recalling(remembered(2, 9))
    one.links.learn(Instant(0.5), NodeIndex(2), (endpoint_of(2),), "n2")
    one.links.advance(Instant(2.0))
    assert {command.endpoint for command in one.links.commands if isinstance(command, SendDatagram)} == {endpoint_of(2)}
    assert [known.endpoints for known in one.links.known(Instant(2.0))] == [(endpoint_of(2),)]


def test_a_configured_peer_at_a_remembered_address_is_sought_once() -> None:
    one = recalling(remembered(2))
    begin(one, Node(2))
    assert len(inits_in(one, 8)) == 1


def test_another_member_at_a_remembered_address_is_welcome_once() -> None:
    one, three = recalling(remembered(2)), Node(3)
    for now, linked in ((RECALL_DELAY, True), (RECALL_DELAY + 20.0, False)):
        (init,) = set(advance(one, now))
        three.hear(now, init, 1)
        one.hear(now, three.sent()[0], 2)
        assert (len(one.sent()) == 1) is linked
    assert one.drops.snapshot() == {"handshake_with_another_node": 1}


def test_addresses_that_one_datagram_would_reach_many_by_are_not_tried() -> None:
    places = tuple(Endpoint.parse(text) for text in ("224.0.0.1:7700", "255.255.255.255:7700", "0.0.0.0:7700"))
    one = recalling(Remembered(NodeIndex(2), "n2", places, HOUR))
    assert inits_in(one, 20) == set()


def test_a_node_does_not_try_itself() -> None:
    assert inits_in(recalling(remembered(1)), 20) == set()


def looked(node: Node, hours: int) -> tuple[Remembered, ...]:
    """The nodes that it remembers after so many hours, looking every minute."""
    return [node.links.remembered(Instant(60.0 * minute)) for minute in range(60 * hours + 1)][-1]


@pytest.mark.parametrize("year", [-28, -1, 1])
def test_a_node_that_was_off_for_long_or_has_a_wrong_clock_forgets_nobody(year: int) -> None:
    two = replace(remembered(2), linked_unix_s=HOUR + year * 365 * 86_400)
    one = recalling(two)
    assert looked(one, 1) == (two,)
    shake(one, Node(3))
    assert [known.node for known in looked(one, 2)] == [2, 3]


def test_a_node_without_any_link_forgets_nobody_however_long_it_runs() -> None:
    one = recalling(remembered(2))
    assert looked(one, FORGOTTEN_AFTER_HOURS + 1) == (remembered(2),)


def test_a_node_that_is_missed_for_seven_days_with_links_to_others_is_forgotten() -> None:
    one = recalling(remembered(2))
    shake(one, Node(3))
    assert looked(one, FORGOTTEN_AFTER_HOURS - 1)[0] == replace(remembered(2), missed_hours=FORGOTTEN_AFTER_HOURS - 1)
    last = float(FORGOTTEN_AFTER_HOURS * HOUR_S)
    assert [one.node for one in one.links.remembered(Instant(last))] == [3]
    assert [known.node for known in one.links.known(Instant(last))] == [3]
    assert advance(one, last) == []


def test_the_hours_of_earlier_runs_count_until_there_is_a_link() -> None:
    one = recalling(*(replace(remembered(index), missed_hours=FORGOTTEN_AFTER_HOURS - 1) for index in (2, 3)))
    shake(one, Node(3))
    assert [(known.node, known.missed_hours) for known in looked(one, 1)] == [(3, 0)]


def test_a_process_that_was_halted_for_long_has_missed_others_for_an_hour_at_most() -> None:
    one = recalling(remembered(2))
    shake(one, Node(3))
    one.links.remembered(Instant(0.0))
    assert one.links.remembered(Instant(30.0 * 86_400))[0].missed_hours == 1


def test_the_nodes_that_were_missed_the_shortest_time_are_kept_when_there_are_too_many() -> None:
    def many(first: int, hour: int, missed: int) -> list[Remembered]:
        return [Remembered(NodeIndex(first + n), "n", (), hour, missed) for n in range(MAX_REMEMBERED_NODES)]

    memory = RememberedNodes()
    for before, kept in ((many(1, 2, 1), [*range(1, 201)]), (many(2000, 1, 0), [*range(2000, 2200)])):
        memory.recall([*memory.nodes, *before])
        nodes = memory.look(Instant(0.0), many(1000, 0, 0)[:56])
        assert [one.node for one in nodes] == sorted([*kept, *range(1000, 1056)])


def test_a_large_network_is_tried_a_few_nodes_at_a_time_beginning_after_oneself() -> None:
    one = recalling(*(remembered(index) for index in range(1, 101)), index=50)
    assert len(set(advance(one, RECALL_DELAY))) == 16
    assert [known.node for known in one.links.known(Instant(1.0))] == [*range(1, 50), *range(51, 101)]
