"""``pim.json`` in a node's directory: PIM routers and their Joins, for its next start.

Times are what was left when the file was written: a wall clock that is set back meanwhile makes nothing last longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters import clock
from treecast.adapters.remembered_file import Entries, load_remembered, raw, write_remembered
from treecast.base.addresses import IPAddress
from treecast.base.limits import MAX_REMEMBERED_PIM_ENTRIES
from treecast.base.time import Instant, after
from treecast.multicast import PimJoinView, PimSegment

PIM_FILE = "pim.json"
MAX_PIM_FILE_BYTES = 1_048_576
"""4,096 Joins by IPv6, each of two in a VLAN of its own, have 900 kB."""

_LeftS = Annotated[int, Meta(ge=1, le=65_535)]
"""A hold time (RFC 7761 section 4.9)."""


def _address(text: str) -> IPAddress:
    """ValueError when it is none, or has a zone."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ValueError("a router's address has no zone")
    return address


class _Router(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    left_s: _LeftS

    def __post_init__(self) -> None:
        """ValueError when the address is none of a router."""
        address = _address(self.address)
        if address.is_multicast or address.is_unspecified:
            raise ValueError("a router has a unicast address")

    def value(self, now: Instant, elapsed_s: float) -> tuple[IPAddress, Instant]:
        return _address(self.address), after(now, self.left_s - elapsed_s)


class _Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``source`` None: (*,G)."""

    group: str
    source: str | None
    upstream: str
    left_s: _LeftS

    def __post_init__(self) -> None:
        """ValueError when it is no Join."""
        view = self.value(Instant(0), 0)
        addresses = [view.group, view.upstream, *([view.source] if view.source else [])]
        if not view.group.is_multicast or len({address.version for address in addresses}) != 1:
            raise ValueError("a Join has a group, and addresses of one IP version")

    def value(self, now: Instant, elapsed_s: float) -> PimJoinView:
        source = None if self.source is None else _address(self.source)
        upstream = _address(self.upstream)
        return PimJoinView(_address(self.group), source, upstream, after(now, self.left_s - elapsed_s))


_ROUTER, _JOIN = msgspec.json.Decoder(_Router), msgspec.json.Decoder(_Join)


class _Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: Annotated[str, Meta(min_length=1, max_length=64)]
    vlan: Annotated[int, Meta(ge=0, le=4095)]
    routers: Annotated[list[msgspec.Raw], Meta(max_length=MAX_REMEMBERED_PIM_ENTRIES)]
    joins: Annotated[list[msgspec.Raw], Meta(max_length=MAX_REMEMBERED_PIM_ENTRIES)]

    @classmethod
    def of(cls, segment: PimSegment, now: Instant) -> _Segment:
        """The segment without what ends within a second."""
        routers = [(str(address), int(expires - now)) for address, expires in segment.routers]
        joins = [(join, int(join.expires - now)) for join in segment.joins]
        return cls(
            segment.port,
            segment.vlan,
            [raw(_Router(address, left)) for address, left in routers if left > 0],
            [
                raw(_Join(str(join.group), str(join.source) if join.source else None, str(join.upstream), left))
                for join, left in joins
                if left > 0
            ],
        )

    def value(self, now: Instant, elapsed_s: float, entries: Entries) -> PimSegment:
        """The segment without what has ended meanwhile."""
        routers, joins = entries.sound(self.routers, _ROUTER), entries.sound(self.joins, _JOIN)
        return PimSegment(
            self.port,
            self.vlan,
            tuple(router.value(now, elapsed_s) for router in routers if router.left_s > elapsed_s),
            tuple(join.value(now, elapsed_s) for join in joins if join.left_s > elapsed_s),
        )


_SEGMENT = msgspec.json.Decoder(_Segment)


class _PimFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    written_unix_s: Annotated[int, Meta(ge=0, le=2**40)]
    segments: Annotated[list[msgspec.Raw], Meta(max_length=MAX_REMEMBERED_PIM_ENTRIES)]


def load_pim(directory: Path) -> tuple[PimSegment, ...]:
    """The routers whose hold time has not ended since, and their Joins; none without a file.

    OperatorError, DamagedError among them.
    """

    def values(file: _PimFile, entries: Entries) -> tuple[PimSegment, ...]:
        now, elapsed_s = clock.monotonic(), max(clock.unix_s() - file.written_unix_s, 0)
        segments = [segment.value(now, elapsed_s, entries) for segment in entries.sound(file.segments, _SEGMENT)]
        return tuple(segment for segment in segments if segment.joins)

    return load_remembered(directory / PIM_FILE, MAX_PIM_FILE_BYTES, _PimFile, values, partial(write_pim, directory))


def write_pim(directory: Path, segments: Iterable[PimSegment]) -> None:
    """OperatorError."""
    now = clock.monotonic()
    records = [raw(_Segment.of(segment, now)) for segment in segments]
    write_remembered(directory / PIM_FILE, _PimFile(int(clock.unix_s()), records))
