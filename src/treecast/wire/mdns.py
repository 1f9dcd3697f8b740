"""mDNS responses (RFC 6762), as far as they give names to addresses: A and AAAA records of answers and additionals.

All else is skipped. Names may be compressed (RFC 1035 section 4.1.4); each pointer leads further back than the one
before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress
from treecast.base.errors import MalformedError
from treecast.wire.one_line import quoted

PORT = 5353
PROTOCOL_UDP = 17
GROUPS = (IPv4Address("224.0.0.251"), IPv6Address("ff02::fb"))
MAX_RECORDS = 256
MAX_POINTERS = 16
MAX_NAME_BYTES = 253
"""The longest name in text, without the final dot."""

_UDP_HEADER_BYTES, _DNS_HEADER_BYTES = 8, 12
_RESPONSE = 0x80
_QUESTION_BYTES, _RECORD_BYTES = 4, 10
_POINTER = 0xC0
_A, _AAAA, _INTERNET = 1, 28, 1
_CACHE_FLUSH = 0x8000


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """``name`` as it came, labels with dots between."""

    name: bytes
    address: IPAddress

    def __str__(self) -> str:
        return f"mDNS address {self.address} of {quoted(self.name)}"


def is_response(destination: IPAddress, protocol: int, datagram: bytes) -> bool:
    """Whether a UDP datagram is a response to the mDNS group, before any check."""
    to_group = protocol == PROTOCOL_UDP and destination in GROUPS and datagram[2:4] == PORT.to_bytes(2, "big")
    flags = _UDP_HEADER_BYTES + 2
    return to_group and len(datagram) > flags and datagram[flags] & _RESPONSE != 0


def parse(datagram: bytes) -> list[NamedAddress]:
    """The addresses with names in a UDP datagram, in its order; records that end (TTL 0) are left out.

    MalformedError ``mdns_*``.
    """
    length = int.from_bytes(datagram[4:6], "big")
    if not _UDP_HEADER_BYTES + _DNS_HEADER_BYTES <= length <= len(datagram):
        raise MalformedError("mdns_bad_length")
    message = datagram[_UDP_HEADER_BYTES:length]
    questions, *records = (int.from_bytes(message[at : at + 2], "big") for at in range(4, _DNS_HEADER_BYTES, 2))
    if questions + sum(records) > MAX_RECORDS:
        raise MalformedError("mdns_too_many_records")
    at = _DNS_HEADER_BYTES
    for _ in range(questions):
        at = _after_name(message, at) + _QUESTION_BYTES
    return list(_addresses(message, at, sum(records)))


def _addresses(message: bytes, at: int, records: int) -> Iterator[NamedAddress]:
    for _ in range(records):
        name_at, at = at, _after_name(message, at)
        fixed = message[at : at + _RECORD_BYTES]
        start = at + _RECORD_BYTES
        at = start + int.from_bytes(fixed[8:10], "big")
        if len(fixed) < _RECORD_BYTES or at > len(message):
            raise MalformedError("mdns_truncated")
        kind, record_class = int.from_bytes(fixed[:2], "big"), int.from_bytes(fixed[2:4], "big")
        if record_class & ~_CACHE_FLUSH != _INTERNET or not any(fixed[4:8]):
            continue
        if kind == _A and at - start == 4:
            yield NamedAddress(_name(message, name_at), IPv4Address(message[start:at]))
        elif kind == _AAAA and at - start == 16:
            yield NamedAddress(_name(message, name_at), IPv6Address(message[start:at]))


def _after_name(message: bytes, at: int) -> int:
    """Where a name ends: behind its root label or its first pointer."""
    while at < len(message):
        length = message[at]
        if length & _POINTER == _POINTER:
            return at + 2
        if length & _POINTER:
            raise MalformedError("mdns_bad_name")
        at += 1 + length
        if not length:
            return at
    raise MalformedError("mdns_truncated")


def _name(message: bytes, at: int) -> bytes:
    labels: list[bytes] = []
    size, earliest, pointers = 0, at, 0
    while at < len(message):
        length = message[at]
        if length & _POINTER == _POINTER:
            target = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            pointers += 1
            if target >= earliest or target < _DNS_HEADER_BYTES or pointers > MAX_POINTERS:
                raise MalformedError("mdns_bad_name")
            at = earliest = target
            continue
        if length & _POINTER:
            raise MalformedError("mdns_bad_name")
        if not length:
            return b".".join(labels)
        labels.append(message[at + 1 : at + 1 + length])
        size += length + 1
        if size > MAX_NAME_BYTES + 1:
            raise MalformedError("mdns_bad_name")
        at += 1 + length
    raise MalformedError("mdns_truncated")
