"""Commands and events cross to the data plane and back by one encoding, whose names both sides have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import get_args

import pytest
from msgspec import msgpack

from treecast import _native
from treecast.adapters.native_records import emit_commands, parse_events
from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.keep_local import KEEP_ALL
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.parent_failures import ParentFailure

MAC = MacAddress.parse("02:00:00:00:00:07")
SCOPED = b"\xfe\x80" + bytes(13) + b"\x01" + b"\0\0\0\x03"


def no_place(value: object) -> int:
    raise TypeError(value)


def test_the_data_plane_reads_every_command_with_the_fields_that_it_has_here() -> None:
    here = {kind.__name__: list(kind.__struct_fields__) for kind in get_args(c.Command)}
    assert here == _native.COMMANDS


@pytest.mark.parametrize(
    ("command", "record"),
    [
        (
            c.SendDatagram(0, Endpoint(IPv4Address("192.0.2.1"), 7700), b"x"),
            ["SendDatagram", 0, [b"\xc0\x00\x02\x01", 7700], b"x"],
        ),
        (
            c.SendDatagram(0, Endpoint(IPv6Address("fe80::1%3"), 7700), b"x"),
            ["SendDatagram", 0, [SCOPED, 7700], b"x"],
        ),
        (c.SendForwarded(NodeIndex(2), NodeIndex(3), b"x"), ["SendForwarded", 2, 3, b"x"]),
        (c.SetHost(7, MAC, NodeIndex(2)), ["SetHost", 7, [MAC.packed], 2]),
        (c.SetKeepLocal(0, KEEP_ALL), ["SetKeepLocal", 0, [True, True]]),
        (
            c.SetPortGroup(1, 0, IPv4Address("239.1.1.1"), SourceFilter(FilterMode.EXCLUDE, frozenset())),
            ["SetPortGroup", 1, 0, b"\xef\x01\x01\x01", ["exclude", []]],
        ),
        (
            c.SetPrefixRoute(0, IPv4Network("239.0.0.0/8"), StreamId(1)),
            ["SetPrefixRoute", 0, [b"\xef\0\0\0", 8], 1],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_is_its_name_and_its_fields_addresses_are_bytes(command: c.Command, record: list[object]) -> None:
    assert msgpack.decode(emit_commands([command], no_place)) == [record]


def test_a_value_that_no_command_has_is_refused_by_name() -> None:
    with pytest.raises(TypeError):
        emit_commands([c.InstallSession(object(), 1, NodeIndex(2), 0, Endpoint(SCOPE, 1), 1, True)], no_place)


SCOPE = IPv6Address("fe80::1%3")
EVENTS: tuple[e.FromDataPlane, ...] = (
    e.TapFrame(0, b"frame"),
    e.HandshakeDatagram(1, Endpoint(IPv4Address("192.0.2.1"), 7700), b"init"),
    e.ForeignHandshake(Endpoint(SCOPE, 7700)),
    e.ControlDatagram(NodeIndex(2), 5, b"message"),
    e.SessionHandshake(NodeIndex(2), 5, b"message"),
    e.ForwardedHandshake(NodeIndex(2), NodeIndex(3), b"init"),
    e.KeyOffered(NodeIndex(2), StreamId(1), KeyId(4), b"context"),
    e.TreeOffered(NodeIndex(2), StreamId(1), TreeEpoch(3), 2**40, NodeIndex(2), NodeIndex(0), (NodeIndex(4),)),
    e.ParentFailed(NodeIndex(2), StreamId(1), TreeEpoch(3), NodeIndex(4), ParentFailure.WITHHOLDS),
    e.PathSeen(NodeIndex(2), 5, 1, Endpoint(IPv6Address("2001:db8::1"), 7700)),
    e.PathAnswered(NodeIndex(2), 5, 0, Endpoint(IPv4Address("192.0.2.1"), 7700)),
    e.SessionConfirmed(NodeIndex(2), 5),
    e.FingerprintDiffers(NodeIndex(2), bytes(16)),
    e.TreeUsed(StreamId(9)),
    e.KeyWorn(StreamId(9), KeyId(4)),
    e.HostSeen(1, 7, MAC),
)


def test_every_event_is_made_of_its_record() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(e.FromDataPlane))

    def record(event: e.FromDataPlane) -> list[object]:
        return [type(event).__name__, *(getattr(event, name) for name in event.__struct_fields__)]

    def packed(value: object) -> object:
        assert isinstance(value, IPv4Address | IPv6Address)
        return SCOPED if value == SCOPE else value.packed

    parsed = parse_events(msgpack.encode([record(event) for event in EVENTS], enc_hook=packed))
    assert parsed == [*EVENTS]
    assert repr(parsed) == repr([*EVENTS]), "a number equals a name of it, and is not that"
