"""Frames to the LAN that a host has left, and the ports that hosts have come to."""

from __future__ import annotations

from tests.unit.discovery.speaking import H1, H2, OTHER, THIRD, Lan, claim, mac
from treecast.base.addresses import BROADCAST_MAC
from treecast.base.commands import Inject
from treecast.discovery.limits import DiscoveryConfig
from treecast.discovery.moves import GONE_DELAY
from treecast.wire import ethernet
from treecast.wire.ethernet import VlanTag
from treecast.wire.rarp import RARP_ETHERTYPE


def later(lan: Lan, seconds: float = GONE_DELAY) -> list[Inject]:
    """Frames sent to ports in this time."""
    lan.now = type(lan.now)(lan.now + seconds)
    lan.discovery.advance(lan.now)
    return [command for command in lan.settle() if isinstance(command, Inject)]


def test_the_lan_that_a_host_has_left_gets_one_frame_in_its_name() -> None:
    lan = Lan()
    lan.announce(H1, "10.1.0.1", vlan=7)
    lan.learn(OTHER, H1, claim("10.1.0.1", sequence=1), vlan=7)
    assert lan.discovery.next_deadline() == lan.now + GONE_DELAY
    (sent,) = later(lan)
    frame = ethernet.parse(sent.frame)
    assert (sent.port, frame.source, frame.destination, frame.vlan) == (0, H1, BROADCAST_MAC, VlanTag(7))
    assert frame.ethertype == RARP_ETHERTYPE
    lan.learn(THIRD, H1, claim("10.1.0.1", sequence=2), vlan=7)
    assert later(lan, 10.0) == [], "it was nowhere near this LAN"


def test_a_host_that_came_back_or_whose_lan_is_another_nodes_is_not_announced() -> None:
    lan = Lan()
    for who in (H1, H2):
        lan.announce(who, "10.1.0.1")
        lan.learn(OTHER, who, claim(sequence=1))
    lan.announce(H1, "10.1.0.1")
    lan.learn(OTHER, H2, None)
    assert later(lan) == []
    lan.learn(OTHER, H1, claim(sequence=3))
    lan.discovery.set_port_forwarding(lan.now, 0, on=False)
    assert later(lan) == []


def test_a_port_is_sent_no_more_such_frames_than_it_may_bring_news() -> None:
    lan = Lan(DiscoveryConfig(new_hosts_per_s=1.0, new_hosts_burst=8.0))
    for number in range(12):
        lan.discovery.host_seen(lan.now, 0, 0, mac(number))
        lan.wait(1.0)
    for number in range(12):
        lan.learn(OTHER, mac(number), claim(sequence=1))
    assert len(later(lan)) == 8
    assert lan.counted()["host_gone_rate"] == 4


def test_hosts_that_were_elsewhere_are_arrivals_and_new_ones_are_not() -> None:
    lan = Lan()
    lan.announce(H2, "10.1.0.2")
    assert lan.discovery.take_arrivals() == []
    lan.learn(OTHER, H1, claim("10.1.0.1"), vlan=7)
    lan.announce(H1, "10.1.0.1", vlan=7)
    lan.learn(OTHER, mac(1), claim())
    lan.learn(OTHER, mac(1), None)
    lan.discovery.host_seen(lan.now, 0, 0, mac(1))
    assert lan.discovery.take_arrivals() == [(0, 7), (0, 0)]
    lan.announce(H1, "10.1.0.1", vlan=7)
    assert lan.discovery.take_arrivals() == []
