"""The handshake datagrams' clear headers and payload. Format: ``docs/protocol.md`` section 3."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base import protocol_version
from treecast.base.errors import MalformedError
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.wire.control import U8, U63
from treecast.wire.one_line import octets

_COOKIE_MAC_BYTES = 16


class HandshakeType(IntEnum):
    INIT = 0xC0
    RESPONSE = 0xC1
    FINAL = 0xC2
    REFUSAL = 0xC3
    COOKIE = 0xC6


class RefusalReason(IntEnum):
    """Why a certificate, or a link, is refused; in lower case the names are those of the drops."""

    CERTIFICATE_MALFORMED = 1
    CERTIFICATE_WRONG_NETWORK = 2
    CERTIFICATE_BAD_SIGNATURE = 3
    CERTIFICATE_EXPIRED = 4
    CERTIFICATE_NOT_YET_VALID = 5
    HANDSHAKE_NOT_ITS_CERTIFICATE = 6
    CERTIFICATE_REVOKED = 7
    CERTIFICATE_REPLACED = 8
    HANDSHAKE_NO_COMMON_VERSION = 9
    CERTIFICATE_EXTENSION_UNKNOWN = 10
    HANDSHAKE_LINKS_FULL = 11


MAX_VERSION_CHARACTERS = 24
LINK_SECRET_ID_BYTES = 8


class HandshakePayload(msgspec.Struct, frozen=True, array_like=True):
    """The payload by which each side describes itself: certificate, AEAD preference, start and wall clock in
    milliseconds since 1970, in FINAL why it refuses the other (else 0), the MTU of its underlay, its program's version,
    the lowest and the highest version of the protocol that it understands, its capabilities, and the id of the link
    secret that it has with the other, or nothing.
    """

    certificate: Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)]
    aead: Annotated[int, Meta(ge=1, le=2)]
    epoch_ms: U63
    clock_ms: U63
    refused: Annotated[int, Meta(ge=0, le=255)]
    underlay_mtu: Annotated[int, Meta(ge=1280, le=9000)]
    version: Annotated[str, Meta(max_length=MAX_VERSION_CHARACTERS, pattern=r"\A[0-9A-Za-z.+-]*\Z")]
    lowest_protocol: U8 = protocol_version.LOWEST
    highest_protocol: U8 = protocol_version.HIGHEST
    capabilities: U63 = 0
    link_secret: Annotated[bytes, Meta(max_length=LINK_SECRET_ID_BYTES)] = b""

    def __str__(self) -> str:
        refused = f", refuses ({_shown_reason(self.refused)})" if self.refused else ""
        times = f"epoch {self.epoch_ms}, clock {self.clock_ms} ms"
        program = f"version {self.version or 'unknown'}, protocol {self.lowest_protocol} to {self.highest_protocol}"
        program += f", certificate of {octets(self.certificate)}"
        return f"handshake payload: {times}, AEAD {self.aead}, MTU {self.underlay_mtu}, {program}{refused}"


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """A responder's word that it refuses the initiator: why (a RefusalReason, or one not known here), by its clock."""

    reason: Annotated[int, Meta(ge=1, le=255)]
    clock_ms: U63

    def __str__(self) -> str:
        return f"refusal: {_shown_reason(self.reason)}, clock {self.clock_ms} ms"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HandshakePayload)
_refusal_decoder = msgspec.msgpack.Decoder(Refusal)


def _shown_reason(code: int) -> str:
    return RefusalReason(code).name if code in RefusalReason.__members__.values() else f"reason {code}"


def refusal_reason(drop: str) -> RefusalReason | None:
    """The reason that is sent to the other side for a drop of this name; None: nothing is sent."""
    return next((reason for reason in RefusalReason if reason.name.lower() == drop), None)


def emit_payload(payload: HandshakePayload | Refusal) -> bytes:
    return _encoder.encode(payload)


def parse_payload(data: bytes) -> HandshakePayload:
    """MalformedError("handshake_payload_malformed") for anything else."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("handshake_payload_malformed") from error


def parse_refusal(data: bytes) -> Refusal:
    """MalformedError("handshake_payload_malformed") for anything else."""
    try:
        return _refusal_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("handshake_payload_malformed") from error


def handshake_type(data: bytes) -> HandshakeType:
    """MalformedError("handshake_malformed") when the first byte is no handshake's."""
    try:
        return HandshakeType(data[0])
    except (IndexError, ValueError) as error:
        raise MalformedError("handshake_malformed") from error


def receiver_index(data: bytes) -> int:
    """The receiver's session index in a RESPONSE, FINAL, REFUSAL or COOKIE datagram."""
    offset = 8 if data[:1] == b"\xc1" else 4
    try:
        (index,) = struct.unpack_from("!I", data, offset)
    except struct.error as error:
        raise MalformedError("handshake_malformed") from error
    return int(index)


def without_cookie(init: bytes) -> bytes:
    """The part of an INIT that is the same with and without a cookie."""
    return init[:-_COOKIE_MAC_BYTES]
