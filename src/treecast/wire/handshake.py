"""The handshake datagrams' clear headers and payload. Format: ``docs/protocol.md`` section 3."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.errors import MalformedError
from treecast.wire.control import U64


class HandshakeType(IntEnum):
    INIT = 0xC0
    RESPONSE = 0xC1
    FINAL = 0xC2


class HandshakePayload(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What each side says of itself: certificate, AEAD preference, start in milliseconds since 1970."""

    certificate: Annotated[bytes, Meta(max_length=512)]
    aead: Annotated[int, Meta(ge=1, le=2)]
    epoch_ms: U64


_decoder = msgspec.msgpack.Decoder(HandshakePayload)


def emit_payload(payload: HandshakePayload) -> bytes:
    return msgspec.msgpack.encode(payload)


def parse_payload(data: bytes) -> HandshakePayload:
    """MalformedError("handshake_payload_malformed") for anything else."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("handshake_payload_malformed") from error


def handshake_type(data: bytes) -> HandshakeType:
    """MalformedError("handshake_malformed") when the first byte is no handshake's."""
    try:
        return HandshakeType(data[0])
    except (IndexError, ValueError) as error:
        raise MalformedError("handshake_malformed") from error


def receiver_index(data: bytes) -> int:
    """The receiver's session index in a RESPONSE or FINAL datagram."""
    offset = 8 if data[:1] == b"\xc1" else 4
    try:
        (index,) = struct.unpack_from("!I", data, offset)
    except struct.error as error:
        raise MalformedError("handshake_malformed") from error
    return int(index)
