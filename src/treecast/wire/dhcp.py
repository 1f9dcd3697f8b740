"""DHCP messages of servers and clients (RFC 2131): the four fields of a DHCPACK that name the client and its
address; and how a client calls itself.

Everything else is skipped. The UDP checksum is not looked at: in a frame that never left its machine it may be partial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.one_line import quoted

PROTOCOL_UDP = 17
SERVER_PORT = 67
MAX_OPTIONS = 128

_UDP_HEADER_BYTES = 8
_FIXED_BYTES = 236
_MAGIC_COOKIE = b"\x63\x82\x53\x63"
_BOOT_REQUEST, _BOOT_REPLY = 1, 2
_HARDWARE_ETHERNET = b"\x01\x06"
_OPTION_PAD, _OPTION_HOST_NAME, _OPTION_LEASE_TIME, _OPTION_MESSAGE_TYPE, _OPTION_END = 0, 12, 51, 53, 255
_ACK = 5


@dataclass(frozen=True, slots=True)
class DhcpAcknowledgement:
    """A DHCPACK: ``client`` (chaddr) may use ``address`` (yiaddr) for ``lease_s`` seconds (None: not stated)."""

    client: MacAddress
    address: IPv4Address
    lease_s: int | None

    def __str__(self) -> str:
        lease = "" if self.lease_s is None else f" for {self.lease_s} s"
        return f"DHCP acknowledgement: {self.client} has {self.address}{lease}"


@dataclass(frozen=True, slots=True)
class DhcpRequest:
    """A message of ``client`` (chaddr). ``host_name``: option 12 as it came (RFC 2132 section 3.14), or None."""

    client: MacAddress
    host_name: bytes | None

    def __str__(self) -> str:
        name = "" if self.host_name is None else f" host name {quoted(self.host_name)}"
        return f"DHCP request of {self.client}{name}"


def is_server_message(packet: Ipv4Packet) -> bool:
    """Whether it comes from a DHCP server's port, before any check."""
    source_port = SERVER_PORT.to_bytes(2, "big")
    return packet.protocol == PROTOCOL_UDP and not packet.is_fragment and packet.payload[:2] == source_port


def parse(packet: Ipv4Packet) -> DhcpAcknowledgement | None:
    """The DHCPACK in a server's message; None for any other message, and for one that gives no address.

    MalformedError ``dhcp_*``.
    """
    message = _message(packet)
    if message[0] == _BOOT_REQUEST:  # a relay agent hands it on, from the server's port too (RFC 1542 section 4.1.1)
        return None
    if message[0] != _BOOT_REPLY:
        raise MalformedError("dhcp_not_a_reply")
    kind: int | None = None
    lease_s: int | None = None
    for code, value in _options(message[_FIXED_BYTES + 4 :]):
        if code == _OPTION_MESSAGE_TYPE and len(value) == 1:
            kind = value[0]
        elif code == _OPTION_LEASE_TIME and len(value) == 4:
            lease_s = int.from_bytes(value, "big")
    address, client = IPv4Address(message[16:20]), MacAddress(message[28:34])
    if kind != _ACK or int(address) == 0 or client.is_group:
        return None
    return DhcpAcknowledgement(client, address, lease_s)


def is_client_message(packet: Ipv4Packet) -> bool:
    """Whether it goes to a DHCP server's port, and does not come from one, before any check."""
    port = SERVER_PORT.to_bytes(2, "big")
    to_server = packet.payload[2:4] == port and packet.payload[:2] != port
    return packet.protocol == PROTOCOL_UDP and not packet.is_fragment and to_server


def parse_request(packet: Ipv4Packet) -> DhcpRequest:
    """A client's message of any type. MalformedError ``dhcp_*``."""
    message = _message(packet)
    if message[0] != _BOOT_REQUEST:
        raise MalformedError("dhcp_not_a_request")
    names = [value for code, value in _options(message[_FIXED_BYTES + 4 :]) if code == _OPTION_HOST_NAME]
    return DhcpRequest(MacAddress(message[28:34]), names[0] if names else None)


def _message(packet: Ipv4Packet) -> bytes:
    """A DHCP message of a client on Ethernet, to it or from it."""
    message = _udp_payload(packet.payload)
    if len(message) < _FIXED_BYTES + len(_MAGIC_COOKIE):
        raise MalformedError("dhcp_truncated")
    if message[_FIXED_BYTES : _FIXED_BYTES + 4] != _MAGIC_COOKIE:
        raise MalformedError("dhcp_not_dhcp")
    if message[1:3] != _HARDWARE_ETHERNET:
        raise MalformedError("dhcp_not_ethernet")
    return message


def _udp_payload(datagram: bytes) -> bytes:
    if len(datagram) < _UDP_HEADER_BYTES:
        raise MalformedError("dhcp_truncated")
    length = int.from_bytes(datagram[4:6], "big")
    if not _UDP_HEADER_BYTES <= length <= len(datagram):
        raise MalformedError("dhcp_bad_length")
    return datagram[_UDP_HEADER_BYTES:length]


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option up to End (RFC 2132 section 2). MalformedError ``dhcp_bad_options``."""
    at = number = 0
    while at < len(data) and data[at] != _OPTION_END:
        if data[at] == _OPTION_PAD:
            at += 1
            continue
        number += 1
        end = at + 2 + data[at + 1] if at + 1 < len(data) else len(data) + 1
        if end > len(data) or number > MAX_OPTIONS:
            raise MalformedError("dhcp_bad_options")
        yield data[at], data[at + 2 : end]
        at = end
