"""Each handshake and its outcome as values for the log."""

from __future__ import annotations

from tests.unit.links.shaking import OTHER_CA, Node, begin, certificate_of, endpoint_of, shake
from treecast.base.addresses import Endpoint
from treecast.base.limits import MAX_TRACED_STEPS
from treecast.base.time import Instant
from treecast.links.attempts import ATTEMPT_LIFETIME
from treecast.links.target import PAUSE_SHARE
from treecast.links.trace import Step, Trace, Traced
from treecast.wire.handshake import HandshakePayload

ONE, TWO = (endpoint_of(1),), (endpoint_of(2),)


def taken(node: Node) -> list[Traced]:
    steps, left_out = node.links.trace.take()
    assert left_out == 0
    return steps


def test_a_handshake_is_two_steps_on_either_side() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    begun, answered = taken(one)
    received, accepted = taken(two)
    assert (begun, received) == (Traced(Step.BEGUN, "peer", TWO), Traced(Step.INIT_RECEIVED, "", ONE))
    assert answered == Traced(Step.ANSWERED, "n2", TWO, payload=answered.payload)
    assert accepted == Traced(Step.ACCEPTED, "n1", ONE, payload=accepted.payload)
    for step, index in ((answered, 2), (accepted, 1)):
        assert isinstance(step.payload, HandshakePayload)
        assert step.payload.certificate == certificate_of(index).encode()
    assert taken(one) == []


def test_a_handshake_without_an_answer_is_given_up_and_begun_again_its_repetitions_are_no_steps() -> None:
    one = Node(1)
    begin(one, Node(2))
    for quarter in range(int(4 * ATTEMPT_LIFETIME * (1 + PAUSE_SHARE)) + 1):
        one.links.advance(Instant(quarter / 4))
    assert [(step.step, step.endpoints) for step in taken(one)] == [
        (Step.BEGUN, TWO),
        (Step.GIVEN_UP, TWO),
        (Step.BEGUN, TWO),
    ]


def test_an_own_init_that_comes_back_is_refused_with_its_reason() -> None:
    one = Node(1)
    one.hear(0.0, begin(one, one), 1)
    assert taken(one)[-1] == Traced(Step.REFUSED, "", ONE, "handshake_reflected")


def test_a_final_that_is_refused_says_why_on_both_sides() -> None:
    one, two = Node(1, certificate=certificate_of(1, ca=OTHER_CA)), Node(2)
    two.hear(0.0, begin(one, two), 1)
    one.hear(0.0, two.sent()[0], 2)
    last = taken(one)[-1]
    assert (last.step, last.endpoints) == (Step.ANSWERED, TWO)
    two.hear(0.0, one.sent()[0], 1)
    refused = taken(two)[-1]
    assert (refused.step, refused.endpoints, bool(refused.reason)) == (Step.REFUSED, ONE, True)
    one.hear(0.0, two.sent()[0], 2)
    said = taken(one)[-1]
    assert (said.step, said.peer, said.endpoints, bool(said.reason)) == (Step.REFUSED_BY_PEER, "n2", TWO, True)


def test_steps_above_the_bound_are_counted() -> None:
    trace, place = Trace(), Endpoint.parse("192.0.2.1:7700")
    for _ in range(MAX_TRACED_STEPS + 3):
        trace.add(Step.INIT_RECEIVED, "", (place,))
    steps, left_out = trace.take()
    assert (len(steps), left_out) == (MAX_TRACED_STEPS, 3)
    assert trace.take() == ([], 0)
