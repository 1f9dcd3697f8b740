"""The next session with a peer is made in the one before: nobody outside hinders it, and no other node takes it."""

from __future__ import annotations

import pytest

from tests.unit.links.shaking import InSession, Node, begin, confirm, endpoint_of, report, shake
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_PENDING_HANDSHAKES
from treecast.base.time import Instant
from treecast.links.attempts import FIRST_INIT_INTERVAL
from treecast.links.peers import REKEY_AFTER, SUSPECT_AFTER, Path, Peer
from treecast.links.sessions import FINAL_INTERVAL
from treecast.sim.handshake import ModelFactory


def linked() -> tuple[Node, Node]:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events(), two.events()
    return one, two


def rekey(one: Node) -> bytes:
    one.links.review(Instant(REKEY_AFTER), report(one))
    (init,) = one.sent()
    return init


def peer(node: Node) -> Peer:
    (found,) = node.links.peers()
    return found


def test_all_three_datagrams_go_in_the_session_and_the_next_one_is_where_the_peer_is() -> None:
    one, two = linked()
    init = rekey(one)
    two.hear(REKEY_AFTER, init, 1)
    (response,) = two.sent()
    one.hear(REKEY_AFTER, response, 2)
    (final,) = one.sent()
    two.hear(REKEY_AFTER, final, 1)
    assert two.sent() == []
    confirm(one, two)
    assert [type(data) for data in (init, response, final)] == [InSession] * 3
    for node in (one, two):
        _, after = peer(node).sessions
        assert after.confirmed
        assert peer(node).path == Path(0, endpoint_of(3 - node.index))
    assert (one.events(), two.events()) == ([], [])


def test_a_peer_that_may_have_forgotten_the_session_is_asked_outside_of_it() -> None:
    one, _ = linked()
    one.links.review(Instant(10.0), report(one, silent_s=SUSPECT_AFTER))
    (init,) = one.sent()
    assert not isinstance(init, InSession)


@pytest.mark.parametrize("lost", ["INIT", "RESPONSE", "FINAL"])
def test_each_datagram_is_repeated_in_the_session(lost: str) -> None:
    one, two = linked()
    now = REKEY_AFTER
    data = rekey(one)
    if lost == "INIT":
        now += FIRST_INIT_INTERVAL
        one.links.advance(Instant(now))
        (data,) = one.sent()
    two.hear(now, data, 1)
    (data,) = two.sent()
    if lost == "RESPONSE":
        now += FIRST_INIT_INTERVAL
        one.links.advance(Instant(now))
        two.hear(now, one.sent()[0], 1)
        (data,) = two.sent()
    one.hear(now, data, 2)
    (data,) = one.sent()
    if lost == "FINAL":
        now += FINAL_INTERVAL
        one.links.advance(Instant(now))
        (data,) = one.sent()
    assert isinstance(data, InSession)
    two.hear(now, data, 1)
    two.hear(now, data, 1)  # it is not known yet that FINAL came
    assert (len(peer(two).sessions), two.drops.snapshot()) == (2, {})


def test_a_flood_of_inits_outside_does_not_take_the_place_of_one_in_a_session() -> None:
    one, two = linked()
    two.hear(REKEY_AFTER, rekey(one), 1)
    one.hear(REKEY_AFTER, two.sent()[0], 2)
    for forged in range(1, 2 * MAX_PENDING_HANDSHAKES):
        two.hear(REKEY_AFTER, ModelFactory(bytes(32)).initiate(forged).init_datagram(), 1)
    two.sent()
    two.hear(REKEY_AFTER, one.sent()[0], 1)
    assert len(peer(two).sessions) == 2


def test_a_peer_has_one_handshake_at_a_time_in_its_session() -> None:
    _, two = linked()
    for number in range(1, 100):
        two.hear(1.0, InSession(ModelFactory(bytes(32)).initiate(number).init_datagram()), 1)
    assert two.links.footprint().pending == (1, 1)


def test_a_response_counts_only_in_the_channel_of_its_init() -> None:
    one, two = linked()
    two.hear(REKEY_AFTER, rekey(one), 1)
    (response,) = two.sent()
    one.hear(REKEY_AFTER, bytes(response), 2)
    assert (one.sent(), one.drops.snapshot()) == ([], {"handshake_unknown": 1})
    one.hear(REKEY_AFTER, response, 2)
    (final,) = one.sent()
    two.hear(REKEY_AFTER, bytes(final), 1)
    assert (len(peer(two).sessions), two.drops.snapshot()) == (1, {"handshake_unknown": 1})
    two.hear(REKEY_AFTER, final, 1)
    assert len(peer(two).sessions) == 2


def test_a_member_cannot_make_a_session_of_another_node_in_its_own() -> None:
    one, two = linked()
    third = Node(3)
    (response,) = answers(two, InSession(begin(third, two)), 1)
    third.hear(0.0, bytes(response), 2)
    (final,) = third.sent()
    two.hear(0.0, InSession(final), 1)
    assert two.drops.snapshot() == {"handshake_with_another_node": 1}
    init = rekey(one)
    (response,) = answers(third, bytes(init), 1)
    one.hear(REKEY_AFTER, InSession(response), 2)
    assert one.drops.snapshot() == {"handshake_with_another_node": 1}
    assert [node.links.peer(NodeIndex(3)) for node in (one, two)] == [None, None]


def answers(node: Node, data: bytes, source: int) -> list[bytes]:
    node.hear(REKEY_AFTER, data, source)
    return node.sent()


def test_a_handshake_in_a_session_that_has_ended_is_counted() -> None:
    one, two = linked()
    init, session = rekey(one), peer(two).current.index
    two.links.goodbye(Instant(REKEY_AFTER), NodeIndex(1), session)
    two.hear_in(REKEY_AFTER, init, 1, session)
    assert two.drops.snapshot() == {"handshake_unknown": 1}
