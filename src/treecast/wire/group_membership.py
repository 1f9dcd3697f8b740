"""Records of membership messages, whichever of IGMP and MLD carried them.

MLDv2 is IGMPv3 for IPv6 (RFC 9777 section 1), so both parse into these records, and the router side in
``treecast.multicast`` reads nothing else. ``igmp`` and ``mld`` know the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from treecast.base.addresses import IPAddress, MacAddress, packed_to_address
from treecast.base.errors import MalformedError
from treecast.base.time import Duration
from treecast.wire.one_line import MAX_LINE, in_vlan, line, listed, shortened, sources


class RecordType(IntEnum):
    """Group Record Types (RFC 9776 section 4.2.13), Multicast Address Record Types (RFC 9777 section 5.2.12)."""

    MODE_IS_INCLUDE = 1
    MODE_IS_EXCLUDE = 2
    CHANGE_TO_INCLUDE_MODE = 3
    CHANGE_TO_EXCLUDE_MODE = 4
    ALLOW_NEW_SOURCES = 5
    BLOCK_OLD_SOURCES = 6

    @property
    def short(self) -> str:
        """``INCLUDE``, ``TO_EXCLUDE``, ``ALLOW``."""
        return _SHORT_NAMES[self]


_SHORT_NAMES = {
    RecordType.MODE_IS_INCLUDE: "INCLUDE",
    RecordType.MODE_IS_EXCLUDE: "EXCLUDE",
    RecordType.CHANGE_TO_INCLUDE_MODE: "TO_INCLUDE",
    RecordType.CHANGE_TO_EXCLUDE_MODE: "TO_EXCLUDE",
    RecordType.ALLOW_NEW_SOURCES: "ALLOW",
    RecordType.BLOCK_OLD_SOURCES: "BLOCK",
}
_KNOWN_TYPES = frozenset(int(record_type) for record_type in RecordType)


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One record of an IGMPv3 or MLDv2 report."""

    record_type: RecordType
    group: IPAddress
    sources: tuple[IPAddress, ...] = ()

    def __str__(self) -> str:
        return f"record {self.text()}"

    def text(self) -> str:
        """The line without its kind: ``239.1.2.3 INCLUDE{10.0.0.1}``."""
        return f"{self.group} {sources(self.record_type.short, self.sources)}"


@dataclass(frozen=True, slots=True)
class MembershipQuery:
    """A query of any version.

    ``group`` is the unspecified address in a General Query. ``suppress`` is the S flag, ``robustness`` the QRV
    (0: not stated) and ``query_interval`` the QQIC in seconds (0: not stated); older versions leave the three
    at zero. ``max_response_time`` is 0 in IGMPv1.
    """

    version: int
    group: IPAddress
    max_response_time: Duration
    suppress: bool = False
    robustness: int = 0
    query_interval: Duration = 0
    sources: tuple[IPAddress, ...] = ()

    def __str__(self) -> str:
        kind = "general query" if self.is_general else f"query {self.group}"
        of = f" {sources('of ', self.sources)}" if self.sources else ""
        suppress = ", suppress" if self.suppress else ""
        return (
            f"{_version(self.group, self.version)} {kind}{of}, response within {self.max_response_time:g} s{suppress}"
        )

    @property
    def is_general(self) -> bool:
        return self.group.is_unspecified


@dataclass(frozen=True, slots=True)
class MembershipReport:
    """An IGMPv3 or MLDv2 report. Records of types the RFCs do not know are left out, as they require."""

    records: tuple[GroupRecord, ...]

    def __str__(self) -> str:
        if not self.records:
            return "membership report of nothing"
        first = self.records[0].group
        version = _version(first, 3 if first.version == 4 else 2)
        return line(version, "report", listed(self.records, 120, GroupRecord.text))


@dataclass(frozen=True, slots=True)
class OlderReport:
    """A report without source filters: IGMPv1, IGMPv2 or MLDv1 (``version`` counts in its own protocol)."""

    version: int
    group: IPAddress

    def __str__(self) -> str:
        return f"{_version(self.group, self.version)} report {self.group}"


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """An IGMPv2 Leave Group or an MLDv1 Done."""

    group: IPAddress

    def __str__(self) -> str:
        return f"IGMPv2 leave {self.group}" if self.group.version == 4 else f"MLDv1 done {self.group}"


MembershipMessage = MembershipQuery | MembershipReport | OlderReport | LeaveGroup


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that passed the checks of its RFC, and who sent it. ``vlan_id`` None: untagged.

    ``lacks_router_alert``: an IGMP message of version 2 or 3 without that option (an MLD message always has it).
    """

    message: MembershipMessage
    source_mac: MacAddress
    source: IPAddress
    destination: IPAddress
    vlan_id: int | None = None
    lacks_router_alert: bool = False

    def __str__(self) -> str:
        ends = line(f"from {self.source} ({self.source_mac}) to {self.destination}", in_vlan(self.vlan_id))
        alert = " without router alert" if self.lacks_router_alert else ""
        return f"{shortened(str(self.message), MAX_LINE - len(ends) - len(alert) - 1)} {ends}{alert}"


def _version(group: IPAddress, version: int) -> str:
    return f"{'IGMP' if group.version == 4 else 'MLD'}v{version}"


def decode_float(code: int, mantissa_bits: int) -> int:
    """The number that a Max Resp Code or QQIC stands for (RFC 9776 section 4.1.1, RFC 9777 section 5.1.3).

    ``mantissa_bits`` is 4 for the 8-bit codes and 12 for MLD's 16-bit Maximum Response Code.
    """
    if code < 1 << mantissa_bits + 3:
        return code
    exponent = code >> mantissa_bits & 0x7
    mantissa = code & (1 << mantissa_bits) - 1
    return (mantissa | 1 << mantissa_bits) << exponent + 3


def encode_float(value: int, mantissa_bits: int) -> int:
    """The code of the largest number that is not above ``value``."""
    largest = (2 << mantissa_bits) - 1 << 10
    value = min(max(value, 0), largest)
    if value < 1 << mantissa_bits + 3:
        return value
    exponent = value.bit_length() - mantissa_bits - 4
    mantissa = value >> exponent + 3 & (1 << mantissa_bits) - 1
    return 1 << mantissa_bits + 3 | exponent << mantissa_bits | mantissa


def parse_records(data: bytes, count: int, address_bytes: int, truncated: str) -> tuple[GroupRecord, ...]:
    """``count`` records at the start of ``data``; MalformedError with reason ``truncated`` when they do not fit.

    A record: type, auxiliary data length in 32-bit words, number of sources (u16), group, sources, auxiliary data.
    """
    records = []
    at = 0
    for _ in range(count):
        head = at + 4 + address_bytes
        if head > len(data):
            raise MalformedError(truncated)
        source_count = int.from_bytes(data[at + 2 : at + 4], "big")
        sources_end = head + source_count * address_bytes
        end = sources_end + data[at + 1] * 4
        if end > len(data):
            raise MalformedError(truncated)
        if data[at] in _KNOWN_TYPES:
            group = packed_to_address(data[at + 4 : head])
            records.append(
                GroupRecord(RecordType(data[at]), group, parse_sources(data[head:sources_end], address_bytes))
            )
        at = end
    return tuple(records)


def parse_sources(data: bytes, address_bytes: int) -> tuple[IPAddress, ...]:
    """Addresses that lie one after the other."""
    return tuple(packed_to_address(data[at : at + address_bytes]) for at in range(0, len(data), address_bytes))


def emit_records(records: Sequence[GroupRecord]) -> bytes:
    """The records' bytes, without auxiliary data."""
    return b"".join(
        bytes((record.record_type, 0))
        + len(record.sources).to_bytes(2, "big")
        + record.group.packed
        + emit_sources(record.sources)
        for record in records
    )


def emit_sources(sources: Sequence[IPAddress]) -> bytes:
    return b"".join(source.packed for source in sources)
