"""Nodes that do not answer are sought less and less often, until there is news of them; no address gets many INITs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.unit.links.shaking import Node, endpoint_of, report, shake
from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.attempts import ATTEMPT_LIFETIME, LAST_INIT_INTERVAL
from treecast.links.budgets import INITS_BURST, INITS_PER_S
from treecast.links.peers import REKEY_AFTER
from treecast.links.target import LAST_CONFIGURED_PAUSE, LAST_PAUSE, PAUSE_SHARE

OTHER = NodeIndex(2)
RUN = b"1" * 8


def inits(node: Node, begin: float, end: float) -> list[tuple[float, Endpoint]]:
    """The times and endpoints of INITs, of which none is answered."""
    sent: list[tuple[float, Endpoint]] = []
    for tick in range(int(4 * begin), int(4 * end)):
        node.links.advance(Instant(tick / 4))
        commands = [one for one in node.links.commands if isinstance(one, SendDatagram)]
        node.links.commands.clear()
        sent += [(tick / 4, one.endpoint) for one in commands if one.data[0] == 0xC0]
    return sent


def gaps(sent: list[tuple[float, Endpoint]]) -> list[float]:
    return [later - earlier for (earlier, _), (later, _) in pairwise(sent)]


def learned() -> Node:
    node = Node(1)
    node.links.learn(Instant(0.0), OTHER, (endpoint_of(2),), "n2", RUN)
    return node


def test_a_node_that_never_answers_is_sought_after_pauses_of_a_quarter_of_the_time_and_two_minutes_at_most() -> None:
    sent = inits(learned(), 0.0, 3600.0)
    between = LAST_INIT_INTERVAL + ATTEMPT_LIFETIME
    for (at, _), gap in zip(sent, gaps(sent), strict=False):
        assert gap <= min(PAUSE_SHARE * (at + between), LAST_PAUSE) + between
    assert max(gaps(sent)) >= LAST_PAUSE
    in_the_last_half_hour = [at for at, _ in sent if at >= 1800.0]
    assert len(in_the_last_half_hour) <= 8 * 1800.0 / (LAST_PAUSE + ATTEMPT_LIFETIME) + 8


def test_a_peer_that_the_operator_named_is_found_within_seconds_however_long_it_was_away() -> None:
    node = Node(1)
    node.links.configure(Instant(0.0), "peer", (endpoint_of(2),))
    assert max(gaps(inits(node, 0.0, 3600.0))) <= LAST_CONFIGURED_PAUSE + LAST_INIT_INTERVAL + 0.5


def moved(node: Node, now: Instant) -> None:
    node.links.learn(now, OTHER, (endpoint_of(3),), "n2", RUN)


def started_again(node: Node, now: Instant) -> None:
    node.links.learn(now, OTHER, (endpoint_of(2),), "n2", b"2" * 8)


def other_addresses_here(node: Node, now: Instant) -> None:
    node.links.moved_itself(now)


@pytest.mark.parametrize("news", [moved, started_again, other_addresses_here])
def test_news_of_a_node_ends_the_pause(news: Callable[[Node, Instant], None]) -> None:
    node = learned()
    last, _ = inits(node, 0.0, 900.0)[-1]
    paused = last + ATTEMPT_LIFETIME + 1.0
    news(node, Instant(paused))
    sent = inits(node, paused, paused + 30.0)
    assert sent[0][0] <= paused + 0.25
    assert max(gaps(sent)) <= PAUSE_SHARE * 30.0 + LAST_INIT_INTERVAL


def test_what_is_no_news_ends_no_pause() -> None:
    node = learned()
    last, _ = inits(node, 0.0, 900.0)[-1]
    paused = last + ATTEMPT_LIFETIME + 1.0
    node.links.learn(Instant(paused), OTHER, (endpoint_of(2),), "n2", RUN)
    assert inits(node, paused, paused + 30.0) == []


def test_the_first_link_after_none_ends_the_pauses_of_the_others() -> None:
    node = learned()
    last, _ = inits(node, 0.0, 900.0)[-1]
    paused = last + ATTEMPT_LIFETIME + 1.0
    shake(Node(7), node, paused)
    assert inits(node, paused, paused + 1.0) != []


def test_an_address_at_which_forty_nodes_are_said_to_be_gets_few_inits_and_other_addresses_get_theirs() -> None:
    node = Node(1)
    victim = endpoint_of(99)
    for index in range(2, 42):
        node.links.learn(Instant(0.0), NodeIndex(index), (Endpoint(victim.address, 1000 + index),), f"n{index}")
    node.links.learn(Instant(0.0), NodeIndex(50), (endpoint_of(50),), "n50")
    sent = inits(node, 0.0, 10.0)
    to_victim = [at for at, endpoint in sent if endpoint.address == victim.address]
    assert len([at for at in to_victim if at == 0.0]) == INITS_BURST
    assert len(to_victim) <= INITS_BURST + 10.0 * INITS_PER_S
    assert len([at for at, endpoint in sent if endpoint == endpoint_of(50)]) >= 6
    assert node.drops.snapshot()["init_budget"] > 0


def test_a_linked_node_gets_its_handshakes_whatever_else_goes_to_its_address() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    at = Instant(REKEY_AFTER)
    for index in range(3, 60):
        one.links.learn(
            Instant(REKEY_AFTER - 2.0), NodeIndex(index), (Endpoint(endpoint_of(2).address, 1000 + index),), "x"
        )
    one.links.advance(at)
    assert len(one.sent()) == INITS_BURST
    one.links.review(at, report(one))
    assert [data[0] for data in one.sent()] == [0xC0]
