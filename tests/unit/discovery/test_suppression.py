"""Which solicitations cross the overlay, and what those that do not are answered."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from tests.unit.discovery.speaking import H1, H2, OTHER, OWN, Lan, claim, mac
from treecast.base.commands import FloodFrame, Inject
from treecast.base.machine_commands import SetBridgeMac
from treecast.wire import arp, ethernet, ipv6, ndp
from treecast.wire.arp import ArpOperation

MAC_SOURCE = ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, H1)


@pytest.fixture
def lan() -> Lan:
    return Lan()


def advertised(command: object) -> ndp.NeighborAdvertisement:
    assert isinstance(command, Inject)
    message = ndp.parse(ipv6.parse(ethernet.parse(command.frame).payload))
    assert isinstance(message, ndp.NeighborAdvertisement)
    return message


@pytest.mark.parametrize("is_router", [False, True])
def test_the_answer_for_a_host_elsewhere_has_its_router_flag_and_overrides(lan: Lan, is_router: bool) -> None:
    lan.learn(OTHER, H2, claim("fd00::b", is_router=is_router))
    (answer,) = lan.solicit(H1, "fd00::a", "fd00::b")
    said = advertised(answer)
    assert (said.router, said.solicited, said.override) == (is_router, True, True)
    assert ndp.link_layer_address(said) == H2


def test_the_router_flag_follows_what_the_host_says(lan: Lan) -> None:
    lan.advertise(H1, "fe80::a", router=True)
    assert lan.published[(0, H1)].is_router
    lan.nd(H1, "fe80::a", ndp.RouterSolicitation((MAC_SOURCE,)), to="ff02::2")
    assert not lan.published[(0, H1)].is_router
    lan.nd(H1, "fe80::a", ndp.RouterAdvertisement(64, 0, 1800, 0, 0, (MAC_SOURCE,)))
    assert lan.published[(0, H1)] == claim("fe80::a", is_router=True)
    lan.solicit(H1, "fe80::a", "fd00::b")
    assert lan.view(H1).is_router


def test_a_solicitation_for_a_host_of_the_same_lan_stays_there(lan: Lan) -> None:
    lan.announce(H2, "10.1.0.2")
    lan.advertise(H2, "fd00::b")
    assert lan.arp(H1, "10.1.0.1", "10.1.0.2") == []
    assert lan.solicit(H1, "fd00::a", "fd00::b") == []
    assert lan.discovery.counters.solicitations_suppressed == 2


def test_one_that_stays_without_answer_and_is_repeated_crosses(lan: Lan) -> None:
    lan.announce(H2, "10.1.0.2")
    assert lan.arp(H1, "10.1.0.1", "10.1.0.2") == []
    lan.wait(1.0)
    assert [type(command) for command in lan.arp(H1, "10.1.0.1", "10.1.0.2")] == [FloodFrame]
    lan.wait(10.0)
    assert lan.arp(H1, "10.1.0.1", "10.1.0.2") == []


def test_many_askers_of_one_local_host_do_not_make_each_other_cross(lan: Lan) -> None:
    lan.announce(H2, "10.1.0.2")
    assert [lan.arp(mac(n), f"10.1.1.{n}", "10.1.0.2") for n in range(1, 50)] == [[]] * 49


def test_a_solicitation_for_a_host_on_another_port_goes_to_that_port_alone(lan: Lan) -> None:
    lan.announce(H2, "10.1.0.2", port=1)
    (command,) = lan.arp(H1, "10.1.0.1", "10.1.0.2")
    assert isinstance(command, Inject)
    assert command.port == 1
    assert arp.parse(ethernet.parse(command.frame).payload).operation is ArpOperation.REQUEST


def test_one_vlans_hosts_are_not_answered_for_in_another(lan: Lan) -> None:
    lan.learn(OTHER, H2, claim("10.1.0.2"), vlan=7)
    assert [type(command) for command in lan.arp(H1, "10.1.0.1", "10.1.0.2", vlan=8)] == [FloodFrame]
    assert [type(command) for command in lan.arp(H1, "10.1.0.1", "10.1.0.2")] == [FloodFrame]
    (answer,) = lan.arp(H1, "10.1.0.1", "10.1.0.2", vlan=7)
    assert isinstance(answer, Inject)
    assert ethernet.parse(answer.frame).vlan_id == 7


def test_probes_announcements_and_replies_to_all_cross(lan: Lan) -> None:
    lan.learn(OTHER, H2, claim("10.1.0.2", "fd00::b"))
    for commands in (
        lan.arp(H1, "0.0.0.0", "10.1.0.2"),
        lan.announce(H1, "10.1.0.2"),
        lan.arp(H1, "10.1.0.1", "10.1.0.1", operation=ArpOperation.REPLY),
        lan.solicit(H1, "::", "fd00::b"),
        lan.advertise(H1, "fd00::a"),
    ):
        assert [type(command) for command in commands if not isinstance(command, Inject)] == [FloodFrame]
        assert not any(isinstance(command, Inject) for command in commands)


def test_solicitations_to_one_mac_are_the_data_planes(lan: Lan) -> None:
    lan.learn(OTHER, H2, claim("10.1.0.2"))
    assert lan.arp(H1, "10.1.0.1", "10.1.0.2", to=H2) == []


def test_an_address_that_is_shared_is_asked_of_all(lan: Lan) -> None:
    lan.advertise(H2, "fd00::cafe", override=False)
    assert lan.published[(0, H2)] == claim()
    assert [type(command) for command in lan.solicit(H1, "fd00::a", "fd00::cafe")] == [FloodFrame]
    assert lan.discovery.counters.address_conflicts == 0


def test_a_shared_answer_does_not_take_an_address_from_its_holder(lan: Lan) -> None:
    lan.advertise(H1, "fd00::cafe")
    lan.advertise(H2, "fd00::cafe", override=False)
    assert lan.addresses(H1) == [IPv6Address("fd00::cafe")]


def test_of_two_remote_hosts_the_last_to_get_the_address_is_named(lan: Lan) -> None:
    lan.learn(OTHER, H2, claim("10.1.0.2"))
    lan.learn(OTHER, H1, claim("10.1.0.2"))
    lan.learn(OTHER, H2, claim("10.1.0.2", "10.1.0.9"))
    (answer,) = lan.arp(OWN, "10.77.0.1", "10.1.0.2")
    assert isinstance(answer, Inject)
    assert arp.parse(ethernet.parse(answer.frame).payload).sender_mac == H1


def test_a_port_that_another_node_forwards_for_teaches_answers_and_floods_nothing(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H2, claim("10.1.0.2"))
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lan.settle()
    assert lan.published == {}
    assert lan.arp(H1, "10.1.0.1", "10.1.0.2") == []
    assert lan.solicit(H1, "fd00::a", "fd00::b") == []
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.settle()
    assert lan.published == {}
    lan.discovery.set_port_forwarding(lan.now, 0, on=True)
    lan.settle()
    assert lan.published == {(0, OWN): claim("10.77.0.1")}
    assert len(lan.arp(H1, "10.1.0.1", "10.1.0.2")) == 1


def test_the_nodes_own_interface_may_lead_to_another_lan_and_keeps_its_mac(lan: Lan) -> None:
    lan.announce(H2, "10.1.0.2")
    lan.announce(mac(1), "10.1.0.3", port=1)
    own = lan.addresses(OWN)[0]
    lan.discovery.add_own(lan.now, OWN, (own,), H1)
    assert SetBridgeMac(H1, (own,)) in lan.settle()
    assert lan.published == {(0, OWN): claim("10.77.0.1"), (0, mac(1)): claim("10.1.0.3")}
    lan.announce(H2, "10.1.0.2")
    lan.discovery.add_own(lan.now, OWN, (own,), H1)
    assert not lan.settle(), "nothing new"
    lan.discovery.add_own(lan.now, OWN, (own,), mac(2))
    assert SetBridgeMac(mac(2), (own,)) in lan.settle()
    assert (0, H2) in lan.published, "the bridge has another MAC, and is on the same LAN"
    lan.discovery.add_own(lan.now, OWN, (own,))
    assert SetBridgeMac(None, ()) in lan.settle()
    assert (0, H2) not in lan.published
