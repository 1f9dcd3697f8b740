"""Exchanges over a network that loses what it likes: both sides end with one secret, or with none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.links.exchanging import Message, give, is_hybrid, linked_pair, messages, mixed_in, peer, run
from treecast.wire.control import Ciphertext, EncapsulationKey

numbers = st.integers(0, 3)
halves = st.integers(0, 1)
keys = st.builds(EncapsulationKey, numbers, halves, st.sampled_from([b"model".ljust(592, b"\0"), bytes(592)]))
ciphertexts = st.builds(Ciphertext, numbers, halves, st.just(bytes(544)))


@given(losses=st.lists(st.booleans(), max_size=40))
@settings(max_examples=60, deadline=None)
def test_whatever_is_lost_both_have_one_secret_in_the_end(losses: list[bool]) -> None:
    one, two = linked_pair()
    left = iter(losses)
    run(one, two, 160, lost=lambda _: next(left, False))
    assert is_hybrid(one) and is_hybrid(two)
    assert mixed_in(one) == mixed_in(two) != b""
    assert (one.drops.snapshot(), two.drops.snapshot()) == ({}, {})


@given(sent=st.lists(st.tuples(st.booleans(), st.floats(0, 3), st.one_of(keys, ciphertexts)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_whatever_a_peer_sends_is_answered_at_most_one_for_one_or_counted(
    sent: list[tuple[bool, float, Message]],
) -> None:
    nodes = linked_pair()
    for to_first, at, message in sent:
        node, source = (nodes[0], 2) if to_first else (nodes[1], 1)
        give(node, message, source, at)
        answers = messages(node)
        assert len(answers) <= 2
        assert all(isinstance(answer, Ciphertext) for answer in answers)
    counted = {*nodes[0].drops.snapshot(), *nodes[1].drops.snapshot()}
    assert counted <= {"kem_unknown", "kem_rate", "kem_malformed"}
    assert peer(nodes[0]).exchange.secret is None
