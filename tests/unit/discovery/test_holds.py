"""A host is held as a duplicate, until that ends: solicitations go out meanwhile, the last announcement counts."""

from __future__ import annotations

import pytest

from tests.unit.discovery.speaking import H1, H2, ME, OTHER, OWN, THIRD, Lan, claim
from treecast.base.addresses import MacAddress
from treecast.base.commands import FloodFrame, Inject, SetHost
from treecast.base.time import Instant
from treecast.discovery.limits import DEFAULTS

VRRP4, VRRP6 = MacAddress.parse("00:00:5e:00:01:07"), MacAddress.parse("00:00:5e:00:02:07")


@pytest.fixture
def lan() -> Lan:
    return Lan()


def bounce(lan: Lan, times: int, who: MacAddress = H1, interval_s: float = 1.0) -> None:
    """The host is heard at another node and here in turn."""
    for _ in range(times):
        here = lan.published.get((0, who))
        before = lan.discovery.remote_hosts().get((0, who))
        sequence = here.sequence + 1 if here else before.sequence if before else 0
        lan.learn(OTHER, who, claim("10.1.0.1", "fd00::a", sequence=sequence))
        lan.wait(interval_s)
        lan.announce(who, "10.1.0.1")
        lan.advertise(who, "fd00::a")
        lan.wait(interval_s)


def is_asked_of_all(lan: Lan) -> bool:
    """Whether solicitations for H1 go to all nodes, unanswered here; either all do or none."""
    asked = [lan.arp(H2, "10.1.0.9", "10.1.0.1"), lan.solicit(H2, "fd00::b", "fd00::a")]
    crossed = {any(isinstance(command, FloodFrame) for command in commands) for commands in asked}
    answered = {any(isinstance(command, Inject) for command in commands) for commands in asked}
    assert len(crossed) == 1 and crossed != answered
    return crossed == {True}


def test_solicitations_for_a_held_host_go_out_instead_of_being_answered_from_the_stale_claim(lan: Lan) -> None:
    bounce(lan, 1)
    lan.learn(OTHER, H1, claim("10.1.0.1", "fd00::a", sequence=2))
    assert not is_asked_of_all(lan)
    bounce(lan, 6)
    assert lan.view(H1).duplicate and lan.view(H1).node == OTHER
    assert is_asked_of_all(lan)
    lan.wait(DEFAULTS.duplicate_hold - 20.0)
    assert is_asked_of_all(lan)


def test_solicitations_for_a_host_that_is_held_here_go_out_too_for_it_may_be_elsewhere(lan: Lan) -> None:
    for sequence in (1, 3, 5):
        lan.announce(H1, "10.1.0.1")
        lan.learn(OTHER, H1, claim("10.1.0.1", sequence=sequence))
    lan.learn(OTHER, H1, None)
    lan.announce(H1, "10.1.0.1")
    assert lan.view(H1).duplicate and lan.view(H1).node == ME
    assert any(isinstance(command, FloodFrame) for command in lan.arp(H2, "10.1.0.9", "10.1.0.1"))


def test_a_third_node_asks_too_while_it_sees_the_host_move_to_and_fro(lan: Lan) -> None:
    for sequence in range(7):
        lan.learn(OTHER if sequence % 2 else THIRD, H1, claim("10.1.0.1", "fd00::a", sequence=sequence))
    assert is_asked_of_all(lan)
    lan.wait(DEFAULTS.duplicate_hold)
    assert not is_asked_of_all(lan)


def test_when_the_hold_ends_the_last_announcement_counts_at_once_with_all_addresses(lan: Lan) -> None:
    bounce(lan, 10)
    assert lan.view(H1).node == OTHER
    deadline = lan.discovery.next_deadline()
    assert deadline is not None and deadline - lan.now < DEFAULTS.duplicate_hold
    lan.now = deadline
    lan.wait(0.0)
    assert (lan.view(H1).node, lan.view(H1).duplicate) == (ME, False)
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1", "fd00::a"]
    claimed = lan.discovery.remote_hosts().get((0, H1))
    assert claimed is not None and lan.published[(0, H1)].sequence == claimed.sequence + 1


def test_a_hold_lasts_as_long_as_it_says_and_not_a_second_longer(lan: Lan) -> None:
    began = lan.now
    bounce(lan, 10)
    while lan.view(H1).node != ME:
        deadline = lan.discovery.next_deadline()
        assert deadline is not None
        lan.now = deadline
        lan.wait(0.0)
    assert lan.now - began < DEFAULTS.duplicate_hold + 10.0


def test_the_last_announcement_counts_at_once_when_the_other_claim_ends(lan: Lan) -> None:
    bounce(lan, 10)
    lan.learn(OTHER, H1, None)
    assert lan.view(H1).node == ME
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1", "fd00::a"]


def test_an_announcement_on_a_port_that_is_not_this_node_s_any_more_does_not_count(lan: Lan) -> None:
    bounce(lan, 10)
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lan.wait(DEFAULTS.duplicate_hold)
    assert lan.view(H1).node == OTHER


def test_an_announcement_that_is_older_than_hosts_are_kept_does_not_count() -> None:
    lan = Lan(type(DEFAULTS)(duplicate_hold=2 * DEFAULTS.host_lifetime))
    bounce(lan, 10)
    lan.wait(2 * DEFAULTS.host_lifetime)
    assert lan.view(H1).node == OTHER


def test_the_nodes_own_interface_claims_itself_again_when_its_hold_ends(lan: Lan) -> None:
    for sequence in range(0, 20, 2):
        lan.learn(OTHER, OWN, claim(sequence=sequence))
    assert lan.published[(0, OWN)].sequence < 18
    lan.wait(DEFAULTS.duplicate_hold)
    assert lan.published[(0, OWN)].sequence == 19


def test_an_address_that_two_claim_is_asked_of_all_and_is_the_last_claimant_s_in_the_end(lan: Lan) -> None:
    asked = lan.arp(MacAddress.parse("02:00:00:00:00:0c"), "10.1.0.9", "10.1.0.1")
    for who in (H1, H2, H1, H2, H1, H2, H1, H2, H1):
        lan.announce(who, "10.1.0.1")
    assert [str(address) for address in lan.addresses(H2)] == ["10.1.0.1"]
    asked = lan.arp(MacAddress.parse("02:00:00:00:00:0c"), "10.1.0.9", "10.1.0.1")
    assert any(isinstance(command, FloodFrame) for command in asked)
    lan.wait(DEFAULTS.duplicate_hold)
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1"]
    assert lan.addresses(H2) == []


@pytest.mark.parametrize("virtual", [VRRP4, VRRP6], ids=str)
def test_the_mac_of_a_virtual_router_moves_as_often_as_its_routers_take_over(lan: Lan, virtual: MacAddress) -> None:
    for _ in range(20):
        bounce(lan, 1, virtual, interval_s=1.5)
        assert (lan.view(virtual).node, lan.view(virtual).duplicate) == (ME, False)
    assert lan.discovery.counters.host_duplicates == 0


def test_a_storm_of_moves_of_a_virtual_router_s_mac_is_bounded_and_over_within_seconds(lan: Lan) -> None:
    began, before = lan.now, lan.advertisements
    for _ in range(600):
        bounce(lan, 1, VRRP4, interval_s=0.05)
    took = lan.now - began
    assert lan.discovery.counters.host_moves < 1.25 * took + 5
    assert lan.advertisements - before < 2 * took, "of some 2400 if each move counted"
    assert lan.discovery.counters.host_duplicates == 1, "one line in the log for all of it"
    lan.learn(OTHER, VRRP4, claim("10.1.0.1", sequence=10_000))
    lan.announce(VRRP4, "10.1.0.1")
    lan.wait(6.0)
    assert lan.view(VRRP4).node == ME


def test_who_is_held_costs_a_bounded_table(lan: Lan) -> None:
    for number in range(5000):
        who = MacAddress(b"\x02\x09" + number.to_bytes(4, "big"))
        for sequence in range(6):
            lan.learn(OTHER if sequence % 2 else THIRD, who, claim(sequence=sequence))
        lan.discovery.host_seen(lan.now, 0, 0, who)
    movers = lan.discovery._host_table._hosts
    assert len(movers._movers) == sum(map(len, movers._held.values())) == 4096
    lan.wait(DEFAULTS.duplicate_hold)
    assert not any(movers._held.values())
    assert lan.discovery.next_deadline() is not None
    assert SetHost not in {type(command) for command in lan.settle()}


def test_a_hold_that_ended_in_the_same_turn_as_a_new_move_is_not_replayed(lan: Lan) -> None:
    bounce(lan, 10)
    lan.now = Instant(lan.now + DEFAULTS.duplicate_hold + 5.0)
    lan.learn(THIRD, H1, claim("10.1.0.1", sequence=20))
    lan.wait(0.0)
    assert lan.view(H1).node == THIRD
