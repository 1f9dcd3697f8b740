"""Link secrets: one exchange for each link, begun by one side, and in the keys of the sessions after it."""

from __future__ import annotations

import pytest

from tests.unit.links.exchanging import (
    Message,
    able,
    carry,
    give,
    is_hybrid,
    linked_pair,
    messages,
    mixed_in,
    peer,
    run,
)
from tests.unit.links.shaking import Node, confirm, report, shake
from treecast.base.time import Instant
from treecast.links.crypto import LinkSecret
from treecast.links.exchange import in_halves
from treecast.links.exchanges import (
    ANSWER_INTERVAL,
    BEGUN_PER_REVIEW,
    FIRST_PAUSE,
    FORGOTTEN_PAUSE,
    REPETITIONS,
    UNANSWERED_PAUSE,
)
from treecast.links.peers import REKEY_AFTER, SUSPECT_AFTER
from treecast.sim.handshake import KEM_MARK, ModelFactory
from treecast.wire.control import Ciphertext, EncapsulationKey

LATEST_BEGIN = int(FIRST_PAUSE[1]) + 1


def test_a_link_has_its_first_hybrid_session_within_seconds() -> None:
    one, two = linked_pair()
    assert (is_hybrid(one), is_hybrid(two)) == (False, False)
    run(one, two, LATEST_BEGIN + 2)
    assert (is_hybrid(one), is_hybrid(two)) == (True, True)
    assert mixed_in(one) == mixed_in(two) != b""
    assert (one.drops.snapshot(), two.drops.snapshot()) == ({}, {})
    assert [len(peer(node).sessions) for node in (one, two)] == [2, 2]


def test_it_is_one_exchange_for_each_link_and_each_later_session_has_its_secret() -> None:
    one, two = linked_pair()
    seen: list[Message] = []

    def note(message: Message) -> bool:
        seen.append(message)
        return False

    run(one, two, 8, lost=note)
    first, crossed = mixed_in(one), len(seen)
    assert crossed == 4
    run(one, two, int(3 * REKEY_AFTER), 8, lost=note)
    assert (len(seen), mixed_in(one), mixed_in(two)) == (crossed, first, first)
    assert len(one.installed) >= 4
    assert is_hybrid(one) and is_hybrid(two)


def test_an_exchange_that_nobody_answers_is_repeated_ten_times_and_begun_again_after_a_minute() -> None:
    one, _ = linked_pair()
    sent: dict[int, list[Message]] = {}
    for now in range(int(UNANSWERED_PAUSE) + 30):
        one.links.review(Instant(float(now)), [])
        for message in messages(one):
            sent.setdefault(message.exchange, []).append(message)
    first, second = sent.values()
    assert (len(first), len(second)) == (2 * REPETITIONS, 2 * REPETITIONS)
    assert [message.half for message in first[:8]] == [0, 1, 1, 0, 0, 1, 1, 0]
    keys = [b"".join(message.data for message in sorted(half[:2], key=lambda m: m.half)) for half in (first, second)]
    assert keys[0] != keys[1]


def test_the_node_with_the_higher_index_and_one_whose_peer_cannot_begin_nothing() -> None:
    one, two = linked_pair()
    unable = Node(3)
    shake(unable, one)
    for now in range(LATEST_BEGIN + 1):
        two.links.review(Instant(float(now)), [])
        assert messages(two) == []
        one.links.review(Instant(float(now)), [])
        for message in messages(one):
            assert peer(one, 3).exchange.begun is None and isinstance(message, EncapsulationKey)
    assert peer(one, 2).exchange.begun is not None


def test_64_exchanges_begin_in_a_review() -> None:
    one = able(1)
    for index in range(2, BEGUN_PER_REVIEW + 12):
        shake(able(index), one)
    one.links.review(Instant(0.0), [])
    begun = []
    for _ in range(3):
        one.links.review(Instant(10.0), [])
        begun.append(len({message.exchange for message in messages(one)}))
    assert begun == [BEGUN_PER_REVIEW, BEGUN_PER_REVIEW + 10, BEGUN_PER_REVIEW + 10]


def test_lost_halves_come_again_one_answer_for_one_question() -> None:
    one, two = linked_pair()
    one.links.review(Instant(0.0), [])
    one.links.review(Instant(5.0), [])
    first, second = messages(one)
    give(two, first, 1)
    assert messages(two) == []
    give(two, second, 1)
    answer = messages(two)
    assert [message.half for message in answer] == [0, 1]
    give(two, second, 1)
    assert messages(two) == answer[1:]
    give(two, first, 1)
    assert messages(two) == answer[:1]
    for message in (answer[1], answer[1], answer[0], answer[0]):
        give(one, message, 2)
    here, there = peer(one).exchange.secret, peer(two).exchange.secret
    assert here is not None and there is not None and here.id == there.id
    assert (one.drops.snapshot(), two.drops.snapshot()) == ({}, {})


def test_a_session_that_was_made_outside_is_followed_by_a_hybrid_one_at_once() -> None:
    one, two = linked_pair()
    run(one, two, 8)
    before = mixed_in(one)
    two.links.review(Instant(20.0), report(two, silent_s=SUSPECT_AFTER))
    carry(one, two, 20.0)
    assert (is_hybrid(one), is_hybrid(two), mixed_in(two)) == (False, False, b"")
    run(one, two, 23, 21)
    assert (is_hybrid(one), is_hybrid(two)) == (True, True)
    assert mixed_in(one) == mixed_in(two) == before


def test_a_peer_that_has_restarted_has_no_secret_and_gets_another() -> None:
    one, two = linked_pair()
    run(one, two, 8)
    before = mixed_in(one)
    again = able(2, epoch=2)
    shake(again, one, 20.0)
    assert (is_hybrid(one), is_hybrid(again)) == (False, False)
    assert peer(one).exchange.secret is None
    run(one, again, 30, 20)
    assert is_hybrid(one) and is_hybrid(again)
    assert mixed_in(one) == mixed_in(again) != before


def test_a_secret_that_the_peer_does_not_have_is_forgotten_and_another_made() -> None:
    one, two = linked_pair()
    run(one, two, 8)
    before = mixed_in(one)
    peer(two).exchange.secret = None  # whatever the reason
    run(one, two, int(REKEY_AFTER + FORGOTTEN_PAUSE) + 20, 8)
    assert is_hybrid(one) and is_hybrid(two)
    assert mixed_in(one) == mixed_in(two) != before
    assert one.drops.snapshot() == {"kem_differs": 1}


def test_a_secret_that_came_while_a_handshake_was_under_way_is_kept() -> None:
    one, two = linked_pair()
    for now in range(LATEST_BEGIN + 1):
        one.links.review(Instant(float(now)), [])
    for message in messages(one)[-2:]:
        give(two, message, 1)
    answer = messages(two)
    two.links.review(Instant(REKEY_AFTER), report(two))  # it has the secret, the other one has not yet
    (init,) = two.sent()
    one.hear(REKEY_AFTER, init, 2)
    (response,) = one.sent()
    for message in answer:
        give(one, message, 2)
    two.hear(REKEY_AFTER, response, 1)
    (final,) = two.sent()
    one.hear(REKEY_AFTER, final, 2)
    confirm(two, one, REKEY_AFTER)
    assert not is_hybrid(one) and peer(one).exchange.secret is not None
    run(one, two, int(REKEY_AFTER) + 3, int(REKEY_AFTER) + 1)
    assert is_hybrid(one) and is_hybrid(two)


KEY = KEM_MARK + bytes(1184 - len(KEM_MARK))


def offered(number: int, key: bytes = KEY) -> list[EncapsulationKey]:
    return [EncapsulationKey(number, half, data) for half, data in enumerate(in_halves(key))]


def test_a_new_exchange_of_a_peer_counts_once_a_second() -> None:
    _, two = linked_pair()
    for number in range(100):
        for message in offered(number):
            give(two, message, 1, 1.0)
    assert two.drops.snapshot() == {"kem_rate": 198}
    assert len(messages(two)) == 2
    for message in offered(100):
        give(two, message, 1, 1.001 + ANSWER_INTERVAL)
    assert len(messages(two)) == 2


def test_a_key_that_is_none_is_counted_and_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, two = linked_pair()
    looks: list[bytes] = []
    encapsulate = ModelFactory.encapsulate

    def look(factory: ModelFactory, key: bytes) -> tuple[bytes, LinkSecret]:
        looks.append(key)
        return encapsulate(factory, key)

    monkeypatch.setattr(ModelFactory, "encapsulate", look)
    for _ in range(3):
        for message in offered(1, bytes(1184)):
            give(two, message, 1)
    assert two.drops.snapshot() == {"kem_malformed": 5}
    assert (messages(two), peer(two).exchange.secret, looks) == ([], None, [bytes(1184)])


@pytest.mark.parametrize(
    ("to", "source", "message"),
    [
        (1, 2, EncapsulationKey(1, 0, bytes(592))),  # it is not its to begin
        (1, 2, Ciphertext(1, 0, bytes(544))),  # for no exchange
        (2, 1, Ciphertext(1, 0, bytes(544))),
        (1, 9, EncapsulationKey(1, 0, bytes(592))),  # of a node without a session
        (1, 9, Ciphertext(1, 0, bytes(544))),
    ],
)
def test_what_belongs_to_no_exchange_is_counted(to: int, source: int, message: Message) -> None:
    nodes = dict(enumerate(linked_pair(), 1))
    give(nodes[to], message, source)
    assert nodes[to].drops.snapshot() == {"kem_unknown": 1}
    assert messages(nodes[to]) == []


def test_nothing_of_an_exchange_is_kept_once_its_session_is_there() -> None:
    one, two = linked_pair()
    run(one, two, 8)
    answered = peer(two).exchange.answered
    assert peer(one).exchange.begun is None
    assert answered is not None and answered.ciphertext == ()
    give(two, EncapsulationKey(answered.exchange, 0, bytes(592)), 1, 9.0)  # late
    assert (messages(two), two.drops.snapshot()) == ([], {})


def test_a_handshake_outside_names_no_secret() -> None:
    one, two = linked_pair()
    run(one, two, 8)
    two.links.review(Instant(20.0), report(two, silent_s=SUSPECT_AFTER))
    one.hear(20.0, two.sent()[0], 2)
    (response,) = one.sent()
    secret = peer(one).exchange.secret
    assert secret is not None and secret.id not in response
