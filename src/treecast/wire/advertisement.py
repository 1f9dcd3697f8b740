"""Advertisements: the signed, versioned records of which all shared state consists.

Bytes <-> typed records; verifying and storing is ``broadcast``'s. Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base import protocol_version
from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.errors import MalformedError
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.wire.advertised_groups import (
    IPV4_BYTES,
    IPV6_BYTES,
    GroupsContent,
    ListedGroup,
    PackedAddress,
    parse_chunk_key,
    parse_groups,
    unpacked,
)
from treecast.wire.advertised_links import MAX_LINK_CHUNKS, LinksContent, parse_links
from treecast.wire.advertised_prefixes import GroupPrefixContent, parse_group_prefix_key
from treecast.wire.advertised_uplink import (
    CHILDREN_NOT_ADVERTISED,
    UPLINK_NOT_ADVERTISED,
    advertised_children,
    relaying_of,
    uplink_class,
)
from treecast.wire.control import MAX_ADVERTISEMENT_BYTES, U8, U16, U32, U63, version
from treecast.wire.one_line import address, hexadecimal, in_vlan, line, listed, octets
from treecast.wire.revocation import RevocationContent, is_revocation_key, parse_revocation_key

SIGNING_CONTEXT = b"treecast advertisement 1"
MAX_ENDPOINTS = 8
MAX_HOST_ADDRESSES = 32
HOST_IS_ROUTER = 1
_ENDPOINT_BYTES = 22
"""An endpoint with an IPv6 address."""
_CERTIFICATE_AND_ENDPOINTS_BYTES = MAX_ADVERTISEMENT_BYTES - 168
"""NODE without its certificate's bytes and without endpoints has at most 168: signature 70, body 30, content 68."""


class Kind(IntEnum):
    """The subject of an advertisement. Others are of later versions: kept and passed on, not interpreted."""

    NODE = 1
    GROUPS = 2
    HOST = 3
    LINKS = 4
    GROUP_PREFIX = 5
    REVOCATION = 6


class Body(msgspec.Struct, frozen=True, array_like=True):
    """The part that the origin signs."""

    origin: U32
    epoch: U63
    sequence: U63
    kind: U8
    key: Annotated[bytes, Meta(max_length=64)]
    content: Annotated[bytes, Meta(max_length=MAX_ADVERTISEMENT_BYTES)]

    @property
    def is_known(self) -> bool:
        """Whether this version interprets it."""
        return self.kind in KINDS

    def __str__(self) -> str:
        """``NODE n7 epoch 3 seq 12 ...``."""
        subject = version(self.origin, self.epoch, self.sequence)
        if not self.is_known:
            return line(f"kind {self.kind}", subject, f"key {hexadecimal(self.key)}", octets(self.content))
        kind = Kind(self.kind)
        return line(kind.name, subject, _shown_key(kind, self.key), _shown_content(kind, self.content))


class Signed(msgspec.Struct, frozen=True, array_like=True):
    """The body's bytes and the Ed25519 signature over SIGNING_CONTEXT || 0x00 || body."""

    body: Annotated[bytes, Meta(max_length=MAX_ADVERTISEMENT_BYTES)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    def __str__(self) -> str:
        try:
            return line("signed", str(_body_decoder.decode(self.body)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return f"signed, malformed body of {octets(self.body)}"


class ListedEndpoint(msgspec.Struct, frozen=True, array_like=True):
    """One address at which a node advertises that it is reached."""

    address: PackedAddress
    port: U16

    def __str__(self) -> str:
        return f"endpoint {self.text()}"

    def text(self) -> str:
        """``10.1.2.3:7700``, ``[2001:db8::1]:7700``."""
        shown = address(self.address)
        return f"{shown}:{self.port}" if len(self.address) <= IPV4_BYTES else f"[{shown}]:{self.port}"


class NodeContent(msgspec.Struct, frozen=True, array_like=True):
    certificate: Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)]
    endpoints: Annotated[tuple[ListedEndpoint, ...], Meta(max_length=MAX_ENDPOINTS)]
    instance: Annotated[bytes, Meta(max_length=8)] = b""
    started_ms: U63 = 0
    rival: Annotated[bytes, Meta(max_length=8)] = b""
    underlay_mtu: Annotated[int, Meta(ge=1280, le=9000)] = 1500
    lowest_protocol: U8 = protocol_version.LOWEST
    highest_protocol: U8 = protocol_version.HIGHEST
    capabilities: U63 = 0
    floor: U63 = 0
    """No other advertisement of this origin with this sequence or a lower one is alive."""
    uplink_class: U8 = UPLINK_NOT_ADVERTISED
    most_children: U16 = CHILDREN_NOT_ADVERTISED

    @classmethod
    def of(
        cls,
        certificate: bytes,
        endpoints: tuple[Endpoint, ...],
        underlay_mtu: int = 1500,
        relaying: Relaying = UNBOUNDED,
    ) -> NodeContent:
        """The first endpoints, as many as fit an advertisement beside the certificate."""
        fitting = min(MAX_ENDPOINTS, (_CERTIFICATE_AND_ENDPOINTS_BYTES - len(certificate)) // _ENDPOINT_BYTES)
        endpoint_list = tuple(ListedEndpoint(e.address.packed, e.port) for e in endpoints[:fitting])
        return cls(
            certificate,
            endpoint_list,
            underlay_mtu=underlay_mtu,
            capabilities=protocol_version.CAPABILITIES,
            uplink_class=uplink_class(relaying.uplink_bps),
            most_children=advertised_children(relaying),
        )

    def __str__(self) -> str:
        return f"NODE content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        at = f"at {listed(self.endpoints, 60, ListedEndpoint.text) or 'no address'}"
        return f"{at}, MTU {self.underlay_mtu}, certificate of {octets(self.certificate)}"

    def relaying(self) -> Relaying:
        """The trees of others that it sends on."""
        return relaying_of(self.uplink_class, self.most_children)

    def endpoint_values(self) -> tuple[Endpoint, ...]:
        """MalformedError when an address has neither 4 nor 16 bytes."""
        return tuple(Endpoint(unpacked(one.address), one.port) for one in self.endpoints)


class HostContent(msgspec.Struct, frozen=True, array_like=True):
    addresses: Annotated[tuple[PackedAddress, ...], Meta(max_length=MAX_HOST_ADDRESSES)]
    sequence: U32
    flags: Annotated[int, Meta(ge=0, le=255)] = 0

    @classmethod
    def of(cls, addresses: tuple[bytes, ...], sequence: int, *, is_router: bool) -> HostContent:
        return cls(addresses, sequence, HOST_IS_ROUTER if is_router else 0)

    def __str__(self) -> str:
        return f"HOST content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        at = listed(self.addresses, 60, address) or "no address"
        return f"sequence {self.sequence} at {at}{', router' if self.is_router else ''}"

    @property
    def is_router(self) -> bool:
        """Whether its neighbor advertisements have the Router flag (RFC 4861 section 4.4)."""
        return bool(self.flags & HOST_IS_ROUTER)

    def address_values(self) -> tuple[IPAddress, ...]:
        return tuple(unpacked(packed) for packed in self.addresses)


KINDS = frozenset(Kind)
OF_THE_CA = frozenset((Kind.REVOCATION,))
"""Kinds that no node publishes, and the only known ones that the CA does."""
Content = NodeContent | LinksContent | GroupsContent | GroupPrefixContent | HostContent | RevocationContent

_node_decoder = msgspec.msgpack.Decoder(NodeContent)
_group_prefix_decoder = msgspec.msgpack.Decoder(GroupPrefixContent)
_host_decoder = msgspec.msgpack.Decoder(HostContent)
_revocation_decoder = msgspec.msgpack.Decoder(RevocationContent)
_encoder = msgspec.msgpack.Encoder()
_signed_decoder = msgspec.msgpack.Decoder(Signed)
_body_decoder = msgspec.msgpack.Decoder(Body)


def emit(record: Body | Signed | Content | ListedGroup) -> bytes:
    return _encoder.encode(record)


def parse_signed(data: bytes) -> tuple[Signed, Body]:
    """An advertisement's envelope and body, not verified; MalformedError("advertisement_malformed")."""
    if len(data) > MAX_ADVERTISEMENT_BYTES:
        raise MalformedError("advertisement_malformed")
    try:
        signed = _signed_decoder.decode(data)
        return signed, _body_decoder.decode(signed.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("advertisement_malformed") from error


def parse_node(content: bytes) -> NodeContent:
    """The content of NODE; MalformedError("advertisement_malformed")."""
    try:
        parsed = _node_decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("advertisement_malformed") from error
    _require_addresses(listed.address for listed in parsed.endpoints)
    return parsed


def _parse_host(content: bytes) -> HostContent:
    parsed = _host_decoder.decode(content)
    _require_addresses(parsed.addresses)
    return parsed


def _require_addresses(packed: Iterable[bytes]) -> None:
    if any(len(one) not in (IPV4_BYTES, IPV6_BYTES) for one in packed):
        raise MalformedError("advertisement_malformed")


def parse_content(kind: int, content: bytes) -> Content | None:
    """The content of one kind, which must not be empty; None of a kind that is not known here.
    MalformedError("advertisement_malformed").
    """
    try:
        match kind:
            case Kind.NODE:
                return parse_node(content)
            case Kind.GROUPS:
                return parse_groups(content)
            case Kind.HOST:
                return _parse_host(content)
            case Kind.LINKS:
                return parse_links(content)
            case Kind.GROUP_PREFIX:
                return _group_prefix_decoder.decode(content)
            case Kind.REVOCATION:
                return _revocation_decoder.decode(content)
            case _:
                return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("advertisement_malformed") from error


def is_key_of(kind: int, key: bytes) -> bool:
    """Whether advertisements of this kind may have this key; of an unknown kind all may."""
    match kind:
        case Kind.HOST:
            return _is_read(parse_host_key, key)
        case Kind.GROUP_PREFIX:
            return _is_read(parse_group_prefix_key, key)
        case Kind.NODE:
            return not key
        case Kind.LINKS:
            return len(key) == 1 and key[0] < MAX_LINK_CHUNKS
        case Kind.GROUPS:
            return len(key) == 2
        case Kind.REVOCATION:
            return is_revocation_key(key)
        case _:
            return True


def _is_read(parse: Callable[[bytes], object], key: bytes) -> bool:
    try:
        parse(key)
    except MalformedError:
        return False
    return True


def host_key(vlan: int, mac: MacAddress) -> bytes:
    return vlan.to_bytes(2, "big") + mac.packed


def parse_host_key(key: bytes) -> tuple[int, MacAddress]:
    if len(key) != 8:
        raise MalformedError("advertisement_malformed")
    mac = MacAddress(key[2:])
    if mac.is_group:
        raise MalformedError("advertisement_malformed")
    return int.from_bytes(key[:2], "big"), mac


def _shown_key(kind: Kind, key: bytes) -> str:
    try:
        match kind:
            case Kind.GROUP_PREFIX:
                vlan, prefix = parse_group_prefix_key(key)
                return line(str(prefix), in_vlan(vlan))
            case Kind.HOST:
                vlan, mac = parse_host_key(key)
                return line(str(mac), in_vlan(vlan))
            case Kind.LINKS if is_key_of(kind, key):
                return f"chunk {key[0]}"
            case Kind.GROUPS if is_key_of(kind, key):
                return f"chunk {parse_chunk_key(key)}"
            case Kind.REVOCATION if is_key_of(kind, key):
                return f"of n{parse_revocation_key(key)}"
            case Kind.NODE if not key:
                return ""
    except MalformedError:
        pass
    return f"malformed key {hexadecimal(key)}"


def _shown_content(kind: Kind, content: bytes) -> str:
    if not content:
        return "withdrawn"
    try:
        known = parse_content(kind, content)
    except MalformedError:
        return f"malformed content of {octets(content)}"
    return known.text() if known is not None else octets(content)
