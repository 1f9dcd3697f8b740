"""PIM version 2 (RFC 7761 section 4.9) as far as it is snooped (RFC 8220): Hello, and Join/Prune.

A Hello shows a multicast router, and for how long to believe it; a Join/Prune lists which groups and
sources one router wants from another. All other types pass unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.errors import MalformedError
from treecast.base.time import Duration
from treecast.wire import ethernet, ipv4, ipv6
from treecast.wire.checksum import internet_checksum, ipv6_pseudo_header, with_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet
from treecast.wire.one_line import line, listed

PROTOCOL_PIM = 103
ALL_PIM_ROUTERS_IPV4 = IPv4Address("224.0.0.13")
ALL_PIM_ROUTERS_IPV6 = IPv6Address("ff02::d")
DEFAULT_HOLD_TIME: Duration = 105
"""RFC 7761 section 4.11: 3.5 Hello periods of 30 s."""

FOREVER: Duration = float("inf")
"""Holdtime 0xffff: never time out."""

_NEVER = 0xFFFF
_HEADER_BYTES = 4
_HELLO, _JOIN_PRUNE = 0x20, 0x23
_OPTION_HOLD_TIME = 1
_FAMILIES = {1: 4, 2: 6}
_FAMILY_OF = {4: 1, 6: 2}
_ADDRESS_BYTES = {4: 4, 6: 16}
_NATIVE, _WITH_ATTRIBUTES = 0, 1
"""Encoding types; the second is that of sources with Join Attributes (RFC 5384 section 3.1)."""

_LAST_ATTRIBUTE = 0x40
_SPARSE, _WILDCARD, _RPT = 0x04, 0x02, 0x01


@dataclass(frozen=True, slots=True)
class PimHello:
    """A router shows itself. ``hold_time`` 0: it goes."""

    source: IPAddress
    hold_time: Duration

    def __str__(self) -> str:
        return f"PIM hello of {self.source} for {self.hold_time:g} s"


@dataclass(frozen=True, slots=True)
class PimSource:
    """An encoded source of a Join or Prune (RFC 7761 section 4.9.5.1).

    ``is_wildcard``: any source, by the RP tree; ``address`` is the RP. ``is_rpt`` alone: this source on the RP tree.
    """

    address: IPAddress
    is_wildcard: bool = False
    is_rpt: bool = False

    def __str__(self) -> str:
        return f"PIM source {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        if self.is_wildcard:
            return f"(*) by RP {self.address}"
        return f"{self.address} on the RP tree" if self.is_rpt else str(self.address)


@dataclass(frozen=True, slots=True)
class PimGroup:
    """Joins and Prunes of one group, or of all groups of a prefix."""

    group: IPAddress
    prefix_length: int
    joins: tuple[PimSource, ...] = ()
    prunes: tuple[PimSource, ...] = ()

    def __str__(self) -> str:
        return f"PIM group {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        group = str(self.group) if self.is_one_group else f"{self.group}/{self.prefix_length}"
        lists = (("join", self.joins), ("prune", self.prunes))
        return line(group, *(f"{what} {listed(named, 30, PimSource.text)}" for what, named in lists if named))

    @property
    def is_one_group(self) -> bool:
        return self.prefix_length == self.group.max_prefixlen


@dataclass(frozen=True, slots=True)
class PimJoinPrune:
    """A Join or Prune from a router (``source``) to the one that is to send (``upstream``), for ``hold_time``."""

    source: IPAddress
    upstream: IPAddress
    hold_time: Duration
    groups: tuple[PimGroup, ...]

    def __str__(self) -> str:
        ends = f"from {self.source} to {self.upstream} for {self.hold_time:g} s"
        return line(f"PIM join/prune {ends}:", listed(self.groups, show=PimGroup.text) or "no group")


def is_pim(frame: EthernetFrame) -> bool:
    """Whether the frame claims to carry PIM, before any check but of lengths."""
    if frame.ethertype == EtherType.IPV4:
        return len(frame.payload) >= ipv4.HEADER_BYTES and frame.payload[9] == PROTOCOL_PIM
    if frame.ethertype == EtherType.IPV6:
        return ipv6.upper_layer_of(frame.payload).protocol == PROTOCOL_PIM
    return False


def parse(frame: EthernetFrame) -> PimHello | PimJoinPrune:
    """The message that a frame carries. MalformedError ``ipv4_*``, ``ipv6_*`` or ``pim_*`` for anything else."""
    source: IPAddress
    if frame.ethertype == EtherType.IPV4:
        packet = ipv4.parse(frame.payload)
        source, payload, pseudo_header = packet.source, packet.payload, b""
        expected = packet.protocol == PROTOCOL_PIM and packet.destination == ALL_PIM_ROUTERS_IPV4
        usable = not (packet.is_fragment or source.is_unspecified or source.is_multicast)
    elif frame.ethertype == EtherType.IPV6:
        packet6 = ipv6.parse(frame.payload)
        upper = ipv6.upper_layer(packet6)
        source, payload = packet6.source, upper.data
        pseudo_header = ipv6_pseudo_header(packet6.source, packet6.destination, len(payload), PROTOCOL_PIM)
        expected = upper.protocol == PROTOCOL_PIM and packet6.destination == ALL_PIM_ROUTERS_IPV6
        usable = packet6.source.is_link_local and upper.is_whole
    else:
        raise MalformedError("pim_not_pim")
    if not expected:
        raise MalformedError("pim_not_pim")
    if not usable:
        raise MalformedError("pim_bad_source")
    if len(payload) < _HEADER_BYTES:
        raise MalformedError("pim_truncated")
    if internet_checksum(pseudo_header + payload) != 0:
        raise MalformedError("pim_bad_checksum")
    reader = _Reader(payload[_HEADER_BYTES:], source.version)
    match payload[0]:
        case 0x20:
            return PimHello(source, _hold_time(reader))
        case 0x23:
            return _join_prune(source, reader)
        case _:
            raise MalformedError("pim_unknown_type")


def hello_frame(hello: PimHello, mac: MacAddress, vlan: VlanTag | None = None) -> bytes:
    """A Hello with its hold time."""
    option = b"".join(value.to_bytes(2, "big") for value in (_OPTION_HOLD_TIME, 2, _seconds(hello.hold_time)))
    return _frame(hello.source, bytes((_HELLO, 0, 0, 0)) + option, mac, vlan)


def join_prune_frame(message: PimJoinPrune, mac: MacAddress, vlan: VlanTag | None = None) -> bytes:
    """Joins and Prunes."""
    body = bytes((_JOIN_PRUNE, 0, 0, 0)) + _encoded(message.upstream, b"")
    body += bytes((0, len(message.groups))) + _seconds(message.hold_time).to_bytes(2, "big")
    for group in message.groups:
        body += _encoded(group.group, bytes((0, group.prefix_length)))
        body += len(group.joins).to_bytes(2, "big") + len(group.prunes).to_bytes(2, "big")
        for named in (*group.joins, *group.prunes):
            flags = _SPARSE | _WILDCARD * named.is_wildcard | _RPT * named.is_rpt
            body += _encoded(named.address, bytes((flags, named.address.max_prefixlen)))
    return _frame(message.source, body, mac, vlan)


class _Reader:
    """Takes fields from the front of a message of one IP version. MalformedError ``pim_truncated`` at its end."""

    def __init__(self, data: bytes, ip_version: int) -> None:
        self._data = data
        self._at = 0
        self._ip_version = ip_version

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedError("pim_truncated")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def encoded(self, more: int) -> tuple[IPAddress, bytes]:
        """An Encoded-Unicast, -Group or -Source address: with ``more`` bytes of flags and prefix length."""
        version, encoding = _FAMILIES.get(self.number(1)), self.number(1)
        if version != self._ip_version:
            raise MalformedError("pim_other_address_family")
        flags = self.take(more)
        address = self.take(_ADDRESS_BYTES[version])
        if encoding == _WITH_ATTRIBUTES:
            self._skip_attributes()
        elif encoding != _NATIVE:
            raise MalformedError("pim_unknown_encoding")
        return (IPv4Address(address) if version == 4 else IPv6Address(address)), flags

    def _skip_attributes(self) -> None:
        """RFC 5384 section 3.1: each has flags, a length and a value."""
        while True:
            flags, length = self.number(1), self.number(1)
            self.take(length)
            if flags & _LAST_ATTRIBUTE:
                return


def _hold_time(options: _Reader) -> Duration:
    """The Holdtime option of a Hello, or the default."""
    while options.left:
        kind, value = options.number(2), options.take(options.number(2))
        if kind == _OPTION_HOLD_TIME and len(value) == 2:
            return _duration(int.from_bytes(value, "big"))
    return DEFAULT_HOLD_TIME


def _join_prune(source: IPAddress, reader: _Reader) -> PimJoinPrune:
    upstream, _ = reader.encoded(0)
    count, hold_time = reader.number(2) & 0xFF, reader.number(2)
    groups = tuple(_group(reader) for _ in range(count))
    return PimJoinPrune(source, upstream, _duration(hold_time), groups)


def _group(reader: _Reader) -> PimGroup:
    group, (_, prefix_length) = reader.encoded(2)
    joined, pruned = reader.number(2), reader.number(2)
    if not group.is_multicast or prefix_length > group.max_prefixlen:
        raise MalformedError("pim_bad_group")
    joins = tuple(_source(reader) for _ in range(joined))
    return PimGroup(group, prefix_length, joins, tuple(_source(reader) for _ in range(pruned)))


def _source(reader: _Reader) -> PimSource:
    address, (flags, prefix_length) = reader.encoded(2)
    if prefix_length != address.max_prefixlen:
        raise MalformedError("pim_bad_source_prefix")
    return PimSource(address, bool(flags & _WILDCARD), bool(flags & _RPT))


def _duration(seconds: int) -> Duration:
    return FOREVER if seconds == _NEVER else seconds


def _seconds(duration: Duration) -> int:
    return _NEVER if duration == FOREVER else int(duration)


def _encoded(address: IPAddress, flags: bytes) -> bytes:
    return bytes((_FAMILY_OF[address.version], _NATIVE)) + flags + address.packed


def _frame(source: IPAddress, body: bytes, mac: MacAddress, vlan: VlanTag | None) -> bytes:
    if isinstance(source, IPv4Address):
        packet = Ipv4Packet(source, ALL_PIM_ROUTERS_IPV4, PROTOCOL_PIM, 1, with_checksum(body, 2))
        destination = ethernet.multicast_mac(ALL_PIM_ROUTERS_IPV4)
        return ethernet.emit(EthernetFrame(destination, mac, EtherType.IPV4, ipv4.emit(packet), vlan))
    pseudo_header = ipv6_pseudo_header(source, ALL_PIM_ROUTERS_IPV6, len(body), PROTOCOL_PIM)
    packet6 = Ipv6Packet(source, ALL_PIM_ROUTERS_IPV6, PROTOCOL_PIM, 1, with_checksum(body, 2, pseudo_header))
    destination = ethernet.multicast_mac(ALL_PIM_ROUTERS_IPV6)
    return ethernet.emit(EthernetFrame(destination, mac, EtherType.IPV6, ipv6.emit(packet6), vlan))
