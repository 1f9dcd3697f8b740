"""Revoked nodes: not sought where an earlier run knew them, and no problem of the node that knows."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.links.shaking import Node, answer, begin, endpoint_of
from tests.unit.links.test_memory import advance, inits_in, recalling, remembered, said
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.reachability import KNOWN_UNREACHED_AFTER, OWN_REVOKED, UNREACHED_AFTER
from treecast.links.refusals import REFUSED_LIFETIME, REVOKED_PAUSE
from treecast.links.standing import Standing
from treecast.links.targets import RECALL_DELAY

TWO = NodeIndex(2)


def revoke(node: Node, serial: int) -> None:
    """The node learns that certificates of node 2 are void up to this serial."""
    node.revocations.put(TWO, serial, "n2")
    node.links.revoked(TWO)


def test_a_remembered_node_that_is_revoked_is_not_sought_and_nobody_is_asked_to_look_after_it() -> None:
    one = recalling(replace(remembered(2), serial=4))
    revoke(one, 4)
    assert inits_in(one, 60) == set()
    assert said(one, KNOWN_UNREACHED_AFTER + 60.0) == []


def test_a_remembered_node_whose_certificate_is_newer_than_the_revocation_is_sought() -> None:
    one = recalling(replace(remembered(2), serial=5))
    revoke(one, 4)
    assert len(advance(one, RECALL_DELAY)) == 1


def test_a_handshake_that_is_under_way_with_a_remembered_node_ends_when_that_is_revoked() -> None:
    one = recalling(replace(remembered(2), serial=4))
    assert len(advance(one, RECALL_DELAY)) == 1
    revoke(one, 4)
    assert inits_in(one, 60) == set()


def test_what_others_advertise_of_a_revoked_node_is_of_its_next_certificate_and_sought() -> None:
    one = recalling(replace(remembered(2), serial=4))
    revoke(one, 4)
    one.links.learn(Instant(5.0), TWO, (endpoint_of(2),), "n2")
    assert len(advance(one, 5.0)) == 1


def refuse(one: Node, revoked: Node, now: float) -> None:
    """A handshake that one begins with its configured peer, which is revoked."""
    (init,) = advance(one, now)
    answer(one, revoked, init, now)


def test_a_configured_peer_that_is_revoked_is_tried_at_long_intervals_and_shown_as_refused() -> None:
    one, revoked = Node(1), Node(2)
    one.revocations.put(TWO, 0, "n2")
    one.links.configure(Instant(0.0), "peer", (endpoint_of(2),))
    refuse(one, revoked, 0.0)
    assert one.drops.snapshot() == {"certificate_revoked": 1}
    assert advance(one, REVOKED_PAUSE - 0.1) == []
    assert said(one, REVOKED_PAUSE - 0.1) == []
    (known,) = one.links.known(Instant(REVOKED_PAUSE - 0.1))
    assert (known.standing, known.why) == (Standing.REFUSED, "certificate revoked")
    refuse(one, revoked, REVOKED_PAUSE)
    assert REFUSED_LIFETIME > REVOKED_PAUSE


def test_a_revoked_node_that_seeks_this_one_is_refused_and_no_problem() -> None:
    one, revoked = Node(1), Node(2)
    one.revocations.put(TWO, 0, "n2")
    one.hear(0.0, begin(revoked, one), 2)
    (response,) = one.sent()
    revoked.hear(0.0, response, 1)
    one.hear(0.0, revoked.sent()[0], 2)
    (refusal,) = one.sent()
    revoked.hear(0.0, refusal, 1)
    assert said(one, 1.0) == []
    ((kind, _),) = said(revoked, 1.0)
    assert kind == "refused_by_peer"


def test_a_node_that_is_revoked_itself_says_so_of_all_that_it_does_not_seek() -> None:
    one = recalling(remembered(2))
    one.links.configure(Instant(0.0), "peer", (endpoint_of(3),))
    one.links.withhold(Instant(0.0), silent=True)
    for now in (0.0, UNREACHED_AFTER, KNOWN_UNREACHED_AFTER):
        assert {(known.standing, known.why) for known in one.links.known(Instant(now))} == {
            (Standing.REFUSED, OWN_REVOKED)
        }
    assert one.links.unreached() == []
    one.links.withhold(Instant(20.0), silent=False)
    assert one.links.unreached() == ["peer"]
