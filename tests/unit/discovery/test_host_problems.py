"""Hosts in two places and addresses of two hosts are problems while that lasts; very many are one problem."""

from __future__ import annotations

from ipaddress import ip_address

from tests.unit.discovery.speaking import H1, H2, OTHER, OWN, THIRD, Lan, claim, mac
from tests.unit.discovery.test_holds import bounce
from treecast.base.addresses import MacAddress
from treecast.base.problems import Problem
from treecast.discovery.certified import Given
from treecast.discovery.conflicts import CONFLICT_LIFETIME
from treecast.discovery.host_problems import MOST_SHOWN
from treecast.discovery.limits import DEFAULTS, DiscoveryConfig
from treecast.discovery.mobility import RESTLESS_TIME


def said(lan: Lan) -> list[Problem]:
    return list(lan.discovery.problems(lan.now, lambda node: f"n{node}"))


def test_a_host_in_two_places_is_a_problem_until_it_has_moved_no_more_for_a_minute() -> None:
    lan = Lan()
    bounce(lan, 10)
    (problem,) = said(lan)
    assert (problem.kind, problem.subject) == ("host_duplicate", str(H1))
    assert problem.text.startswith(f"host {H1} shows up in two places again and again and is kept at n2 for now: ")
    lan.wait(DEFAULTS.duplicate_hold)
    (problem,) = said(lan)
    assert problem.text.startswith(f"host {H1} shows up in two places again and again: "), "it is kept nowhere now"
    lan.wait(RESTLESS_TIME)
    assert said(lan) == []


def test_a_host_that_stays_in_two_places_is_one_problem_however_often_its_hold_ends() -> None:
    lan, holds = Lan(), 0
    bounce(lan, 10)
    began, was_held = lan.now, True
    while lan.now - began < 5 * DEFAULTS.duplicate_hold:
        bounce(lan, 1, interval_s=10.0)
        assert [problem.kind for problem in said(lan)] == ["host_duplicate"]
        is_held = lan.view(H1).duplicate
        holds, was_held = holds + (is_held and not was_held), is_held
    assert holds >= 2


def test_a_third_node_that_sees_a_host_move_to_and_fro_has_one_problem_too() -> None:
    lan = Lan()
    sequence = 0
    for _ in range(3):
        for _ in range(8):
            sequence += 1
            lan.learn(OTHER if sequence % 2 else THIRD, H1, claim(sequence=sequence))
            lan.wait(15.0)
            assert sequence < 6 or [problem.kind for problem in said(lan)] == ["host_duplicate"]
        lan.wait(DEFAULTS.duplicate_hold - 60.0)  # both nodes that have it hold it, and are silent
        assert [problem.kind for problem in said(lan)] == ["host_duplicate"]


def test_an_address_of_two_hosts_is_a_problem_until_nobody_claims_it_twice() -> None:
    lan = Lan()
    for _ in range(3):
        lan.announce(H1, "10.1.0.9")
        lan.announce(H2, "10.1.0.9")
    (problem,) = said(lan)
    assert (problem.kind, problem.subject) == ("address_conflict", "10.1.0.9")
    assert problem.text in [
        f"10.1.0.9 is claimed by two hosts, {one} and {other}: give one of them another"
        for one, other in ((H1, H2), (H2, H1))
    ]
    lan.wait(CONFLICT_LIFETIME)
    assert said(lan) == []


def test_this_machine_is_no_second_host_while_somebody_has_set_its_interface_s_mac() -> None:
    lan = Lan()
    lan.announce(H1, "10.77.0.1")
    assert [problem.kind for problem in said(lan)] == ["address_conflict"]
    lan.discovery.set_interface_mac(H1)
    lan.announce(H1, "10.77.0.1")
    assert said(lan) == []
    lan.announce(H2, "10.77.0.1")
    assert [problem.kind for problem in said(lan)] == ["address_conflict"], "another host is one"


def test_the_machine_is_a_host_under_the_node_s_mac_and_under_its_bridge_s_a_host_of_the_lan() -> None:
    lan = Lan()
    lan.discovery.certify_own(Given(OWN, (ip_address("10.77.0.1"),), bridges=True))
    lan.discovery.add_own(lan.now, OWN, (ip_address("10.77.0.1"),), H1)
    lan.announce(H1, "10.77.0.1")
    assert said(lan) == [], "that is this machine, before its frames got the node's MAC"
    lan.announce(H1, "10.1.0.7")
    lan.announce(OWN, "10.1.0.7")
    lan.settle()
    assert lan.published == {(0, OWN): claim("10.77.0.1"), (0, H1): claim("10.1.0.7")}
    assert said(lan) == [], "the kernel still has neighbours at the port of the bridge"


def test_where_another_node_carries_the_lan_the_node_s_interface_is_no_host_whatever_its_kernel_sends_by_it() -> None:
    lan = Lan()
    lan.discovery.certify_own(Given(OWN, (), bridges=True))
    lan.discovery.add_own(lan.now, OWN, (ip_address("10.77.0.1"),), H1)
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lan.discovery.host_seen(lan.now, 0, 0, OWN)
    lan.announce(OWN, "10.1.0.7")
    lan.settle()
    assert not list(filter(None, lan.discovery.hosts(lan.now)))
    lan.discovery.set_port_forwarding(lan.now, 0, on=True)
    lan.discovery.host_seen(lan.now, 0, 7, OWN)
    shown = [(host.vlan, host.mac) for host in filter(None, lan.discovery.hosts(lan.now))]
    assert shown == [(0, OWN), (7, OWN)], "in a VLAN it is one, and without a bridge"


def test_very_many_duplicates_are_one_problem() -> None:
    lan = Lan()
    for number in range(MOST_SHOWN + 5):
        for sequence in range(10):
            lan.learn(OTHER if sequence % 2 else THIRD, mac(number), claim(sequence=sequence))
        lan.wait(0.1)
        assert len(said(lan)) == (number + 1 if number < MOST_SHOWN else 1)
    assert said(lan)[0].text.startswith(f"{MOST_SHOWN + 5} hosts are in two places at once")


def test_a_virtual_routers_mac_that_moves_is_no_problem() -> None:
    lan = Lan()
    for sequence in range(10):
        lan.learn(OTHER if sequence % 2 else THIRD, MacAddress.parse("00:00:5e:00:01:07"), claim(sequence=sequence))
    assert said(lan) == []


def test_a_port_tells_how_full_its_table_is() -> None:
    lan = Lan(DiscoveryConfig(max_hosts_per_port=10))
    for number in range(8):
        lan.announce(mac(number), f"10.1.1.{number}")
    uses = {use.what: (use.used, use.most) for use in lan.discovery.tables(lambda port: f"eth{port}")}
    assert uses["hosts on eth0"] == (9, 10)
    lan.learn(OTHER, H1, claim())
    assert {use.what: use.used for use in lan.discovery.tables(str)}["hosts of other nodes"] == 1
