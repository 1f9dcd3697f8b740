"""Where hosts are learned from, how long they are remembered, and how much one port may bring."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.unit.discovery.speaking import H1, H2, OTHER, OWN, Lan, claim, mac
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.discovery.limits import DEFAULTS
from treecast.wire import ethernet, ipv4, ipv6
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

SERVER = H2


@pytest.fixture
def lan() -> Lan:
    return Lan()


def udp(source_port: int, port: int, message: bytes) -> bytes:
    ports = source_port.to_bytes(2, "big") + port.to_bytes(2, "big")
    return ports + (8 + len(message)).to_bytes(2, "big") + b"\0\0" + message


def acknowledgement(client: MacAddress, address: str) -> bytes:
    bootp = b"\x02\x01\x06\x00" + bytes(12) + IPv4Address(address).packed + bytes(8) + client.packed + bytes(202)
    message = bootp + b"\x63\x82\x53\x63\x35\x01\x05\xff"
    packet = Ipv4Packet(IPv4Address("10.1.0.254"), IPv4Address("255.255.255.255"), 17, 64, udp(67, 68, message))
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, SERVER, EtherType.IPV4, ipv4.emit(packet)))


def reply(to: MacAddress, duid: bytes, address: str, valid_s: int) -> bytes:
    leased = IPv6Address(address).packed + bytes(4) + valid_s.to_bytes(4, "big")
    inner = b"\0\x05" + len(leased).to_bytes(2, "big") + leased
    association = bytes(12) + inner
    options = b"\0\x01" + len(duid).to_bytes(2, "big") + duid
    options += b"\0\x03" + len(association).to_bytes(2, "big") + association
    packet = Ipv6Packet(IPv6Address("fe80::1"), IPv6Address("fe80::a"), 17, 64, udp(547, 546, b"\x07abc" + options))
    return ethernet.emit(EthernetFrame(to, SERVER, EtherType.IPV6, ipv6.emit(packet)))


def test_a_bare_source_is_a_host_without_addresses(lan: Lan) -> None:
    lan.discovery.host_seen(lan.now, 0, 5, H1)
    lan.settle()
    assert lan.published[(5, H1)] == claim()


@pytest.mark.parametrize("nobody", [BROADCAST_MAC, MacAddress(bytes(6))])
def test_what_no_host_can_be_is_not_learned(lan: Lan, nobody: MacAddress) -> None:
    lan.discovery.host_seen(lan.now, 0, 0, nobody)
    lan.settle()
    assert list(lan.published) == [(0, OWN)]
    assert lan.counted() == {"host_mac_invalid": 1}


def test_a_host_that_is_seen_now_and_then_does_not_age(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    for _ in range(10):
        lan.wait(DEFAULTS.host_lifetime - 1)
        lan.discovery.host_seen(lan.now, 0, 0, H1)
    assert (0, H1) in lan.published
    lan.wait(DEFAULTS.host_lifetime)
    assert (0, H1) not in lan.published


def test_an_address_that_nobody_mentions_ends_before_its_host(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1")
    while lan.now < 100.0 + DEFAULTS.address_lifetime - 60:
        lan.wait(60.0)
        lan.announce(H1, "10.1.0.2")
    assert lan.published[(0, H1)] == claim("10.1.0.1", "10.1.0.2")
    lan.wait(60.0)
    assert lan.published[(0, H1)] == claim("10.1.0.2")


def test_the_next_deadline_is_the_first_end(lan: Lan) -> None:
    assert lan.discovery.next_deadline() is None
    lan.announce(H1, "10.1.0.1")
    lan.wait(10.0)
    lan.announce(H2, "10.1.0.2")
    assert lan.discovery.next_deadline() == 100.0 + DEFAULTS.host_lifetime
    lan.wait(10.0)
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    assert lan.discovery.next_deadline() == 110.0 + DEFAULTS.host_lifetime


def test_a_dhcp_servers_word_gives_a_local_client_its_address_and_makes_nobody_a_host(lan: Lan) -> None:
    lan.frame(acknowledgement(H1, "10.1.0.7"))
    assert (0, H1) not in lan.published
    assert lan.published[(0, SERVER)] == claim()
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.frame(acknowledgement(H1, "10.1.0.7"))
    assert lan.published[(0, H1)] == claim("10.1.0.7")


@pytest.mark.parametrize(
    ("to", "duid"),
    [(H1, b"\x00\x04" + bytes(16)), (mac(9), b"\x00\x03\x00\x01" + H1.packed)],
    ids=["to the client", "to its relay"],
)
def test_a_dhcpv6_reply_gives_and_takes_a_local_clients_address(lan: Lan, to: MacAddress, duid: bytes) -> None:
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.frame(reply(to, duid, "fd00::7", 3600))
    assert lan.published[(0, H1)] == claim("fd00::7")
    lan.frame(reply(to, duid, "fd00::7", 0))
    assert lan.published[(0, H1)] == claim()


def test_a_dhcpv6_reply_takes_no_address_of_another_host(lan: Lan) -> None:
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    lan.advertise(mac(3), "fd00::7")
    lan.frame(reply(H1, b"", "fd00::7", 0))
    assert (lan.addresses(H1), lan.addresses(mac(3))) == ([], [IPv6Address("fd00::7")])


def test_other_frames_are_not_discoverys(lan: Lan) -> None:
    packet = Ipv4Packet(IPv4Address("10.1.0.1"), IPv4Address("10.1.0.2"), 103, 1, b"\x20\0\0\0")
    frame = EthernetFrame(BROADCAST_MAC, H1, EtherType.IPV4, ipv4.emit(packet))
    assert not lan.discovery.receive(lan.now, 0, frame, ethernet.emit(frame))
    assert not lan.discovery.receive(lan.now, 0, replace(frame, ethertype=0x88B5), b"")


def test_malformed_dhcp_is_counted(lan: Lan) -> None:
    data = acknowledgement(H1, "10.1.0.7")
    lan.frame(data.replace(b"\x63\x82\x53\x63", b"\0\0\0\0"))
    assert lan.counted() == {"dhcp_not_dhcp": 1}


def test_a_spray_on_one_port_costs_the_other_port_nothing(lan: Lan) -> None:
    lan.announce(H1, "10.1.0.1", port=1)
    for number in range(3000):
        lan.announce(mac(number), "10.9.9.9", port=0)
    lan.announce(H2, "10.1.0.2", port=1)
    assert lan.published[(0, H1)] == claim("10.1.0.1")
    assert lan.published[(0, H2)] == claim("10.1.0.2")
    hosts = list(filter(None, lan.discovery.hosts(lan.now)))
    assert sum(1 for host in hosts if host.port == 0) == DEFAULTS.max_hosts_per_port
    assert lan.counted()["host_table_full"] == 3000 - DEFAULTS.max_hosts_per_port + 1


def test_new_hosts_have_a_rate(lan: Lan) -> None:
    slow = Lan(replace(DEFAULTS, new_hosts_per_s=1.0, new_hosts_burst=20.0))
    for number in range(30):
        slow.announce(mac(number), f"10.1.0.{number}")
    assert len(slow.published) == 1 + 10
    assert slow.counted()["host_rate"] == 20
    slow.wait(10.0)
    for number in range(30):
        slow.announce(mac(number), f"10.1.0.{number}")
    assert len(slow.published) == 1 + 10 + 5


def test_a_host_that_leaves_makes_room_on_its_port(lan: Lan) -> None:
    small = Lan(replace(DEFAULTS, max_hosts_per_port=3))
    for number in range(4):
        small.discovery.host_seen(small.now, 0, 0, mac(number))
    small.discovery.host_seen(small.now, 1, 0, mac(1))
    small.discovery.host_seen(small.now, 0, 0, mac(3))
    small.settle()
    assert set(small.published) == {(0, OWN), *((0, mac(number)) for number in (0, 1, 3))}
    assert small.counted() == {"host_table_full": 2}


def test_what_others_claim_is_kept_to_what_a_host_can_have(lan: Lan) -> None:
    lan.learn(OTHER, H1, claim("224.0.0.1", "0.0.0.0", "ff02::1", "10.1.0.1"))
    assert [str(address) for address in lan.addresses(H1)] == ["10.1.0.1"]


def test_the_table_of_others_hosts_is_bounded(lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treecast.discovery.remote_hosts.MAX_REMOTE_HOSTS", 3)
    for number in range(5):
        lan.learn(OTHER, mac(number), claim(f"10.1.0.{number + 1}"))
    assert len(lan.discovery.remote_hosts().items()) == 3
    assert lan.counted() == {"remote_hosts_full": 2}
    for number in range(5):
        lan.learn(OTHER, mac(number), None)
    assert lan.discovery.remote_hosts().items() == []
    assert len(lan.discovery.remote_hosts()) == 0
