"""Addresses as values: MAC, IP, UDP endpoint."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from msgspec import Struct

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

DEFAULT_PORT = 7700
"""The UDP port of a node whose operator names no other."""
ALL_GROUPS: tuple[IPNetwork, ...] = (IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8"))
"""The prefixes of all groups of IP."""


class MacAddress(Struct, frozen=True, order=True, array_like=True):
    """An IEEE 802 MAC address: 6 bytes."""

    packed: bytes

    def __post_init__(self) -> None:
        if len(self.packed) != 6:
            raise ValueError(f"a MAC address has 6 bytes, not {len(self.packed)}")

    @classmethod
    def parse(cls, text: str) -> MacAddress:
        """``aa:bb:cc:dd:ee:ff`` to a value; ValueError otherwise."""
        return cls(bytes.fromhex(text.replace(":", "")))

    @property
    def is_group(self) -> bool:
        """The I/G bit: multicast or broadcast."""
        return bool(self.packed[0] & 1)

    @property
    def link_local(self) -> IPv6Address:
        """The IPv6 link-local address of an interface with this MAC (RFC 4291 appendix A: modified EUI-64)."""
        identifier = bytes((self.packed[0] ^ 2,)) + self.packed[1:3] + b"\xff\xfe" + self.packed[3:]
        return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)

    def __str__(self) -> str:
        return self.packed.hex(":")


BROADCAST_MAC = MacAddress(b"\xff" * 6)


class Endpoint(Struct, frozen=True, array_like=True, cache_hash=True):
    """One UDP address of a node, as the underlay sees it. Tables are keyed by it, and an IPv4Address's hash is slow."""

    address: IPAddress
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """``192.0.2.1:7700`` or ``[2001:db8::1]:7700``; ValueError otherwise."""
        host, separator, port = text.rpartition(":")
        if not separator or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is not ADDRESS:PORT")
        if host.startswith("[") and host.endswith("]"):
            return cls(IPv6Address(host[1:-1]), int(port))
        return cls(IPv4Address(host), int(port))

    def __str__(self) -> str:
        if self.address.version == 6:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"


def is_unicast(address: IPAddress) -> bool:
    """Whether it can be the source of a frame to a group: neither multicast nor unspecified nor 255.255.255.255."""
    return is_packed_unicast(address.packed)


def is_packed_unicast(packed: bytes) -> bool:
    """The same of 4 or 16 bytes."""
    if len(packed) == 4:
        return packed[0] & 0xF0 != 0xE0 and packed not in (_NO_IPV4, _ALL_IPV4)
    return packed[0] != 0xFF and packed != _NO_IPV6


_NO_IPV4, _ALL_IPV4, _NO_IPV6 = bytes(4), b"\xff" * 4, bytes(16)


def packed_to_address(packed: bytes) -> IPAddress:
    """4 or 16 bytes in network order to an address; ValueError otherwise."""
    if len(packed) not in (4, 16):
        raise ValueError(f"an IP address has 4 or 16 bytes, not {len(packed)}")
    return ip_address(packed)


class HostPort(Struct, frozen=True):
    """A node's address as the operator wrote it: a host name or an IP address, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
