"""The context of a key offer: which flow the key is for (``docs/protocol.md`` section 6)."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.addresses import IPAddress, is_unicast, packed_to_address
from treecast.base.errors import MalformedError
from treecast.base.flows import BROADCAST, Flow, is_routed_prefix
from treecast.wire.control import U16
from treecast.wire.one_line import address, in_vlan, line

_Packed = Annotated[bytes, Meta(min_length=4, max_length=16)]


class _Context(msgspec.Struct, frozen=True, array_like=True):
    vlan: U16
    group: _Packed
    source: _Packed | None
    prefix_length: Annotated[int, Meta(ge=0, le=128)] | None = None

    def __str__(self) -> str:
        source = "*" if self.source is None else address(self.source)
        length = "" if self.prefix_length is None else f"/{self.prefix_length}"
        return line(f"key context ({source}, {address(self.group)}{length})", in_vlan(self.vlan))


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Context | None] = msgspec.msgpack.Decoder(_Context | None)


def emit_context(flow: Flow | None) -> bytes:
    if flow is None:
        return _encoder.encode(None)
    source = flow.source.packed if flow.source else None
    if flow.prefix_length is None:
        return _encoder.encode((flow.vlan, flow.group.packed, source))
    return _encoder.encode(_Context(flow.vlan, flow.group.packed, source, flow.prefix_length))


def parse_context(data: bytes) -> Flow | None:
    """MalformedError("key_context_malformed") for anything but a multicast group with at most one source that it can
    have, or nil.
    """
    try:
        context = _decoder.decode(data)
        if context is None:
            return BROADCAST
        group = packed_to_address(context.group)
        source = packed_to_address(context.source) if context.source is not None else None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedError("key_context_malformed") from error
    if not group.is_multicast or (source is not None and not (source.version == group.version and is_unicast(source))):
        raise MalformedError("key_context_malformed")
    if context.prefix_length is not None and (source is not None or not _is_prefix(group, context.prefix_length)):
        raise MalformedError("key_context_malformed")
    return Flow(context.vlan, group, source, context.prefix_length)


def _is_prefix(first: IPAddress, length: int) -> bool:
    try:
        return is_routed_prefix(ip_network((first, length)))
    except ValueError:
        return False
