"""How hosts call themselves: whose word counts, what a name may be, how long it is remembered."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.unit.discovery.speaking import H1, H2, Lan
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.discovery.local_hosts import HOST_LIFETIME
from treecast.wire import ethernet, ipv4, ipv6
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

MDNS_4, MDNS_6 = IPv4Address("224.0.0.251"), IPv6Address("ff02::fb")


@pytest.fixture
def lan() -> Lan:
    return Lan()


def udp(source_port: int, port: int, message: bytes) -> bytes:
    ports = source_port.to_bytes(2, "big") + port.to_bytes(2, "big")
    return ports + (8 + len(message)).to_bytes(2, "big") + b"\0\0" + message


def request(who: MacAddress, name: bytes, *, client: MacAddress | None = None) -> bytes:
    bootp = b"\x01\x01\x06\x00" + bytes(24) + (client or who).packed + bytes(202)
    message = bootp + b"\x63\x82\x53\x63\x35\x01\x03\x0c" + bytes([len(name)]) + name + b"\xff"
    packet = Ipv4Packet(IPv4Address(0), IPv4Address("255.255.255.255"), 17, 64, udp(68, 67, message))
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, who, EtherType.IPV4, ipv4.emit(packet)))


def response(who: MacAddress, *names: tuple[str, str]) -> bytes:
    """A response that the first address sends, with these names and addresses."""
    records = b""
    for name, text in names:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        kind = b"\0\x1c" if address.version == 6 else b"\0\x01"
        records += labels + b"\0" + kind + b"\x80\x01\0\0\0\x78" + len(address.packed).to_bytes(2, "big")
        records += address.packed
    message = udp(5353, 5353, b"\0\0\x84\0\0\0" + len(names).to_bytes(2, "big") + bytes(4) + records)
    if ":" in names[0][1]:
        data = ipv6.emit(Ipv6Packet(IPv6Address(names[0][1]), MDNS_6, 17, 255, message))
        return ethernet.emit(EthernetFrame(ethernet.multicast_mac(MDNS_6), who, EtherType.IPV6, data))
    data = ipv4.emit(Ipv4Packet(IPv4Address(names[0][1]), MDNS_4, 17, 255, message))
    return ethernet.emit(EthernetFrame(ethernet.multicast_mac(MDNS_4), who, EtherType.IPV4, data))


def test_a_client_is_called_as_its_dhcp_request_says(lan: Lan) -> None:
    lan.frame(request(H1, b"camera-1\0"))
    assert lan.view(H1).name == "camera-1"
    assert lan.counted() == {}


@pytest.mark.parametrize("address", ["10.77.0.5", "fe80::5"])
def test_a_host_is_called_as_its_mdns_response_says_of_its_own_address(lan: Lan, address: str) -> None:
    if ":" in address:
        lan.advertise(H1, address)
    else:
        lan.announce(H1, address)
    lan.frame(response(H1, ("camera.local", address)))
    assert lan.view(H1).name == "camera.local"
    assert lan.counted() == {}


def chatter() -> list[bytes]:
    """Frames that are carried and copied, and that need not be read: first fragments, other headers, relays."""
    to4, to6 = ethernet.multicast_mac(MDNS_4), ethernet.multicast_mac(MDNS_6)
    source4, source6, everybody = IPv4Address("10.77.0.5"), IPv6Address("fe80::5"), IPv4Address("255.255.255.255")
    mdns = udp(5353, 5353, b"\0\0\x84\0\0\0" + bytes(6))
    relayed = b"\x01\x01\x06\x00" + bytes(24) + H2.packed + bytes(202) + b"\x63\x82\x53\x63\x35\x01\x01\xff"
    packets4 = [
        (to4, Ipv4Packet(source4, MDNS_4, 17, 255, mdns, more_fragments=True)),
        (to4, Ipv4Packet(source4, MDNS_4, 17, 255, udp(5353, 5353, bytes(20)))),
        (BROADCAST_MAC, Ipv4Packet(source4, everybody, 17, 64, udp(67, 68, bytes(20)), more_fragments=True)),
        (BROADCAST_MAC, Ipv4Packet(source4, everybody, 17, 64, udp(68, 67, bytes(20)), more_fragments=True)),
        (BROADCAST_MAC, Ipv4Packet(source4, everybody, 17, 64, udp(67, 67, relayed))),
    ]
    first_fragment, padding = b"\x11\0\0\1" + bytes(4), b"\x11\0\1\4" + bytes(4)
    packets6 = [
        Ipv6Packet(source6, MDNS_6, header, 255, head + rest)
        for header, head in ((44, first_fragment), (60, padding), (44, b"\x3c\0\0\1" + bytes(4) + padding))
        for rest in (mdns, udp(547, 546, bytes(8)))
    ]
    return [
        *(ethernet.emit(EthernetFrame(to, H1, EtherType.IPV4, ipv4.emit(packet))) for to, packet in packets4),
        *(ethernet.emit(EthernetFrame(to6, H1, EtherType.IPV6, ipv6.emit(packet))) for packet in packets6),
    ]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("frame", chatter())
def test_a_copy_that_need_not_be_read_is_no_drop_and_no_query_of_membership(
    lan: Lan, frame: bytes, apart: bool
) -> None:
    if apart:
        lan.discovery.open_multicast_only(1)
    assert lan.discovery.receive(lan.now, int(apart), ethernet.parse(frame), frame)
    assert lan.counted() == {}
    assert lan.view(H1).name == ""


def test_nobody_is_named_by_another(lan: Lan) -> None:
    """Neither a relay nor who answers for a sleeping host names another."""
    lan.announce(H1, "10.77.0.5")
    lan.announce(H2, "10.77.0.6")
    lan.frame(request(H2, b"liar", client=H1))
    lan.frame(response(H2, ("liar.local", "10.77.0.5")))
    assert (lan.view(H1).name, lan.view(H2).name) == ("", "")
    lan.frame(response(H2, ("liar.local", "10.77.0.5"), ("own.local", "10.77.0.6")))
    assert (lan.view(H1).name, lan.view(H2).name) == ("", "own.local")


@pytest.mark.parametrize("name", [b"a" * 64, b"two words", b"\x1b[2J", b"line\n", "b\u00fcro".encode(), b"a\0b"])
def test_a_name_that_is_not_plain_is_refused_and_counted(lan: Lan, name: bytes) -> None:
    lan.frame(request(H1, b"before"))
    lan.frame(request(H1, name))
    assert lan.view(H1).name == "before"
    assert lan.counted() == {"host_name_refused": 1}


def test_a_name_ends_with_its_host_and_is_not_published(lan: Lan) -> None:
    lan.frame(request(H1, b"camera"))
    before = lan.advertisements
    lan.frame(request(H1, b"other"))
    assert lan.advertisements == before
    lan.wait(HOST_LIFETIME + 1)
    lan.discovery.host_seen(lan.now, 0, 0, H1)
    assert lan.view(H1).name == ""


def test_a_port_that_another_node_serves_gives_no_names(lan: Lan) -> None:
    lan.discovery.set_port_forwarding(lan.now, 3, False)
    lan.frame(request(H1, b"camera"), port=3)
    assert H1 not in {host.mac for host in filter(None, lan.discovery.hosts(lan.now))}


def test_a_host_of_one_port_has_no_name_from_a_port_that_another_node_serves(lan: Lan) -> None:
    lan.discovery.set_port_forwarding(lan.now, 3, False)
    lan.frame(request(H1, b"camera"))
    lan.frame(request(H1, b"other"), port=3)
    assert (lan.view(H1).name, lan.view(H1).port) == ("camera", 0)


def test_hosts_behind_packet_ports_have_names_too(lan: Lan) -> None:
    lan.discovery.open_multicast_only(4)
    lan.frame(request(H1, b"camera"), port=4)
    assert lan.view(H1).name == "camera"
    assert lan.counted() == {}


def test_malformed_requests_and_responses_are_counted_by_name(lan: Lan) -> None:
    frame = bytearray(request(H1, b"camera"))
    frame[42] = 2
    lan.frame(bytes(frame))
    lan.frame(response(H1, ("a" * 60 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 63 + ".local", "10.77.0.5")))
    assert lan.counted() == {"dhcp_not_a_request": 1, "mdns_bad_name": 1}
