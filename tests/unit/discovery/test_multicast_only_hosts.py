"""Hosts behind a packet port: learned and shown, and nobody is told of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.unit.discovery.speaking import H1, H2, ME, OTHER, Lan, claim, mac
from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.base.commands import FloodFrame, Inject
from treecast.discovery.limits import DEFAULTS
from treecast.discovery.view import HostView
from treecast.wire import ethernet, igmp
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

PORT = 1
A1 = IPv4Address("192.168.1.7")


@pytest.fixture
def lan() -> Lan:
    own = Lan()
    own.discovery.open_multicast_only(PORT)
    return own


def shown(lan: Lan, who: MacAddress = H1) -> list[HostView]:
    return [view for view in filter(None, lan.discovery.hosts(lan.now)) if view.mac == who]


def addresses(lan: Lan) -> set[IPAddress]:
    return {address for view in shown(lan) for address in view.addresses}


def test_arp_and_nd_tell_who_is_there_and_nothing_is_sent_or_published(lan: Lan) -> None:
    assert lan.announce(H1, str(A1), port=PORT) == []
    assert lan.arp(H1, str(A1), "192.168.1.1", port=PORT) == []
    assert addresses(lan) == {A1}
    advertisement = lan.advertise(H1, "fe80::7")[0]
    assert isinstance(advertisement, FloodFrame)
    lan.wait(DEFAULTS.host_lifetime)
    assert lan.frame(advertisement.frame, port=PORT) == []
    assert addresses(lan) == {IPv6Address("fe80::7")}, "the IPv4 address has aged out"
    assert [(view.node, view.port) for view in shown(lan)] == [(ME, PORT)]
    assert (0, H1) not in lan.published


def test_a_host_of_another_lan_with_the_same_address_is_answered_for_as_before(lan: Lan) -> None:
    lan.announce(H1, str(A1), port=PORT)
    lan.learn(OTHER, H2, claim(str(A1)))
    assert lan.arp(mac(3), "192.168.1.9", str(A1), port=PORT) == []  # not on the packet port
    (answer,) = lan.arp(mac(4), "10.1.0.9", str(A1))
    assert isinstance(answer, Inject)
    assert H2.packed in answer.frame
    assert shown(lan, H2)[0].node == OTHER


def test_a_report_tells_the_host_s_address_and_is_left_to_the_membership(lan: Lan) -> None:
    report = MembershipReport((GroupRecord(RecordType.CHANGE_TO_EXCLUDE_MODE, IPv4Address("239.1.1.1")),))
    wire = igmp.message_frame(report, H1, A1)
    assert not lan.discovery.receive(lan.now, PORT, ethernet.parse(wire), wire)
    assert addresses(lan) == {A1}


def test_hosts_age_out_and_go_with_their_port(lan: Lan) -> None:
    lan.discovery.host_seen(lan.now, PORT, 0, H1)
    assert shown(lan)
    lan.wait(DEFAULTS.host_lifetime)
    assert not shown(lan)
    lan.discovery.host_seen(lan.now, PORT, 0, H1)
    lan.discovery.set_port_forwarding(lan.now, PORT, False)
    assert not shown(lan)
    lan.announce(H1, str(A1), port=PORT)
    assert not shown(lan), "another node serves it"
    lan.discovery.host_seen(lan.now, PORT, 0, H2)
    lan.learn(OTHER, H2, claim())
    lan.discovery.set_port_forwarding(lan.now, PORT, True)
    assert addresses(lan) == {A1}, "it was heard while another node served it"
    assert [view.node for view in shown(lan, H2)] == [OTHER], "heard through the other node"
    lan.discovery.close_multicast_only(PORT)
    assert not shown(lan)


@pytest.mark.parametrize("nobody", [BROADCAST_MAC, MacAddress(bytes(6))])
def test_what_no_host_can_be_is_not_learned_there_either(lan: Lan, nobody: MacAddress) -> None:
    lan.discovery.host_seen(lan.now, PORT, 0, nobody)
    assert shown(lan, nobody) == []
    assert lan.counted() == {"host_mac_invalid": 1}
