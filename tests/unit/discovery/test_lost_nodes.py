"""Nodes to which no way leads any more: whether their hosts are answered for, and who may be their machine."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from tests.unit.discovery.speaking import H1, H2, ME, OTHER, OWN, THIRD, Lan, claim, mac
from treecast.base.addresses import MacAddress
from treecast.base.commands import Command, FloodFrame, Inject, RemoveHost, SetHost
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_DISPUTANTS
from treecast.discovery.disputed import Disputed
from treecast.discovery.orphaned_machine import ATTEMPTS, INTERVAL, SOLICITING_MAC
from treecast.wire import arp, ethernet, ipv6, ndp

THEIRS = MacAddress.parse("02:54:00:00:00:02")
IPV4, IPV6 = "10.77.0.2", "fd00::2"
LAN_MAC = mac(77)


@pytest.fixture
def lan() -> Lan:
    """OTHER may carry a LAN, and claims its own machine."""
    made = Lan()
    made.certify(OTHER, THEIRS, IPV4, IPV6)
    made.learn(OTHER, THEIRS, claim(IPV4, IPV6))
    return made


def lose(lan: Lan, node: NodeIndex = OTHER) -> list[tuple[NodeIndex, tuple[int, MacAddress]]]:
    return lan.discovery.lose(lan.now, node)


def find(lan: Lan) -> list[tuple[NodeIndex, tuple[int, MacAddress]]]:
    """The node is there again; what the hosts here are told of that is one test's."""
    found = lan.discovery.find(OTHER)
    lan.settle()
    return found


def asked(lan: Lan, address: str = IPV4) -> Command:
    (command,) = lan.arp(H1, "10.1.0.1", address)
    return command


def answer(lan: Lan, address: str = IPV4) -> MacAddress:
    command = asked(lan, address)
    assert isinstance(command, Inject)
    return arp.parse(ethernet.parse(command.frame).payload).sender_mac


def announced(commands: list[Command]) -> dict[str, MacAddress]:
    """Addresses that the hosts here are sent announcements of, and the MAC in each."""
    found: dict[str, MacAddress] = {}
    for command in commands:
        if isinstance(command, Inject):
            frame = ethernet.parse(command.frame)
            if frame.ethertype == 0x0806:
                packet = arp.parse(frame.payload)
                assert packet.is_gratuitous
                found[str(packet.sender_ip)] = packet.sender_mac
            else:
                message = ndp.parse(ipv6.parse(frame.payload))
                assert isinstance(message, ndp.NeighborAdvertisement)
                assert message.override
                found[str(message.target)] = ndp.link_layer_address(message) or OWN
    return found


def probed(commands: list[Command]) -> list[str]:
    """Addresses that the LAN is asked for."""
    found: list[str] = []
    for command in commands:
        if isinstance(command, Inject):
            frame = ethernet.parse(command.frame)
            assert frame.source == SOLICITING_MAC
            if frame.ethertype == 0x0806:
                packet = arp.parse(frame.payload)
                assert packet.is_probe
                found.append(str(packet.target_ip))
            else:
                packet6 = ipv6.parse(frame.payload)
                message = ndp.parse(packet6)
                assert isinstance(message, ndp.NeighborSolicitation)
                assert packet6.source.is_unspecified
                found.append(str(message.target))
    return found


def test_solicitations_for_hosts_of_a_lost_node_go_to_all_until_it_is_there_again(lan: Lan) -> None:
    lan.learn(OTHER, H2, claim("10.1.0.2"))
    assert answer(lan) == THEIRS
    lose(lan)
    assert isinstance(asked(lan), FloodFrame)
    assert isinstance(asked(lan, "10.1.0.2"), FloodFrame)
    find(lan)
    assert (answer(lan), answer(lan, "10.1.0.2")) == (THEIRS, H2)


def test_a_node_without_the_role_bridge_is_no_machine_on_a_lan_of_others(lan: Lan) -> None:
    lan.certify(OTHER, THEIRS, IPV4, bridges=False)
    lan.learn(OTHER, THEIRS, claim(IPV4))
    lan.learn(THIRD, LAN_MAC, claim(IPV4))
    assert lose(lan) == []
    assert answer(lan) == THEIRS
    lan.learn(THIRD, LAN_MAC, claim(IPV4, "10.1.0.9"))
    assert lan.addresses(LAN_MAC) == [ip_address("10.1.0.9")]


def test_the_machine_of_a_lost_node_is_where_it_is_claimed_and_the_hosts_here_are_told(lan: Lan) -> None:
    lose(lan)
    commands = lan.learn(THIRD, LAN_MAC, claim(IPV4, IPV6, "10.99.0.2"))
    assert announced(commands) == {IPV4: LAN_MAC, IPV6: LAN_MAC}
    assert answer(lan) == LAN_MAC
    assert lan.counted() == {}
    assert announced(lan.learn(THIRD, LAN_MAC, claim(IPV4, IPV6, sequence=1))) == {}, "they know"


def test_a_claim_that_came_before_the_loss_is_judged_anew_and_once_more_when_the_node_is_back(lan: Lan) -> None:
    said = claim(IPV4)
    assert announced(lan.learn(THIRD, LAN_MAC, said)) == {}
    assert (answer(lan), lan.counted()) == (THEIRS, {"address_of_a_node": 1})
    assert lose(lan) == [(THIRD, (0, LAN_MAC))]
    assert announced(lan.learn(THIRD, LAN_MAC, said)) == {IPV4: LAN_MAC}
    assert answer(lan) == LAN_MAC
    assert find(lan) == [(THIRD, (0, LAN_MAC))]
    assert answer(lan) == THEIRS
    assert announced(lan.learn(THIRD, LAN_MAC, said)) == {}
    assert lan.addresses(LAN_MAC) == []
    assert find(lan) == [], "it was there"


def test_the_hosts_here_are_told_where_a_node_is_that_was_lost(lan: Lan) -> None:
    lose(lan)
    lan.settle()
    lan.discovery.find(OTHER)
    assert announced(lan.settle()) == {IPV4: THEIRS, IPV6: THEIRS}, "whoever had them meanwhile, or said so in a frame"
    lan.discovery.find(OTHER)
    assert announced(lan.settle()) == {}, "it was there"


def test_the_mac_of_a_lost_node_stays_its_own_and_other_vlans_are_no_place_for_its_machine(lan: Lan) -> None:
    lose(lan)
    lan.learn(THIRD, THEIRS, claim(IPV4, sequence=1))
    assert lan.counted() == {"host_of_another_node": 1}
    assert announced(lan.learn(THIRD, LAN_MAC, claim(IPV4), vlan=7)) == {}
    assert lan.counted() == {"host_of_another_node": 1, "address_of_a_node": 1}
    assert isinstance(asked(lan), FloodFrame)


def test_who_does_not_carry_its_lan_announces_nothing_there(lan: Lan) -> None:
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lose(lan)
    assert announced(lan.learn(THIRD, LAN_MAC, claim(IPV4))) == {}


def test_the_lan_of_a_node_that_is_lost_is_asked_for_its_machine_which_is_a_host_of_who_took_it_over(lan: Lan) -> None:
    lan.discovery.take_over(lan.now, 0, (), OTHER)
    lose(lan)
    assert lan.discovery.next_deadline() == lan.now
    lan.discovery.advance(lan.now)
    assert probed(lan.settle()) == [IPV4, IPV6]
    lan.arp(LAN_MAC, IPV4, "0.0.0.0", to=SOLICITING_MAC, operation=arp.ArpOperation.REPLY)
    assert lan.published[(0, LAN_MAC)] == claim(IPV4)
    assert lan.counted() == {}
    lan.now = type(lan.now)(lan.now + INTERVAL)
    lan.discovery.advance(lan.now)
    assert probed(lan.settle()) == [IPV6]


def later(lan: Lan) -> list[str]:
    """Addresses that are asked for within as much time as it takes, one turn after the other."""
    found: list[str] = []
    for _ in range(2 * ATTEMPTS):
        lan.discovery.advance(lan.now)
        found += probed(lan.settle())
        lan.now = type(lan.now)(lan.now + INTERVAL)
    return found


def test_a_machine_that_is_silent_is_asked_for_three_times_and_claimed_by_nobody(lan: Lan) -> None:
    lan.discovery.take_over(lan.now, 0, (), OTHER)
    lose(lan)
    assert later(lan) == [IPV4, IPV6] * ATTEMPTS
    assert lan.published.keys() == {(0, OWN)}
    lose(lan)
    find(lan)
    assert later(lan) == [], "its node is back"


def test_a_lan_that_another_node_carried_or_carries_is_not_asked(lan: Lan) -> None:
    lan.certify(THIRD, mac(3), "10.77.0.3")
    lan.discovery.take_over(lan.now, 0, (), THIRD)
    lose(lan)
    assert later(lan) == []
    lan.discovery.take_over(lan.now, 0, (), OTHER)
    assert later(lan) == [IPV4, IPV6] * ATTEMPTS, "it was lost before its LAN was taken over"
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    lose(lan)
    assert later(lan) == []


def test_the_next_node_on_the_lan_gets_the_machine_with_what_it_had(lan: Lan) -> None:
    lose(lan)
    lan.learn(THIRD, LAN_MAC, claim(IPV4))
    lan.discovery.take_over(lan.now, 0, ((0, LAN_MAC),), THIRD)
    lan.settle()
    assert lan.published[(0, LAN_MAC)] == claim(IPV4, sequence=1)


def test_that_two_machines_had_its_address_is_no_conflict_any_more(lan: Lan) -> None:
    lan.announce(LAN_MAC, IPV4)
    assert [problem.kind for problem in lan.discovery.problems(lan.now, str)] == ["address_conflict"]
    lose(lan)
    assert list(lan.discovery.problems(lan.now, str)) == []
    lan.announce(LAN_MAC, IPV4)
    assert lan.published[(0, LAN_MAC)] == claim(IPV4)
    assert list(lan.discovery.problems(lan.now, str)) == []


def test_a_node_that_is_forgotten_is_lost_no_more(lan: Lan) -> None:
    lose(lan)
    lan.discovery.uncertify(OTHER)
    assert find(lan) == []
    lan.certify(OTHER, THEIRS, IPV4)
    assert lose(lan, ME) == [], "this node has no certificate of its own there"
    assert lan.discovery.certified_to(IPv4Address(IPV4)) == OTHER
    lan.learn(THIRD, LAN_MAC, claim(IPV4))
    assert lan.addresses(LAN_MAC) == []


def test_the_mac_that_asks_is_no_host() -> None:
    lan = Lan()
    lan.discovery.host_seen(lan.now, 0, 0, SOLICITING_MAC)
    lan.settle()
    assert lan.published.keys() == {(0, OWN)}
    assert lan.counted() == {"host_mac_invalid": 1}


def test_hosts_stay_where_they_are_in_the_data_plane(lan: Lan) -> None:
    lose(lan)
    assert not any(isinstance(command, SetHost | RemoveHost) for command in lan.settle())


def test_of_those_who_dispute_an_address_the_last_are_kept() -> None:
    disputed = Disputed()
    for number in range(MAX_DISPUTANTS + 1):
        disputed.note(OTHER, NodeIndex(10 + number), (0, H1))
    disputed.note(OTHER, NodeIndex(12), (0, H2))
    kept = disputed.of(OTHER)
    assert len(kept) == MAX_DISPUTANTS
    assert kept[0] == (11, (0, H1)) and kept[-1] == (12, (0, H2))
    disputed.forget(OTHER)
    assert disputed.of(OTHER) == []
