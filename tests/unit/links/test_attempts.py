"""Handshakes that this node began: found without a walk, repeated by chance a little earlier each time."""

from __future__ import annotations

from random import Random

from tests.unit.counting import steps_of
from tests.unit.links.shaking import certificate_of, endpoint_of
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.attempts import Attempt, Attempts
from treecast.links.handshake_channels import OutOfSession
from treecast.links.peers import Path, Peer, Peers, Session
from treecast.links.states import SessionState
from treecast.links.target import Target
from treecast.sim.handshake import ModelFactory

START = Instant(100.0)


def attempt(number: int, seed: int = 1, *, is_peer: bool = True) -> Attempt:
    node = NodeIndex(number)
    target = Target(None, node, (endpoint_of(9),), START, f"n{number}", START, is_peer=is_peer)
    return Attempt.begin(START, target, ModelFactory(bytes(32)).initiate(number), Random(seed))


def test_inits_that_began_at_one_instant_are_repeated_at_others() -> None:
    attempts = [attempt(number, seed=number) for number in range(1, 21)]
    assert len({one.next_step for one in attempts}) == 20
    assert all(0.4 <= one.next_step - START <= 0.5 for one in attempts)


def test_an_attempt_repeats_less_often_and_ends_at_its_lifetime() -> None:
    one, steps = attempt(1), []
    while not one.is_over(one.next_step):
        steps.append(one.next_step)
        one.sent(one.next_step, Random(2))
    assert 6 <= len(steps) <= 9
    assert one.next_step == START + 10.0


def test_an_attempt_is_found_by_index_init_target_and_node_until_it_is_over() -> None:
    attempts, one = Attempts(), attempt(7)
    attempts.add(one)
    assert attempts.get(7) is attempts.with_init(one.init) is attempts.of(one.target) is one
    assert attempts.renews(NodeIndex(7)) and 7 in attempts and list(attempts) == [one]
    attempts.remove(one)
    assert not attempts.renews(NodeIndex(7)) and 7 not in attempts and attempts.with_init(one.init) is None


def test_a_try_at_a_node_s_addresses_is_none_to_renew_its_session() -> None:
    attempts, one = Attempts(), attempt(7, is_peer=False)
    attempts.add(one)
    assert not attempts.renews(NodeIndex(7)) and 7 in attempts
    attempts.remove(one)
    assert not attempts.renews(NodeIndex(7))


def test_what_a_handshake_asks_touches_as_much_among_1000_as_among_10() -> None:
    def ask(attempts: Attempts, peers: Peers) -> None:
        assert attempts.renews(NodeIndex(1)) and not attempts.renews(NodeIndex(5_000))
        assert attempts.with_init(b"none") is None
        assert peers.index_in_use(1) and not peers.index_in_use(5_000)

    def steps(count: int) -> int:
        attempts, peers = Attempts(), Peers()
        for number in range(1, count + 1):
            attempts.add(attempt(number))
            peer = Peer(NodeIndex(number), certificate_of(1), 1, Path(0, endpoint_of(9)))
            peers.add(peer)
            peers.add_session(
                peer, Session(SessionState.CONFIRMED, number, True, START, OutOfSession(0, endpoint_of(9)))
            )
        return steps_of(ask, attempts, peers)

    assert steps(1_000) == steps(10)


def test_the_index_of_a_session_is_free_when_it_or_its_peer_is_gone() -> None:
    peers, peer = Peers(), Peer(NodeIndex(1), certificate_of(1), 1, Path(0, endpoint_of(9)))
    peers.add(peer)
    for index in (5, 6):
        peers.add_session(peer, Session(SessionState.CONFIRMED, index, True, START, OutOfSession(0, endpoint_of(9))))
    peers.remove_session(peer, peer.sessions[0])
    assert (peers.index_in_use(5), peers.index_in_use(6)) == (False, True)
    peers.remove(NodeIndex(1))
    assert not peers.index_in_use(6)
