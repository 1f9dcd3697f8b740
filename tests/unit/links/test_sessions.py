"""Sessions that a peer confirms, and those that it does not: which keep a link, and which show that it begins anew."""

from __future__ import annotations

from ipaddress import IPv4Address

import msgspec
import pytest

from tests.unit.links.shaking import Node, answer, begin, certificate_of, confirm, report, shake
from treecast.base.addresses import Endpoint
from treecast.base.counters import SESSION_BEGUN
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.budgets import SESSIONS_BURST
from treecast.links.handshake_channels import OutOfSession
from treecast.links.link_events import LinkDown, LinkEnd, LinkRemade, LinkUp
from treecast.links.peers import DEAD_AFTER, REJECT_AFTER, REKEY_AFTER_DATAGRAMS, SUSPECT_AFTER, Peer, Session
from treecast.links.sessions import AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305
from treecast.links.states import SessionState

ONE, TWO = NodeIndex(1), NodeIndex(2)


def take_response(one: Node, two: Node, now: float) -> None:
    """The first node has heard nothing for a while, and makes a session that the second one does not confirm."""
    one.links.review(Instant(now), report(one, silent_s=SUSPECT_AFTER))
    (init,) = one.sent()
    answer(one, two, init, now)


def test_a_session_that_the_peer_does_not_confirm_shows_no_life() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    take_response(one, two, 10.0)
    (peer,) = one.links.peers()
    kept, unconfirmed = peer.sessions
    assert (kept.confirmed, unconfirmed.confirmed, peer.current) == (True, False, kept)
    of_kept, of_the_other = report(one)
    reports = [msgspec.structs.replace(of_kept, silent_s=DEAD_AFTER), of_the_other]
    one.links.review(Instant(14.0), reports)
    assert one.events() == [LinkDown(TWO, LinkEnd.SILENT)]


def test_a_link_without_a_confirmed_session_ends() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    take_response(one, two, REJECT_AFTER - 1.0)
    one.links.review(Instant(REJECT_AFTER), report(one))
    assert one.events() == [LinkDown(TWO, LinkEnd.UNCONFIRMED)]


def test_the_oldest_session_that_is_not_in_use_makes_room() -> None:
    def session(index: int, state: SessionState) -> Session:
        return Session(state, index, True, Instant(0.0), OutOfSession(0, Endpoint(IPv4Address("192.0.2.2"), 7700)))

    peer = Peer(TWO, certificate_of(2), 1, None)
    confirmed, unconfirmed = SessionState.CONFIRMED, SessionState.UNCONFIRMED
    peer.sessions = [session(1, confirmed), *(session(index, unconfirmed) for index in (2, 3, 4))]
    assert peer.dispensable.index == 2
    peer.sessions[-1] = session(4, confirmed)
    assert peer.dispensable.index == 1


def test_a_session_that_is_made_outside_of_the_one_before_may_be_with_a_peer_that_has_forgotten_all() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    assert [type(event) for event in one.events() + two.events()] == [LinkUp, LinkUp]
    two.links.cut(Instant(10.0), ONE, LinkEnd.CERTIFICATE_EXPIRED)
    two.events()
    shake(two, one, 20.0)
    assert [type(event) for event in two.events()] == [LinkUp]
    assert one.events() == [LinkRemade(TWO)]


def test_a_node_that_makes_sessions_over_and_over_has_one_in_two_seconds() -> None:
    """Whether it says that it has started again or not."""
    for epochs in (range(1, 101), [1] * 100):
        one = Node(1)
        for number, epoch in enumerate(epochs):
            made_anew(Node(2, epoch=epoch), one, 0.1 * number)
        assert one.drops.snapshot()["handshake_too_often"] == pytest.approx(100 - SESSIONS_BURST - 5, abs=1)
        assert one.drops.take_refusals() == [(NodeIndex(2), SESSION_BEGUN, 100)]
        taken = one.events()
        assert len(taken) <= 2 * (SESSIONS_BURST + 6)


def made_anew(other: Node, one: Node, now: float) -> None:
    """The other one, which knows nothing, makes a session as far as it may."""
    (final,) = answer(other, one, begin(other, one, now), now)
    one.hear(now, final, other.index)
    one.sent()


def test_rekeys_in_its_session_are_not_counted_so() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    for number in range(1, 30):
        now = 0.1 * number
        one.links.review(Instant(now), report(one, sealed=REKEY_AFTER_DATAGRAMS))
        (init,) = one.sent()
        two.hear(now, init, 1)
        one.hear(now, two.sent()[0], 2)
        two.hear(now, one.sent()[0], 1)
        two.sent()
        confirm(one, two, now)
    assert two.drops.snapshot() == {}
    assert two.drops.take_refusals() == [(NodeIndex(1), SESSION_BEGUN, 30)]


@pytest.mark.parametrize("of_one", [AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305])
@pytest.mark.parametrize("of_two", [AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305])
def test_both_ends_seal_with_aes_where_both_prefer_it_and_else_with_chacha(of_one: int, of_two: int) -> None:
    """The processor of a node that prefers ChaCha has no instructions for AES."""
    one, two = Node(1, aead=of_one), Node(2, aead=of_two)
    shake(one, two)
    sealed_with = AEAD_AES_256_GCM if of_one == of_two == AEAD_AES_256_GCM else AEAD_CHACHA20_POLY1305
    assert [command.aead for node in (one, two) for command in node.installed] == [sealed_with] * 2
