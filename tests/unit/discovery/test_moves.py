"""Hosts and addresses that move, and those that are in two places at once."""

from __future__ import annotations

import pytest

from tests.unit.discovery.speaking import H1, H2, ME, OTHER, OWN, THIRD, Lan, claim, mac
from treecast.base.addresses import MacAddress
from treecast.base.commands import FloodFrame, RemoveHost, SetHost
from treecast.base.limits import MAX_DEPARTED_HOSTS
from treecast.discovery.limits import DEFAULTS


@pytest.fixture
def lan() -> Lan:
    return Lan()


def test_a_host_that_comes_here_counts_its_sequence_on_and_one_that_goes_is_forgotten(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim("10.1.0.1", sequence=4))
    assert RemoveHost(0, H1) in lan.announce(H1, "10.1.0.1")
    assert lan.published[(0, H1)] == claim("10.1.0.1", sequence=5)
    assert lan.learn(OTHER, H1, claim("10.1.0.1", sequence=6)) == [SetHost(0, H1, OTHER)]
    assert (0, H1) not in lan.published
    assert (lan.view(H1).node, lan.view(H1).moves) == (OTHER, 2)


def test_the_announcement_after_a_move_crosses_so_that_caches_follow(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim("10.1.0.1", "fd00::a"))
    for commands in (lan.announce(H1, "10.1.0.1"), lan.advertise(H1, "fd00::a")):
        assert any(isinstance(command, FloodFrame) for command in commands)


def test_a_host_that_comes_here_without_a_word_has_the_addresses_that_it_had_there(lan: Lan) -> None:
    began = lan.now
    lan.certify(OTHER, mac(9), "10.77.0.2")
    lan.learn(OTHER, H1, claim("10.1.0.1", "fd00::a", "10.77.0.2", "10.1.0.7", sequence=4, is_router=True))
    lan.learn(OTHER, H2, claim("10.1.0.7"))
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.settle()
    assert lan.published[(0, H1)] == claim("10.1.0.1", "fd00::a", sequence=5, is_router=True)
    assert [str(a) for a in lan.addresses(H1)] == ["10.1.0.1", "fd00::a"], "not a node's, not another host's"
    while lan.now < began + DEFAULTS.address_lifetime:
        lan.wait(DEFAULTS.host_lifetime / 2)
        lan.announce(H1, "10.1.0.1")
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1"], "what it says no more ends"


def test_a_host_whose_node_made_way_a_moment_before_it_is_heard_here_has_its_addresses_too(lan: Lan) -> None:
    for late, had in ((0.0, ["10.1.0.1"]), (DEFAULTS.host_lifetime, [])):
        lan.learn(OTHER, H1, claim("10.1.0.1", is_router=True))
        lan.learn(OTHER, H1, None)
        lan.wait(late)
        lan.discovery.host_seen(lan.now, 0, 0, H1)
        assert [str(address) for address in lan.addresses(H1)] == had
        assert lan.view(H1).is_router == bool(had)
        lan.wait(2 * DEFAULTS.host_lifetime)


def test_a_port_that_is_this_node_s_again_has_its_hosts_with_their_addresses(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lan.discovery.set_port_forwarding(lan.now, 0, on=True)
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1"]


def test_of_very_many_that_are_gone_the_last_are_remembered(lan: Lan) -> None:
    for number in range(MAX_DEPARTED_HOSTS + 1):
        lan.learn(OTHER, mac(number), claim("10.1.0.1"))
        lan.learn(OTHER, mac(number), None)
    for number, had in ((0, 0), (1, 1)):
        lan.discovery.host_seen(lan.now, 0, 0, mac(number))
        assert len(lan.addresses(mac(number))) == had


def test_what_a_host_that_came_here_gives_to_another_is_not_its_own_any_more(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim("10.1.0.1"))
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.announce(H2, "10.1.0.1")
    assert lan.addresses(H1) == []
    assert [str(address) for address in lan.addresses(H2)] == ["10.1.0.1"]


def test_of_two_equal_sequences_the_lower_node_keeps_the_host(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    assert lan.learn(OTHER, H1, claim("10.1.0.1")) == []
    assert lan.view(H1).node == ME


def test_a_sequence_at_its_end_begins_again_and_that_counts(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim(sequence=0xFFFF_FFFF))
    lan.announce(H1, "10.1.0.1")
    assert lan.published[(0, H1)].sequence == 0
    assert lan.view(H1).node == ME
    lan.learn(THIRD, H1, claim(sequence=1))
    assert lan.view(H1).node == THIRD, "the claim at the top, which lives still, keeps nobody"


def test_when_the_later_claim_ends_the_data_plane_follows_the_one_that_is_left(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim(sequence=1))
    lan.learn(THIRD, H1, claim(sequence=2))
    assert lan.learn(THIRD, H1, None) == [SetHost(0, H1, OTHER)]
    assert lan.learn(OTHER, H1, None) == [RemoveHost(0, H1)]


def test_a_host_that_ages_out_here_is_where_another_node_still_claims_it(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H1, claim())
    lan.now = type(lan.now)(lan.now + DEFAULTS.host_lifetime)
    lan.discovery.advance(lan.now)
    assert SetHost(0, H1, OTHER) in lan.settle()


def bounce(lan: Lan, times: int, interval_s: float = 1.0) -> int:
    """The host is heard here and at another node in turn; how often it came here."""
    sequence, came = 0, 0
    for _ in range(times):
        lan.learn(OTHER, H1, claim("10.1.0.1", sequence=sequence))
        lan.wait(interval_s)
        lan.announce(H1, "10.1.0.1")
        if (0, H1) in lan.published:
            came += 1
            sequence = lan.published[(0, H1)].sequence + 1
        lan.wait(interval_s)
    return came


def test_a_host_in_two_places_is_frozen_after_five_moves_and_reported(lan: Lan) -> None:
    assert bounce(lan, 10) == 3  # here, there, here, there, here: the sixth move is not made
    assert lan.view(H1).duplicate
    assert lan.view(H1).node == OTHER
    assert lan.discovery.counters.host_duplicates == 1
    assert lan.counted()["host_duplicate"] == 7


def test_many_duplicates_are_counted(lan: Lan) -> None:
    for number in range(30):
        for sequence in range(10):
            lan.learn(OTHER if sequence % 2 else THIRD, mac(number), claim(sequence=sequence))
    assert lan.discovery.counters.host_duplicates == 30


def test_a_frozen_host_may_move_again_after_the_hold_time(lan: Lan) -> None:
    bounce(lan, 10)
    lan.wait(DEFAULTS.duplicate_hold)
    assert not lan.view(H1).duplicate
    lan.announce(H1, "10.1.0.1")
    assert lan.view(H1).node == ME


def test_a_frozen_host_is_taken_at_once_when_the_other_place_is_gone(lan: Lan) -> None:
    bounce(lan, 10)
    lan.learn(OTHER, H1, None)
    lan.announce(H1, "10.1.0.1")
    assert lan.view(H1).node == ME


def test_moves_that_are_far_apart_are_only_moves(lan: Lan) -> None:
    assert bounce(lan, 10, DEFAULTS.move_window / 4) == 10
    assert not lan.view(H1).duplicate


def test_the_nodes_own_interface_outbids_who_claims_it_but_not_for_ever(lan: Lan) -> None:
    for sequence in range(0, 40, 2):
        lan.learn(OTHER, OWN, claim("10.77.0.1", sequence=sequence))
    assert lan.published[(0, OWN)].sequence == 11
    assert lan.view(OWN).duplicate
    assert lan.view(OWN).node == ME


def test_the_nodes_own_interface_comes_back_from_who_carried_its_lan(lan: Lan) -> None:
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lan.settle()
    assert lan.learn(OTHER, OWN, claim(sequence=7)) == [SetHost(0, OWN, OTHER)]
    lan.discovery.set_port_forwarding(lan.now, 0, on=True)
    assert lan.settle() == [RemoveHost(0, OWN)]
    assert lan.published[(0, OWN)] == claim("10.77.0.1", sequence=8)


def test_moves_between_ports_of_one_node_count_too(lan: Lan) -> None:
    for turn in range(8):
        lan.announce(H1, "10.1.0.1", port=turn % 2)
    assert lan.view(H1).duplicate
    assert lan.view(H1).port == 1
    assert lan.view(H1).moves == 5


def test_who_stays_frozen_is_forgotten_in_the_end(lan: Lan) -> None:
    bounce(lan, 10)
    lan.learn(OTHER, H1, None)
    lan.wait(10 * DEFAULTS.host_lifetime)
    assert [host.mac for host in filter(None, lan.discovery.hosts(lan.now))] == [OWN]
    assert len(lan.discovery._host_table._hosts._movers) == 0


def test_the_mac_a_certificate_gives_to_another_node_is_not_learned_here(lan: Lan) -> None:
    theirs = MacAddress.parse("02:54:00:00:00:02")
    lan.certify(OTHER, theirs)
    lan.announce(theirs, "10.1.0.1")
    assert [host.mac for host in filter(None, lan.discovery.hosts(lan.now))] == [OWN]
    assert lan.counted() == {"host_of_another_node": 1}


# addresses


def test_an_address_that_moves_to_another_mac_is_the_last_speakers(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    lan.announce(H2, "10.1.0.1")
    assert lan.addresses(H1) == []
    assert [str(address) for address in lan.addresses(H2)] == ["10.1.0.1"]
    assert lan.published[(0, H1)] == claim()
    assert lan.discovery.counters.address_conflicts == 0


def test_two_that_claim_one_address_in_turn_are_a_conflict_and_damped(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    for who in (H2, H1, H2, H1, H2, H1, H2):
        lan.announce(who, "10.1.0.1")
    assert lan.discovery.counters.address_conflicts == 1
    assert lan.discovery.counters.address_duplicates == 1
    assert [str(address) for address in lan.addresses(H2)] == ["10.1.0.1"]
    assert lan.addresses(H1) == []
    assert (lan.view(H1).conflicts, lan.view(H2).conflicts) == ((H2,), (H1,))
    assert lan.counted()["address_duplicate"] == 1
    lan.wait(700.0)
    lan.announce(H1, "10.1.0.1")
    assert lan.view(H1).conflicts == ()


def test_an_address_that_another_nodes_host_gets_is_lost_here(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H2, claim("10.1.0.1"))
    assert lan.published[(0, H1)] == claim()
    lan.learn(OTHER, H2, claim("10.1.0.1", "10.1.0.2"))
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H2, claim("10.1.0.1", "10.1.0.3"))
    assert lan.published[(0, H1)] == claim("10.1.0.1")


def test_the_nodes_own_address_is_not_taken_by_a_host_and_the_try_is_reported(lan: Lan) -> None:
    lan.announce(H1, "10.77.0.1")
    assert lan.addresses(H1) == []
    assert lan.view(OWN).conflicts == (H1,)
    assert lan.counted() == {"address_of_a_node": 1}
    lan.learn(OTHER, H2, claim("10.77.0.1"))
    assert [str(address) for address in lan.addresses(OWN)] == ["10.77.0.1"]


def test_the_address_a_certificate_gives_to_another_node_is_not_learned_here(lan: Lan) -> None:
    theirs = MacAddress.parse("02:54:00:00:00:02")
    content = claim("10.77.0.2")
    lan.certify(OTHER, theirs, *map(str, content.address_values()))
    lan.learn(OTHER, theirs, content)
    lan.announce(H1, "10.77.0.2")
    assert lan.addresses(H1) == []
    assert lan.view(theirs).conflicts == (H1,)
