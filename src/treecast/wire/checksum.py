"""The Internet checksum (RFC 1071) and the pseudo-header of IPv6 (RFC 8200 section 8.1)."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address


def internet_checksum(data: bytes) -> int:
    """The one's complement of the one's complement sum of 16-bit words; 0 over data that holds its own checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv6_pseudo_header(source: IPv6Address, destination: IPv6Address, length: int, next_header: int) -> bytes:
    """40 bytes that go before an upper-layer packet of ``length`` bytes when its checksum is made."""
    return source.packed + destination.packed + struct.pack("!II", length, next_header)


def with_checksum(data: bytes, offset: int, pseudo_header: bytes = b"") -> bytes:
    """``data`` with the two bytes at ``offset`` (zero so far) replaced by the checksum over both arguments."""
    checksum = internet_checksum(pseudo_header + data)
    return data[:offset] + checksum.to_bytes(2, "big") + data[offset + 2 :]
