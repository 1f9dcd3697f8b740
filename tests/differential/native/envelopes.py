"""IP packets with extension headers and options before their upper layer."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.base.addresses import IPAddress

EXTENSIONS = {
    "hop-by-hop": (0, b"\0\x01\x04\0\0\0\0"),
    "routing": (43, b"\0" + bytes(6)),
    "destination": (60, b"\0\x01\x04\0\0\0\0"),
    "long": (60, b"\x03\x01\x1c" + bytes(28)),
    "endless": (60, b"\xff" + bytes(6)),
    "authentication": (51, b"\x04" + bytes(22)),
    "first": (44, b"\0\0\x01\0\0\0\x09"),
    "atomic": (44, b"\0\0\0\0\0\0\x09"),
    "later": (44, b"\0\0\x08\0\0\0\x09"),
}
"""Number and what follows the next header's."""
CHAINS = (
    *((kind,) for kind in EXTENSIONS),
    ("hop-by-hop", "destination"),
    ("destination", "hop-by-hop", "routing"),
    ("hop-by-hop", "first", "long", "authentication"),
    ("authentication", "atomic", "destination"),
    ("destination",) * 7,
    ("destination",) * 8,
)


def behind(chain: tuple[str, ...], destination: IPAddress, protocol: int, upper: bytes) -> bytes:
    """An IPv6 packet with these extension headers."""
    for kind in reversed(chain):
        number, rest = EXTENSIONS[kind]
        protocol, upper = number, bytes([protocol]) + rest + upper
    start = bytes([0x60, 0, 0, 0, *len(upper).to_bytes(2, "big"), protocol, 9])
    return start + ip_address("fd09::1").packed + destination.packed + upper


def with_options(words: int, fragment: int, destination: IPAddress, protocol: int, upper: bytes) -> bytes:
    """An IPv4 packet with so many words of options."""
    length = 20 + 4 * words + len(upper)
    start = bytes([0x45 + words, 0, *length.to_bytes(2, "big"), 0, 1, *fragment.to_bytes(2, "big"), 9, protocol, 0, 0])
    return start + ip_address("10.9.0.1").packed + destination.packed + b"\x01" * 4 * words + upper
