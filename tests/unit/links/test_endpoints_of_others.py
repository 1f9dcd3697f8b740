"""Addresses of a stopped node that are this node's by now, or another one's: tried seldom, no fault each time."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.links.shaking import UNIX_NOW, Node, endpoint_of
from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.attempts import ATTEMPT_LIFETIME
from treecast.links.memory import Remembered
from treecast.links.noticed import NOTICED_LIFETIME
from treecast.links.targets import ELSEWHERE_PAUSE

SECONDS = 300
SELDOM = SECONDS / (ATTEMPT_LIFETIME + ELSEWHERE_PAUSE) + 1
OWN, FREE = endpoint_of(1), endpoint_of(7)

Answer = Callable[[float, SendDatagram], None]


def run(node: Node, answer: Answer, each_second: Callable[[float], None] = lambda _: None) -> list[Endpoint]:
    """Where the node sends INIT in SECONDS of virtual time; ``answer`` is what the network makes of each datagram."""
    inits: list[Endpoint] = []
    for tick in range(4 * SECONDS):
        now = tick / 4
        node.links.advance(Instant(now))
        commands = [command for command in node.links.commands if isinstance(command, SendDatagram)]
        node.links.commands.clear()
        for command in commands:
            if command.data[0] == 0xC0:
                inits.append(command.endpoint)
                answer(now, command)
        if now >= 1.0:
            each_second(now)
    return inits


def echo_of_own(node: Node) -> Answer:
    """Datagrams to OWN are this node's own; what goes elsewhere is lost."""

    def answer(now: float, command: SendDatagram) -> None:
        if command.endpoint == OWN:
            node.hear(now, command.data, 1)

    return answer


def another_node(node: Node, other: Node) -> Answer:
    """The other node answers at each address."""

    def answer(now: float, command: SendDatagram) -> None:
        other.hear(now, command.data, node.index)
        for response in other.sent():
            node.hear(now, response, other.index)

    return answer


def kinds(node: Node, now: float) -> list[str]:
    return [problem.kind for problem in node.links.problems(Instant(now))]


def test_a_configured_peer_that_is_this_node_is_a_problem_all_the_time_tried_seldom_and_counted_once() -> None:
    one = Node(1)
    one.links.configure(Instant(0.0), "peer", (OWN,))
    said: set[tuple[str, ...]] = set()
    inits = run(one, echo_of_own(one), lambda now: said.add(tuple(kinds(one, now))))
    assert 2 <= len(inits) <= SELDOM
    assert one.drops.snapshot() == {"handshake_reflected": 1}
    assert said == {("peer_is_this_node",)}
    assert ATTEMPT_LIFETIME + ELSEWHERE_PAUSE < NOTICED_LIFETIME


def test_a_known_node_whose_address_is_this_node_s_by_now_is_tried_seldom_and_counted_once() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (OWN,), "n2")
    said: set[tuple[str, ...]] = set()
    inits = run(one, echo_of_own(one), lambda now: said.add(tuple(kinds(one, now))))
    assert 2 <= len(inits) <= SELDOM
    assert one.drops.snapshot() == {"handshake_reflected": 1}
    assert said == {("node_unreachable",)}


def test_a_remembered_node_whose_address_is_this_node_s_by_now_is_counted_once() -> None:
    one = Node(1)
    one.links.recall(Instant(0.0), [Remembered(NodeIndex(2), "n2", (OWN,), int(UNIX_NOW))])
    assert len(run(one, echo_of_own(one))) <= 5
    assert one.drops.snapshot() == {"handshake_reflected": 1}


def test_a_node_is_sought_as_often_as_ever_at_its_other_addresses() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (OWN, FREE), "n2")
    inits = run(one, echo_of_own(one))
    assert inits.count(OWN) <= SECONDS / ATTEMPT_LIFETIME
    alone = Node(1)
    alone.links.learn(Instant(0.0), NodeIndex(2), (FREE,), "n2")
    assert inits.count(FREE) >= len(run(alone, echo_of_own(alone)))
    assert one.drops.snapshot() == {"handshake_reflected": 1}


def test_an_init_that_comes_back_many_times_is_counted_each_time() -> None:
    one = Node(1)
    one.links.configure(Instant(0.0), "peer", (OWN,))
    one.links.advance(Instant(0.0))
    (init,) = one.sent()
    for _ in range(5):
        one.hear(0.0, init, 1)
    assert one.sent() == []
    assert one.drops.snapshot() == {"handshake_reflected": 5}


def test_a_known_node_at_whose_address_another_member_answers_is_tried_seldom() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(3),), "n2")
    inits = run(one, another_node(one, Node(3)))
    assert 2 <= len(inits) <= SECONDS / ELSEWHERE_PAUSE + 1
    assert one.drops.snapshot() == {"handshake_with_another_node": len(inits)}


def test_a_remembered_node_at_whose_address_another_member_answers_is_tried_less_and_less_often() -> None:
    one = Node(1)
    one.links.recall(Instant(0.0), [Remembered(NodeIndex(2), "n2", (endpoint_of(3),), int(UNIX_NOW))])
    assert 2 <= len(run(one, another_node(one, Node(3)))) <= 6


def test_a_node_that_is_said_to_be_somewhere_else_is_tried_there_at_once() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (OWN,), "n2")
    one.links.advance(Instant(0.0))
    one.hear(0.0, one.sent()[0], 1)
    one.links.advance(Instant(ATTEMPT_LIFETIME))
    one.links.advance(Instant(ATTEMPT_LIFETIME + 1.0))
    assert one.sent() == []
    one.links.learn(Instant(ATTEMPT_LIFETIME + 2.0), NodeIndex(2), (FREE,), "n2")
    one.links.advance(Instant(ATTEMPT_LIFETIME + 2.0))
    assert [each.endpoint for each in one.links.commands if isinstance(each, SendDatagram)] == [FREE]
