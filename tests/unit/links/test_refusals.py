"""Refusals: both sides say who refuses whom, and why; nothing else comes of them."""

from __future__ import annotations

import pytest

from tests.unit.links.shaking import OTHER_CA, Node, answer, begin, certificate_of, endpoint_of
from treecast.base.limits import MAX_REFUSED_STRANGERS
from treecast.base.time import Instant
from treecast.links import handshakes, refusals
from treecast.links.refusals import REFUSED_LIFETIME
from treecast.sim.handshake import ModelFactory, ModelHandshake
from treecast.wire.handshake import Refusal, emit_payload


def said(node: Node, now: float = 1.0) -> dict[str, str]:
    return {problem.kind: problem.text for problem in node.links.problems(Instant(now))}


def try_it(one: Node, two: Node, now: float = 0.0) -> None:
    """A handshake that one begins, with whatever is answered."""
    two.hear(now, begin(one, two, now), one.index)
    for _ in range(3):
        for data in two.sent():
            one.hear(now, data, two.index)
        for data in one.sent():
            two.hear(now, data, one.index)
    assert one.links.peers() == two.links.peers() == []


@pytest.mark.parametrize("initiator_is_expired", [True, False])
def test_an_expired_certificate_is_named_on_both_sides_with_its_date_and_what_to_do(initiator_is_expired: bool) -> None:
    expired, honest = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(2)
    try_it(*((expired, honest) if initiator_is_expired else (honest, expired)))
    refused, told = said(honest)["peer_refused"], said(expired)["refused_by_peer"]
    assert refused.startswith("n9 (192.0.2.9:7700) is refused: its certificate expired on 1970-01-01; ")
    assert told.startswith("n2 (192.0.2.2:7700) refuses this node: this node's certificate expired on 1970-01-01; ")
    for text in (refused, told):
        assert "treecast node renew n9" in text
    assert said(honest, REFUSED_LIFETIME).keys() <= {"peer_unreachable"}


def test_a_node_whose_clock_is_wrong_is_told_both_clocks() -> None:
    late, honest = Node(9, ahead_s=5000.0), Node(2)
    try_it(honest, late)
    text = said(late)["peer_refused"]
    assert "n2 (192.0.2.2:7700) is refused: its certificate expired on 1970-01-01" in text
    told = said(honest)["refused_by_peer"]
    assert "by its clock; its clock said 1970-01-01 01:40:00 UTC when this node's said 1970-01-01 00:16:40 UTC" in told


def test_what_both_clocks_said_is_what_they_said_at_the_refusal_and_one_that_is_set_right_refuses_no_more() -> None:
    late, honest = Node(9, ahead_s=5000.0), Node(2)
    try_it(honest, late)
    both = "its clock said 1970-01-01 00:16:40 UTC when this node's said 1970-01-01 01:40:00 UTC"
    assert (
        f"by this node's clock; {both}: set the one that is wrong; only if this node's is right, "
        in said(late)["peer_refused"]
    )
    late.ahead_s, honest.ahead_s = 0.0, 7.0
    assert "peer_refused" not in said(late)
    assert (
        "said 1970-01-01 01:40:00 UTC when this node's said 1970-01-01 00:16:40 UTC" in said(honest)["refused_by_peer"]
    )


def test_nodes_of_two_networks_that_share_an_id_are_told_so() -> None:
    stranger, honest = Node(9, certificate=certificate_of(9, ca=OTHER_CA)), Node(2)
    try_it(stranger, honest)
    try_it(honest, stranger, 20.0)
    assert (
        "a node at 192.0.2.9:7700 is refused: its certificate is not one of this network"
        in said(honest, 20.0)["peer_refused"]
    )


def test_a_refused_initiator_that_missed_the_refusal_is_answered_again_and_shortly() -> None:
    expired, honest = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(2)
    honest.hear(0.0, begin(expired, honest), 9)
    expired.hear(0.0, honest.sent()[0], 2)
    (final,) = expired.sent()
    honest.hear(0.0, final, 9)
    honest.hear(0.1, final, 9)
    first, second = honest.sent()
    assert first == second
    assert len(first) < len(final)
    assert honest.drops.snapshot() == {"certificate_expired": 1}


def test_a_refusal_of_nothing_is_counted_and_one_that_came_changes_no_link() -> None:
    one, two = Node(1), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    (final,) = one.sent()
    handshake = one.installed[0].handshake
    assert isinstance(handshake, ModelHandshake)
    responder = ModelFactory(b"").respond(7, handshake.init_datagram())
    one.hear(0.1, responder.write_refusal(emit_payload(Refusal(99, 0))), 2)
    one.hear(0.1, b"\xc3\x01\0\0\0\0\0\x09", 2)
    assert one.drops.snapshot() == {"handshake_unknown": 1}
    assert "(reason 99)" in said(one)["refused_by_peer"]
    one.links.advance(Instant(0.3))
    assert one.sent() == [final]


def test_strangers_cannot_push_members_out() -> None:
    expired, honest = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(2)
    try_it(expired, honest)
    for index in range(20, 60):
        try_it(Node(index, certificate=certificate_of(index, ca=OTHER_CA)), honest)
    subjects = [problem.subject for problem in honest.links.problems(Instant(1.0)) if problem.kind == "peer_refused"]
    assert subjects[0] == "n9"
    assert len(subjects) == 1 + MAX_REFUSED_STRANGERS


def test_members_that_are_refused_are_bounded_and_the_last_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_REFUSED_MEMBERS", 3)
    honest = Node(2)
    for index in (5, 6, 7, 5, 8):
        try_it(Node(index, certificate=certificate_of(index, not_after_s=999)), honest)
    subjects = [problem.subject for problem in honest.links.problems(Instant(1.0)) if problem.kind == "peer_refused"]
    assert subjects == ["n7", "n5", "n8"]


def test_a_stolen_certificate_that_has_expired_is_not_taken_for_its_node() -> None:
    """A thief does not have the certificate's key: it is a stranger, and n9's place among the members stays free."""
    thief, honest = Node(8, certificate=certificate_of(9, not_after_s=999), static=b"another key".ljust(32)), Node(2)
    try_it(thief, honest)
    (refused,) = [problem for problem in honest.links.problems(Instant(1.0)) if problem.kind == "peer_refused"]
    assert refused.subject == "192.0.2.8:7700"


def test_refusals_that_are_repeated_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "MAX_PENDING_HANDSHAKES", 2)
    honest = Node(2)
    finals: list[tuple[int, bytes]] = []
    for index in (7, 8, 9):
        expired = Node(index, certificate=certificate_of(index, not_after_s=999))
        honest.hear(0.0, begin(expired, honest), index)
        expired.hear(0.0, honest.sent()[0], 2)
        finals += [(index, final) for final in expired.sent()]
        honest.hear(0.0, finals[-1][1], index)
        assert len(honest.sent()) == 1, "each is answered once"
    for index, final in finals:
        honest.hear(0.1, final, index)
    assert len(honest.sent()) == 2
    assert honest.drops.snapshot() == {"certificate_expired": 3, "handshake_unknown": 1}


def test_a_refusal_that_another_address_repeats_is_not_one_of_that_address() -> None:
    expired, honest = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(2)
    honest.hear(0.0, begin(expired, honest), 9)
    expired.hear(0.0, honest.sent()[0], 2)
    honest.hear(0.0, expired.sent()[0], 9)
    (refusal,) = honest.sent()
    for source in (2, 66):
        expired.hear(0.1, refusal, source)
        assert said(expired)["refused_by_peer"].startswith("n2 (192.0.2.2:7700) refuses this node")
    assert expired.drops.snapshot() == {}


def test_of_so_many_handshakes_at_a_time_a_refusal_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    expired = Node(9, certificate=certificate_of(9, not_after_s=999))
    monkeypatch.setattr(handshakes, "MAX_PENDING_HANDSHAKES", 2)
    for index in (5, 6, 7):
        honest = Node(index)
        expired.links.configure(Instant(0.0), f"n{index}", (endpoint_of(index),))
        expired.links.advance(Instant(0.0))
        (init,) = expired.sent()
        honest.hear(0.0, answer(expired, honest, init, 0.0)[0], 9)
        expired.hear(0.0, honest.sent()[0], index)
    subjects = [each.subject for each in expired.links.problems(Instant(1.0)) if each.kind == "refused_by_peer"]
    assert subjects == ["n5", "n6"]
    assert expired.drops.snapshot() == {"handshake_unknown": 1}
