"""Records of the data plane: commands to the arrays that it reads, events from the arrays that it writes (MessagePack).

An IP address is its 4 or 16 bytes, and 4 more for the interface of a link-local one. The other side is
``crates/io/src/msgpack.rs``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, get_args, get_type_hints

from msgspec import msgpack

from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.commands import Command
from treecast.base.events import FromDataPlane
from treecast.base.ids import NodeIndex
from treecast.base.parent_failures import ParentFailure

_INTERFACE_BYTES = 4


def emit_commands(commands: Sequence[Command], place: Callable[[object], int]) -> bytes:
    """``place``: the number by which a command names an object that is no value; TypeError for what cannot be named."""

    def emit(value: object) -> object:
        match value:
            case IPv4Address() | IPv6Address():
                return _packed(value)
            case IPv4Network() | IPv6Network():
                return (value.network_address.packed, value.prefixlen)
            case _:
                return place(value)

    return msgpack.encode(commands, enc_hook=emit)


def parse_events(records: bytes) -> list[FromDataPlane]:
    """The events, in their order."""
    return [_PARSERS[kind](*fields) for kind, *fields in msgpack.decode(records)]


def emit_endpoint(endpoint: Endpoint) -> tuple[bytes, int]:
    """The endpoint as the data plane has it outside of records."""
    return _packed(endpoint.address), endpoint.port


def parse_endpoint(record: tuple[bytes, int]) -> Endpoint:
    """The inverse of ``emit_endpoint``."""
    packed, port = record
    return Endpoint(_address(packed), port)


def _packed(address: IPAddress) -> bytes:
    interface = address.scope_id if isinstance(address, IPv6Address) else None
    return address.packed + (int(interface).to_bytes(_INTERFACE_BYTES) if interface else b"")


def _address(packed: bytes) -> IPAddress:
    if len(packed) <= 16:
        return ip_address(packed)
    return IPv6Address(f"{IPv6Address(packed[:16])}%{int.from_bytes(packed[16:])}")


_FIELDS: dict[object, Callable[[Any], object]] = {
    Endpoint: parse_endpoint,
    MacAddress: lambda record: MacAddress(*record),
    ParentFailure: ParentFailure,
    tuple[NodeIndex, ...]: tuple,
}


def _parser(kind: Callable[..., FromDataPlane]) -> Callable[..., FromDataPlane]:
    hints = enumerate(get_type_hints(kind).values())
    parsers = [(number, _FIELDS[hint]) for number, hint in hints if hint in _FIELDS]

    def parse(*record: object) -> FromDataPlane:
        fields = list(record)
        for number, field in parsers:
            fields[number] = field(fields[number])
        return kind(*fields)

    return parse if parsers else kind


_PARSERS: dict[str, Callable[..., FromDataPlane]] = {kind.__name__: _parser(kind) for kind in get_args(FromDataPlane)}
