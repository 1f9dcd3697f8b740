"""DHCPv6 messages of servers (RFC 8415): the client's DUID and the addresses of a Reply.

Everything else is skipped, prefixes (IA_PD) included: they are routed, not held by a host. Relay messages are not
opened: the relay's own Reply to the client follows. The UDP checksum is not looked at: in a frame that never left its
machine it may be partial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire.ipv6 import Ipv6Packet
from treecast.wire.one_line import hexadecimal, line, listed

NEXT_HEADER_UDP = 17
SERVER_PORT = 547
MAX_OPTIONS = 128

_UDP_HEADER_BYTES = 8
_MESSAGE_HEADER_BYTES = 4
_REPLY = 7
_OPTION_CLIENT_ID, _OPTION_IA_NA, _OPTION_IA_TA, _OPTION_IA_ADDRESS = 1, 3, 4, 5
_IA_FIXED_BYTES = {_OPTION_IA_NA: 12, _OPTION_IA_TA: 4}
_ADDRESS_FIXED_BYTES = 24
_DUID_LINK_LAYER_AT = {b"\x00\x01\x00\x01": 8, b"\x00\x03\x00\x01": 4}
"""DUID-LLT and DUID-LL of an Ethernet interface (RFC 8415 sections 11.2 and 11.4): where the address begins."""


@dataclass(frozen=True, slots=True)
class LeasedAddress:
    """An IA Address option. ``valid_s`` seconds; 0 takes the address back."""

    address: IPv6Address
    valid_s: int

    def __str__(self) -> str:
        return f"leased {self.address} for {self.valid_s} s"


@dataclass(frozen=True, slots=True)
class Dhcpv6Reply:
    """A Reply: to whom (``client_duid``, empty when not stated), and its addresses in order."""

    client_duid: bytes
    addresses: tuple[LeasedAddress, ...]

    def __str__(self) -> str:
        leases = [f"{lease.address} for {lease.valid_s} s" for lease in self.addresses]
        return line(f"DHCPv6 reply to DUID {hexadecimal(self.client_duid)}:", listed(leases) or "no address")

    @property
    def duid_link_layer(self) -> MacAddress | None:
        """The MAC in the DUID: that of one interface of the client, not always of this one."""
        at = _DUID_LINK_LAYER_AT.get(self.client_duid[:4])
        return MacAddress(self.client_duid[at:]) if at is not None and len(self.client_duid) == at + 6 else None


def is_server_message(packet: Ipv6Packet) -> bool:
    """Whether it comes from a DHCPv6 server's or relay's port, before any check."""
    return packet.next_header == NEXT_HEADER_UDP and packet.payload[:2] == SERVER_PORT.to_bytes(2, "big")


def parse(packet: Ipv6Packet) -> Dhcpv6Reply | None:
    """The Reply in a server's message; None for any other message. MalformedError ``dhcpv6_*``."""
    datagram = packet.payload
    if len(datagram) < _UDP_HEADER_BYTES + _MESSAGE_HEADER_BYTES:
        raise MalformedError("dhcpv6_truncated")
    length = int.from_bytes(datagram[4:6], "big")
    if not _UDP_HEADER_BYTES + _MESSAGE_HEADER_BYTES <= length <= len(datagram):
        raise MalformedError("dhcpv6_bad_length")
    message = datagram[_UDP_HEADER_BYTES:length]
    if message[0] != _REPLY:
        return None
    duid = b""
    leased: list[LeasedAddress] = []
    for code, value in _options(message[_MESSAGE_HEADER_BYTES:]):
        if code == _OPTION_CLIENT_ID:
            duid = value
        elif code in _IA_FIXED_BYTES:
            leased += _leased(value, _IA_FIXED_BYTES[code])
    return Dhcpv6Reply(duid, tuple(leased[:MAX_OPTIONS]))


def _leased(association: bytes, fixed_bytes: int) -> Iterator[LeasedAddress]:
    """The addresses of an IA_NA or IA_TA (RFC 8415 sections 21.4 to 21.6)."""
    if len(association) < fixed_bytes:
        raise MalformedError("dhcpv6_bad_options")
    for code, value in _options(association[fixed_bytes:]):
        if code != _OPTION_IA_ADDRESS:
            continue
        if len(value) < _ADDRESS_FIXED_BYTES:
            raise MalformedError("dhcpv6_bad_options")
        yield LeasedAddress(IPv6Address(value[:16]), int.from_bytes(value[20:24], "big"))


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option (RFC 8415 section 21.1). MalformedError ``dhcpv6_bad_options``."""
    at = number = 0
    while at < len(data):
        number += 1
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big") if at + 4 <= len(data) else len(data) + 1
        if end > len(data) or number > MAX_OPTIONS:
            raise MalformedError("dhcpv6_bad_options")
        yield int.from_bytes(data[at : at + 2], "big"), data[at + 4 : end]
        at = end
