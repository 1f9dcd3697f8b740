"""Where datagrams for a node go: what moves a path, and what does not."""

from __future__ import annotations

from tests.unit.links.shaking import Node, begin, confirm, endpoint_of, report, shake
from treecast.base.events import HandshakeDatagram, PathAnswered, PathSeen
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ChallengePath, SetPath
from treecast.base.time import Instant
from treecast.links.link_events import LinkRemade, PathMoved
from treecast.links.peers import REKEY_AFTER, SUSPECT_AFTER, Path, Peer
from treecast.links.sessions import CONFIRM_LIMIT, MOST_FINALS

ELSEWHERE = endpoint_of(77)
TWO = NodeIndex(2)


def linked() -> tuple[Node, Node, Peer]:
    """Two nodes, and the second one as the first has it."""
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events()
    (peer,) = one.links.peers()
    return one, two, peer


def seen(peer: Peer, session: int | None = None) -> PathSeen:
    return PathSeen(peer.node, peer.current.index if session is None else session, 1, ELSEWHERE)


def answered(peer: Peer) -> PathAnswered:
    return PathAnswered(peer.node, peer.current.index, 1, ELSEWHERE)


def test_a_datagram_from_elsewhere_moves_nothing_and_its_source_is_challenged() -> None:
    one, _, peer = linked()
    for _ in range(20):
        one.links.paths.seen(seen(peer))
    one.sent()
    challenges = [command for command in one.others if isinstance(command, ChallengePath)]
    assert len(challenges) == len(one.others) == 20
    assert {(c.peer, c.socket, c.endpoint) for c in challenges} == {(TWO, 1, ELSEWHERE)}
    values = {c.value for c in challenges}
    assert len(values) == 20
    assert 2**60 < max(values) < 2**64
    assert peer.endpoint == endpoint_of(2)


def test_an_answered_challenge_moves_the_path_once() -> None:
    one, _, peer = linked()
    changes = one.links.session_changes
    assert one.links.paths.answered(answered(peer)) == [PathMoved(TWO, endpoint_of(2), ELSEWHERE)]
    assert one.links.paths.answered(answered(peer)) == []
    one.sent()
    assert one.others == [SetPath(TWO, 1, ELSEWHERE)]
    assert peer.endpoint == ELSEWHERE
    assert one.links.session_changes == changes + 1
    (known,) = one.links.known(Instant(1.0))
    assert known.endpoints == (ELSEWHERE,), "peers shows where it is now"


def test_news_of_a_session_that_has_ended_is_none() -> None:
    one, _, peer = linked()
    one.links.paths.seen(seen(peer, session=peer.current.index + 1))
    assert one.links.paths.answered(PathAnswered(TWO, peer.current.index + 1, 1, ELSEWHERE)) == []
    assert one.links.paths.answered(PathAnswered(NodeIndex(9), 1, 1, ELSEWHERE)) == []
    one.sent()
    assert one.others == []
    assert peer.endpoint == endpoint_of(2)


def test_a_rekey_keeps_the_path() -> None:
    one, two, peer = linked()
    one.links.paths.answered(answered(peer))
    one.sent()
    one.links.review(Instant(REKEY_AFTER), report(one))
    two.hear(REKEY_AFTER, one.sent()[0], 1)
    one.hear(REKEY_AFTER, two.sent()[0], 2)
    two.hear(REKEY_AFTER, one.sent()[0], 1)
    confirm(one, two, REKEY_AFTER)
    one.sent()
    assert one.others == []
    assert len(peer.sessions) == 2
    assert (one.installed[-1].socket, one.installed[-1].endpoint) == (1, ELSEWHERE)
    assert peer.path == Path(1, ELSEWHERE)


def test_who_sends_final_under_another_address_is_where_its_response_went() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    (final,) = one.sent()
    two.links.receive(Instant(0.0), HandshakeDatagram(0, ELSEWHERE, final))
    two.sent()
    (peer,) = two.links.peers()
    assert (peer.endpoint, two.installed[-1].endpoint) == (endpoint_of(1), endpoint_of(1))


def test_an_init_that_comes_again_from_another_address_has_a_response_of_its_own() -> None:
    """A response that is read in one place proves nothing of another one."""
    one, two = Node(1), Node(2)
    init = begin(one, two)
    two.links.receive(Instant(0.0), HandshakeDatagram(0, ELSEWHERE, init))
    (there,) = two.sent()
    two.hear(0.0, init, 1)
    (here,) = two.sent()
    assert here != there
    two.hear(0.0, init, 1)
    assert two.sent() == [here], "a repetition is answered with the same"
    one.hear(0.0, here, 2)
    (final,) = one.sent()
    two.links.receive(Instant(0.0), HandshakeDatagram(0, ELSEWHERE, final))
    (peer,) = two.links.peers()
    assert peer.endpoint == endpoint_of(1)


def test_final_goes_three_times_to_an_address_that_has_not_shown_that_the_peer_is_there() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    finals = 0
    for tenth in range(int(10 * CONFIRM_LIMIT)):
        one.links.advance(Instant(tenth / 10))
        finals += len(one.sent())
    assert finals == MOST_FINALS
    assert not one.links.peers()


def test_a_peer_that_was_silent_is_where_its_next_handshake_finds_it_once_that_is_confirmed() -> None:
    one, two, peer = linked()
    one.links.review(Instant(4.0), report(one, silent_s=SUSPECT_AFTER))
    (init,) = one.sent()
    two.hear(4.0, init, 1)
    one.links.receive(Instant(4.0), HandshakeDatagram(0, ELSEWHERE, two.sent()[0]))
    (final,) = one.sent()
    assert (one.others, peer.endpoint) == ([], endpoint_of(2)), "who sent RESPONSE may be anywhere"
    two.hear(4.0, final, 1)
    confirm(one, two, 4.0)
    one.sent()
    assert one.others == [SetPath(TWO, 0, ELSEWHERE)]
    assert one.events() == [PathMoved(TWO, endpoint_of(2), ELSEWHERE), LinkRemade(TWO)]
    assert peer.endpoint == ELSEWHERE
