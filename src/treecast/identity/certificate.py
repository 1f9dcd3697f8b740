"""The certificate: the CA's word that a node with these keys has this index, name and these addresses.

Format: docs/protocol.md section 2. The signature is over the body's bytes as they came, which a later version may have
written; around them there is one encoding only, so no one can alter a certificate's bytes and have it still verify.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_network
from typing import Annotated

import msgspec

from treecast.base.addresses import IPNetwork, MacAddress
from treecast.base.errors import MalformedError
from treecast.base.ids import NetworkId, NodeId, NodeIndex
from treecast.base.limits import MAX_CERTIFICATE_BYTES, MAX_VERIFIED_CERTIFICATES
from treecast.identity.ids import MAX_NODE_INDEX, derive_issuer_id, derive_network_id, derive_node_id, node_mac
from treecast.identity.keys import SigningKey, VerifySignature, verify
from treecast.identity.rights import DEFAULT_RIGHTS, MAX_PREFIXES_PER_LIST, Rights, Role, require_groups

CERTIFICATE_MALFORMED = "certificate_malformed"
CERTIFICATE_WRONG_NETWORK = "certificate_wrong_network"
CERTIFICATE_BAD_SIGNATURE = "certificate_bad_signature"
CERTIFICATE_EXPIRED = "certificate_expired"
CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
CERTIFICATE_EXTENSION_UNKNOWN = "certificate_extension_unknown"

MAX_EXTENSIONS = 8
MAX_TIME_S = 253_402_300_799  # the last second of the year 9999: what a calendar can show

_VERSION = 2
_CONTEXT = b"treecast certificate 2"
_KNOWN_EXTENSIONS: frozenset[int] = frozenset()

_Bytes8 = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_S)]


_U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_U63 = Annotated[int, msgspec.Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]


class _Prefix(msgspec.Struct, array_like=True, frozen=True):
    address: Annotated[bytes, msgspec.Meta(min_length=4, max_length=16)]
    length: Annotated[int, msgspec.Meta(ge=0, le=128)]


_Prefixes = Annotated[tuple[_Prefix, ...], msgspec.Meta(max_length=MAX_PREFIXES_PER_LIST)] | None


class Extension(msgspec.Struct, array_like=True, frozen=True):
    """A fact of a later version. ``critical``: a node that does not know it refuses the certificate."""

    id: _U32
    critical: bool
    value: bytes


class CertificateBody(msgspec.Struct, array_like=True, frozen=True):
    """Fields that come after these are of later versions."""

    version: Annotated[int, msgspec.Meta(ge=_VERSION, le=_VERSION)]
    network_id: _Bytes16
    issuer: _Bytes8
    serial: _U63
    node_index: Annotated[int, msgspec.Meta(ge=1, le=MAX_NODE_INDEX)]
    name: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,63}\Z")]
    static_key: _Bytes32
    signing_key: _Bytes32
    ipv4: Annotated[bytes, msgspec.Meta(min_length=4, max_length=4)] | None
    ipv4_prefix_length: Annotated[int, msgspec.Meta(ge=0, le=32)]
    ipv6: _Bytes16 | None
    ipv6_prefix_length: Annotated[int, msgspec.Meta(ge=0, le=128)]
    not_before_s: _Time
    not_after_s: _Time
    roles: _U63
    send_to: _Prefixes
    receive_from: _Prefixes
    hosts: _U32
    groups: _U32
    area: _U32
    extensions: Annotated[tuple[Extension, ...], msgspec.Meta(max_length=MAX_EXTENSIONS)]


class SignedBody(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The body's bytes as they were signed. No version adds fields here: anybody could."""

    body: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


_encode = msgspec.msgpack.encode
_decode_signed = msgspec.msgpack.Decoder(SignedBody).decode
_decode_body = msgspec.msgpack.Decoder(CertificateBody).decode


class CertificateError(MalformedError):
    """A certificate that is not accepted. ``reason`` is one of the ``CERTIFICATE_`` constants.

    ``certificate``: the one whose time it is, where that is the reason.
    """

    def __init__(self, reason: str, certificate: Certificate | None = None) -> None:
        super().__init__(reason)
        self.certificate = certificate


@dataclass(frozen=True, slots=True)
class CertificateContent:
    """The content of a certificate. Keys are public keys; times are seconds since 1970, both ends valid.

    ``ipv4`` and ``ipv6`` are the node's addresses with the lengths of the network's prefixes, or None. Each certificate
    of a CA has another ``serial``.
    """

    network_id: NetworkId
    node_index: NodeIndex
    name: str
    static_key: bytes
    signing_key: bytes
    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None
    not_before_s: int
    not_after_s: int
    serial: int = 0
    rights: Rights = DEFAULT_RIGHTS
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(CertificateContent):
    """A content and a signature over ``body``, from which it was read. Nothing is checked but the form until ``verify``
    returns. ``issuer``: the id of the CA key that signed it.
    """

    issuer: bytes
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """Untrusted bytes to a record; CertificateError ``certificate_malformed``."""
        if len(data) > MAX_CERTIFICATE_BYTES:
            raise CertificateError(CERTIFICATE_MALFORMED)
        try:
            signed = _decode_signed(data)
            certificate = _read(signed, _decode_body(signed.body))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise CertificateError(CERTIFICATE_MALFORMED) from error
        if certificate.encode() != data:
            raise CertificateError(CERTIFICATE_MALFORMED)
        return certificate

    def encode(self) -> bytes:
        """The inverse of ``decode``."""
        return _encode(SignedBody(self.body, self.signature))

    def verify(self, ca_public_key: bytes, now_unix_s: float) -> None:
        """Returns when the certificate is of this CA's network and valid now; CertificateError otherwise."""
        self._verify_issuer(ca_public_key)
        self.verify_time(now_unix_s)

    def _verify_issuer(self, ca_public_key: bytes) -> None:
        if self.network_id != derive_network_id(ca_public_key):
            raise CertificateError(CERTIFICATE_WRONG_NETWORK)
        if self.issuer != derive_issuer_id(ca_public_key):
            raise CertificateError(CERTIFICATE_BAD_SIGNATURE)
        if not verify(ca_public_key, _CONTEXT, self.body, self.signature):
            raise CertificateError(CERTIFICATE_BAD_SIGNATURE)
        if any(extension.critical and extension.id not in _KNOWN_EXTENSIONS for extension in self.extensions):
            raise CertificateError(CERTIFICATE_EXTENSION_UNKNOWN)

    def verify_time(self, now_unix_s: float) -> None:
        """Returns when the certificate is valid now; CertificateError otherwise."""
        if now_unix_s < self.not_before_s:
            raise CertificateError(CERTIFICATE_NOT_YET_VALID, self)
        if now_unix_s > self.not_after_s:
            raise CertificateError(CERTIFICATE_EXPIRED, self)

    @property
    def node_id(self) -> NodeId:
        return derive_node_id(self.static_key, self.signing_key)

    @property
    def mac(self) -> MacAddress:
        """The address of the node's own TAP."""
        return node_mac(self.node_index)


class Verifier:
    """Bytes to certificates of one CA. Every node's comes again every few seconds: the genuine are remembered.

    ``signature`` verifies what the certificates' holders sign.
    """

    def __init__(self, ca_public_key: bytes, signature: VerifySignature = verify) -> None:
        self.signature = signature

        def genuine(data: bytes) -> Certificate:
            certificate = Certificate.decode(data)
            certificate._verify_issuer(ca_public_key)
            return certificate

        self._genuine = lru_cache(MAX_VERIFIED_CERTIFICATES)(genuine)  # what is refused is not remembered

    def verify(self, data: bytes, now_unix_s: float) -> Certificate:
        """The certificate, when it is of this CA's network and valid now; CertificateError otherwise."""
        certificate = self._genuine(data)
        certificate.verify_time(now_unix_s)
        return certificate


def issue(ca_key: SigningKey, content: CertificateContent) -> Certificate:
    """``content`` signed by the CA; CertificateError ``certificate_malformed`` when they fit no certificate."""
    body = _encode(_body_of(content, derive_issuer_id(ca_key.public)))
    return Certificate.decode(_encode(SignedBody(body, ca_key.sign(_CONTEXT, body))))


def _body_of(content: CertificateContent, issuer: bytes) -> CertificateBody:
    rights = content.rights
    return CertificateBody(
        version=_VERSION,
        network_id=bytes(content.network_id),
        issuer=issuer,
        serial=content.serial,
        node_index=content.node_index,
        name=content.name,
        static_key=content.static_key,
        signing_key=content.signing_key,
        ipv4=content.ipv4.ip.packed if content.ipv4 else None,
        ipv4_prefix_length=content.ipv4.network.prefixlen if content.ipv4 else 0,
        ipv6=content.ipv6.ip.packed if content.ipv6 else None,
        ipv6_prefix_length=content.ipv6.network.prefixlen if content.ipv6 else 0,
        not_before_s=content.not_before_s,
        not_after_s=content.not_after_s,
        roles=int(rights.roles),
        send_to=_packed(rights.send_to),
        receive_from=_packed(rights.receive_from),
        hosts=rights.hosts,
        groups=rights.groups,
        area=rights.area,
        extensions=content.extensions,
    )


def _read(signed: SignedBody, body: CertificateBody) -> Certificate:
    """ValueError for what contradicts itself."""
    if body.not_before_s > body.not_after_s:
        raise ValueError("it ends before it begins")
    if (body.ipv4 is None and body.ipv4_prefix_length) or (body.ipv6 is None and body.ipv6_prefix_length):
        raise ValueError("no address has a prefix length")
    ipv4 = IPv4Interface((IPv4Address(body.ipv4), body.ipv4_prefix_length)) if body.ipv4 else None
    ipv6 = IPv6Interface((IPv6Address(body.ipv6), body.ipv6_prefix_length)) if body.ipv6 else None
    rights = Rights(
        roles=Role(body.roles),
        send_to=_unpacked(body.send_to),
        receive_from=_unpacked(body.receive_from),
        hosts=body.hosts,
        groups=body.groups,
        area=body.area,
    )
    return Certificate(
        network_id=NetworkId(body.network_id),
        node_index=NodeIndex(body.node_index),
        name=body.name,
        static_key=body.static_key,
        signing_key=body.signing_key,
        ipv4=ipv4,
        ipv6=ipv6,
        not_before_s=body.not_before_s,
        not_after_s=body.not_after_s,
        serial=body.serial,
        rights=rights,
        extensions=body.extensions,
        issuer=body.issuer,
        body=signed.body,
        signature=signed.signature,
    )


def _packed(prefixes: tuple[IPNetwork, ...] | None) -> tuple[_Prefix, ...] | None:
    if prefixes is None:
        return None
    return tuple(_Prefix(prefix.network_address.packed, prefix.prefixlen) for prefix in prefixes)


def _unpacked(prefixes: tuple[_Prefix, ...] | None) -> tuple[IPNetwork, ...] | None:
    """ValueError for what is no prefix of groups."""
    if prefixes is None:
        return None
    return tuple(require_groups(ip_network((prefix.address, prefix.length))) for prefix in prefixes)
