"""Links: who is believed, what is bounded, when a handshake is repeated or given up. The cryptography is modelled."""

from __future__ import annotations

from tests.unit.links.shaking import (
    OTHER_CA,
    Node,
    begin,
    certificate_of,
    confirm,
    endpoint_of,
    report,
    shake,
)
from treecast.base.commands import ForgetPeer, RemoveSession
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_PENDING_HANDSHAKES, MAX_SESSIONS_PER_PEER
from treecast.base.time import Instant
from treecast.links.handshakes import PENDING_LIFETIME, REFUSABLE_FOR
from treecast.links.link_events import LinkDown, LinkEnd, LinkUp
from treecast.links.peers import (
    DEAD_AFTER,
    REJECT_AFTER,
    REKEY_AFTER,
    REKEY_AFTER_DATAGRAMS,
    SUSPECT_AFTER,
)
from treecast.links.refusals import REFUSAL_PAUSE
from treecast.sim.handshake import ModelFactory


def test_a_handshake_makes_a_link_on_both_sides() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    assert [event for event in one.events() if isinstance(event, LinkUp)] == [LinkUp(NodeIndex(2), two.certificate)]
    assert [event for event in two.events() if isinstance(event, LinkUp)] == [LinkUp(NodeIndex(1), one.certificate)]
    assert (one.installed[0].confirmed, two.installed[0].confirmed) == (False, True)


def test_the_initiator_sends_nothing_on_a_session_before_it_is_confirmed() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    assert one.links.peers() == []
    assert one.links.unreached() == []


def test_an_init_is_repeated_until_it_is_answered() -> None:
    one, two = Node(1), Node(2)
    init = begin(one, two)
    one.links.advance(Instant(0.4))
    assert one.sent() == []
    one.links.advance(Instant(0.5))
    assert one.sent() == [init]


def test_a_repeated_init_gets_the_same_response_and_no_second_entry() -> None:
    one, two = Node(1), Node(2)
    init = begin(one, two)
    two.hear(0.0, init, 1)
    two.hear(0.1, init, 1)
    first, second = two.sent()
    assert first == second


def test_pending_handshakes_are_bounded_and_expire() -> None:
    two = Node(2)
    for number in range(MAX_PENDING_HANDSHAKES + 10):
        two.hear(0.0, ModelFactory(bytes(32)).initiate(number + 1).init_datagram(), 1)
    assert len(two.sent()) == MAX_PENDING_HANDSHAKES + 10
    assert two.links.footprint().pending == (MAX_PENDING_HANDSHAKES, MAX_PENDING_HANDSHAKES)
    two.links.advance(Instant(PENDING_LIFETIME))
    two.hear(PENDING_LIFETIME, ModelFactory(bytes(32)).initiate(9999).init_datagram(), 1)
    assert len(two.sent()) == 1


def cookie_of(init: bytes) -> bytes:
    """A COOKIE of the model, for the INIT with this index."""
    return b"\xc6\x02\x00\x00" + init[4:8] + b"C" * 16


def test_a_cookie_is_answered_once_for_each_init_and_only_where_that_was_sent() -> None:
    one, two = Node(1), Node(2)
    init = begin(one, two)
    one.hear(0.1, cookie_of(init), 7)
    assert (one.sent(), one.drops.snapshot()) == ([], {"handshake_unknown": 1})
    one.hear(0.1, cookie_of(init), 2)
    one.hear(0.1, cookie_of(init), 2)
    (answer,) = one.sent()
    assert (answer[:-16], answer[-16:]) == (init[:-16], b"C" * 16)
    assert one.drops.snapshot() == {"handshake_unknown": 2}
    two.hear(0.1, init, 1)
    two.hear(0.2, answer, 1)
    first, second = two.sent()
    assert first == second
    one.links.advance(Instant(0.5))
    one.sent()
    one.hear(0.6, cookie_of(init), 2)
    assert len(one.sent()) == 1


def refused(liar: Node) -> dict[str, int]:
    """An honest node's drops when a liar shakes hands with it, in both roles; no link may come of it."""
    honest = Node(2)
    honest.hear(0.0, begin(liar, honest), liar.index)
    liar.hear(0.0, honest.sent()[0], 2)
    finals = liar.sent()
    for final in finals:
        honest.hear(0.0, final, liar.index)
    assert honest.links.peers() == []
    assert [data[0] for data in honest.sent()] == [0xC3] * len(finals)
    assert honest.installed == []
    other = Node(3)
    liar.hear(0.0, begin(other, liar), 3)
    for response in liar.sent():
        other.hear(0.0, response, liar.index)
    assert other.installed == []
    assert dict(other.drops.snapshot()) == dict(honest.drops.snapshot())
    return dict(honest.drops.snapshot())


def test_a_node_of_another_network_is_refused() -> None:
    assert refused(Node(9, certificate=certificate_of(9, ca=OTHER_CA))) == {"certificate_wrong_network": 1}


def test_an_expired_certificate_is_refused() -> None:
    assert refused(Node(9, certificate=certificate_of(9, not_after_s=999))) == {"certificate_expired": 1}


def test_a_copied_certificate_without_its_key_is_refused() -> None:
    assert refused(Node(9, static=bytes(32))) == {"handshake_not_its_certificate": 1}


def test_after_a_refused_response_the_handshake_begins_again_at_its_own_pace() -> None:
    liar, node = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(1)
    liar.hear(0.0, begin(node, liar), 1)
    (response,) = liar.sent()
    node.hear(0.0, response, 9)
    node.hear(0.0, response, 9)
    assert node.drops.snapshot() == {"certificate_expired": 1, "handshake_unknown": 1}
    node.sent()
    node.links.advance(Instant(REFUSAL_PAUSE - 0.1))
    assert node.sent() == []
    assert node.links.next_deadline() == REFUSAL_PAUSE
    node.links.advance(Instant(REFUSAL_PAUSE))
    assert [data[0] for data in node.sent()] == [0xC0]


def test_a_reflected_init_is_refused() -> None:
    one, two = Node(1), Node(2)
    one.hear(0.0, begin(one, two), 2)
    assert one.sent() == []
    assert one.drops.snapshot() == {"handshake_reflected": 1}


def test_what_comes_again_from_another_address_of_a_node_that_has_answered_is_no_drop() -> None:
    one, two = Node(1), Node(2)
    init = begin(one, two)
    two.hear(0.0, init, 1)
    two.hear(0.0, init, 3)
    first, second = two.sent()
    one.hear(0.1, first, 2)
    assert [data[0] for data in one.sent()] == [0xC2]
    one.hear(0.1, second, 4)
    one.hear(0.1, cookie_of(init), 4)
    assert (one.sent(), one.drops.snapshot()) == ([], {})
    one.links.cut(Instant(0.2), NodeIndex(2), LinkEnd.GOODBYE)
    one.hear(0.3, second, 4)
    one.links.advance(Instant(0.1 + REFUSABLE_FOR))
    assert one.drops.snapshot() == {}
    one.sent()
    one.hear(0.2 + REFUSABLE_FOR, second, 4)
    assert one.drops.snapshot() == {"handshake_unknown": 1}


def test_a_response_or_final_to_nothing_is_counted() -> None:
    one = Node(1)
    one.hear(0.0, b"\xc1" + bytes(100), 2)
    one.hear(0.0, b"\xc2" + bytes(100), 2)
    one.hear(0.0, b"\xc1", 2)
    one.hear(0.0, b"", 2)
    assert one.drops.snapshot() == {"handshake_malformed": 2, "handshake_unknown": 2}


def test_final_is_repeated_until_the_session_is_confirmed() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    (final,) = one.sent()
    one.links.advance(Instant(0.3))
    assert one.sent() == [final]
    confirm(one, two)
    one.links.advance(Instant(0.6))
    assert one.sent() == []


def test_a_session_that_is_never_confirmed_is_removed() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    one.links.advance(Instant(6.0))
    one.sent()
    assert [type(command) for command in one.others] == [RemoveSession, ForgetPeer]


def test_a_silent_peer_is_dead_and_sought_again() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    one.links.review(Instant(8.0), report(one, silent_s=DEAD_AFTER))
    assert one.events() == [LinkDown(NodeIndex(2), LinkEnd.SILENT)]
    one.links.advance(Instant(8.0))
    assert len(one.sent()) == 1
    assert one.links.unreached() == ["peer"]


def test_a_peer_that_misses_a_probe_is_asked_for_a_handshake_while_its_link_stays() -> None:
    one, two = Node(1), Node(2)
    shake(two, one)
    one.events()
    one.links.review(Instant(3.0), report(one, silent_s=SUSPECT_AFTER))
    one.links.review(Instant(4.0), report(one, silent_s=SUSPECT_AFTER + 1))
    (init,) = one.sent()
    assert one.events() == []
    restarted = Node(2, epoch=2)
    restarted.hear(4.0, init, 1)
    (response,) = restarted.sent()
    one.hear(4.0, response, 2)
    assert one.events() == [LinkDown(NodeIndex(2), LinkEnd.RESTARTED)]
    assert [data[0] for data in one.sent()] == [0xC2]
    confirm(one, restarted)
    assert one.events() == [LinkUp(NodeIndex(2), restarted.certificate)]


def test_the_initiator_rekeys_by_time_and_by_count() -> None:
    for now, sealed in ((REKEY_AFTER, 0), (1.0, REKEY_AFTER_DATAGRAMS)):
        one, two = Node(1), Node(2)
        shake(one, two)
        one.links.review(Instant(now), report(one, sealed=sealed))
        two.links.review(Instant(now), report(two))
        assert [data[0] for data in one.sent()] == [0xC0]
        assert two.sent() == []


def test_a_session_ends_at_its_age_even_if_no_other_came() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    one.links.review(Instant(REJECT_AFTER), report(one))
    assert one.events() == [LinkDown(NodeIndex(2), LinkEnd.WORN)]


def test_a_peer_has_at_most_three_sessions() -> None:
    one, two = Node(1), Node(2)
    for number in range(6):
        shake(two, one, 10.0 * number)
        two.links.cut(Instant(10.0 * number), NodeIndex(1), LinkEnd.CERTIFICATE_REPLACED)
    (peer,) = one.links.peers()
    assert len(peer.sessions) == MAX_SESSIONS_PER_PEER


def test_a_restarted_peer_is_a_new_link() -> None:
    one, two = Node(1), Node(2)
    shake(two, one)
    one.events()
    shake(Node(2, epoch=2), one, 1.0)
    assert [type(event) for event in one.events()] == [LinkDown, LinkUp]


def test_of_two_nodes_that_learn_of_each_other_the_lower_begins() -> None:
    one, two = Node(1), Node(2)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    two.links.learn(Instant(0.0), NodeIndex(1), (endpoint_of(1),), "n1")
    for node in (one, two):
        node.links.advance(Instant(0.0))
    assert (len(one.sent()), len(two.sent())) == (1, 0)
    two.links.advance(Instant(2.0))
    assert len(two.sent()) == 1


def test_a_goodbye_ends_the_link_unless_its_session_has_ended_before() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    (peer,) = one.links.peers()
    one.links.goodbye(Instant(1.0), NodeIndex(2), peer.current.index + 1)
    assert one.events() == []
    one.links.goodbye(Instant(1.0), NodeIndex(2), peer.current.index)
    assert one.events() == [LinkDown(NodeIndex(2), LinkEnd.GOODBYE)]


def test_what_a_peers_underlay_carries_is_told_to_the_data_plane_by_its_handshakes_and_by_broadcast() -> None:
    one, two = Node(1, underlay_mtu=1280), Node(2)
    shake(one, two)
    assert (one.limits, two.limits) == ([(2, 1500)], [(1, 1280)])
    for told in (1400, 1400):
        two.links.learn_underlay_mtu(NodeIndex(1), told)
    two.links.learn_underlay_mtu(NodeIndex(3), 1300)
    two.sent()
    assert two.limits[1:] == [(1, 1400)], "nothing of a node without a session, and nothing twice"
    one.links.set_underlay_mtu(1350)
    one.links.review(Instant(REKEY_AFTER), report(one))
    two.hear(REKEY_AFTER, one.sent()[0], 1)
    one.hear(REKEY_AFTER, two.sent()[0], 2)
    two.hear(REKEY_AFTER, one.sent()[0], 1)
    two.sent()
    assert two.limits[2:] == [(1, 1350)], "each handshake says what is so now"
    (known,) = two.links.known(Instant(REKEY_AFTER))
    assert known.underlay_mtu == 1350
