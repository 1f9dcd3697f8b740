"""The certificate: the CA's word that a node with these keys has this index, name and these addresses.

Format: docs/protocol.md section 2. There is one sequence of bytes for one certificate: an encoding that is not the
shortest is malformed, so no one can alter a certificate's bytes and have it still verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Annotated

import msgspec

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.base.ids import NetworkId, NodeId, NodeIndex
from treecast.base.limits import MAX_VERIFIED_CERTIFICATES
from treecast.identity.ids import MAX_NODE_INDEX, derive_network_id, derive_node_id, node_mac
from treecast.identity.keys import SigningKey, VerifySignature, verify

CERTIFICATE_MALFORMED = "certificate_malformed"
CERTIFICATE_WRONG_NETWORK = "certificate_wrong_network"
CERTIFICATE_BAD_SIGNATURE = "certificate_bad_signature"
CERTIFICATE_EXPIRED = "certificate_expired"
CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"

MAX_CERTIFICATE_BYTES = 320
MAX_TIME_S = 253_402_300_799  # the last second of the year 9999: what a calendar can show

_VERSION = 1
_CONTEXT = b"treecast certificate 1"

_Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_S)]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=_VERSION, le=_VERSION)]
    network_id: _Bytes16
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


class _Signed(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    body: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


_encode = msgspec.msgpack.encode
_decode_signed = msgspec.msgpack.Decoder(_Signed).decode
_decode_body = msgspec.msgpack.Decoder(_Body).decode


class CertificateError(MalformedError):
    """A certificate that is not accepted. ``reason`` is one of the ``CERTIFICATE_`` constants."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a certificate. Keys are public keys; times are seconds since 1970, both ends valid.

    ``ipv4`` and ``ipv6`` are the node's addresses with the lengths of the network's prefixes, or None.
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


@dataclass(frozen=True, slots=True)
class Certificate(Claims):
    """Claims and a signature over them. Nothing is checked but the form until ``verify`` returns."""

    signature: bytes

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """Untrusted bytes to a record; CertificateError ``certificate_malformed``."""
        if len(data) > MAX_CERTIFICATE_BYTES:
            raise CertificateError(CERTIFICATE_MALFORMED)
        try:
            signed = _decode_signed(data)
            certificate = _from_body(_decode_body(signed.body), signed.signature)
        except (msgspec.DecodeError, ValueError) as error:
            raise CertificateError(CERTIFICATE_MALFORMED) from error
        if certificate.encode() != data:
            raise CertificateError(CERTIFICATE_MALFORMED)
        return certificate

    def encode(self) -> bytes:
        """The inverse of ``decode``."""
        return _encode(_Signed(_encode_body(self), self.signature))

    def verify(self, ca_public_key: bytes, now_unix_s: float) -> None:
        """Returns when the certificate is of this CA's network and valid now; CertificateError otherwise."""
        self._verify_issuer(ca_public_key)
        self._verify_time(now_unix_s)

    def _verify_issuer(self, ca_public_key: bytes) -> None:
        if self.network_id != derive_network_id(ca_public_key):
            raise CertificateError(CERTIFICATE_WRONG_NETWORK)
        if not verify(ca_public_key, _CONTEXT, _encode_body(self), self.signature):
            raise CertificateError(CERTIFICATE_BAD_SIGNATURE)

    def _verify_time(self, now_unix_s: float) -> None:
        if now_unix_s < self.not_before_s:
            raise CertificateError(CERTIFICATE_NOT_YET_VALID)
        if now_unix_s > self.not_after_s:
            raise CertificateError(CERTIFICATE_EXPIRED)

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
        certificate._verify_time(now_unix_s)
        return certificate


def issue(ca_key: SigningKey, claims: Claims) -> Certificate:
    """``claims`` signed by the CA; CertificateError ``certificate_malformed`` when they fit no certificate."""
    body = _encode_body(claims)
    return Certificate.decode(_encode(_Signed(body, ca_key.sign(_CONTEXT, body))))


def _encode_body(claims: Claims) -> bytes:
    return _encode(
        _Body(
            version=_VERSION,
            network_id=bytes(claims.network_id),
            node_index=claims.node_index,
            name=claims.name,
            static_key=claims.static_key,
            signing_key=claims.signing_key,
            ipv4=claims.ipv4.ip.packed if claims.ipv4 else None,
            ipv4_prefix_length=claims.ipv4.network.prefixlen if claims.ipv4 else 0,
            ipv6=claims.ipv6.ip.packed if claims.ipv6 else None,
            ipv6_prefix_length=claims.ipv6.network.prefixlen if claims.ipv6 else 0,
            not_before_s=claims.not_before_s,
            not_after_s=claims.not_after_s,
        )
    )


def _from_body(body: _Body, signature: bytes) -> Certificate:
    if body.not_before_s > body.not_after_s:
        raise CertificateError(CERTIFICATE_MALFORMED)
    ipv4 = IPv4Interface((IPv4Address(body.ipv4), body.ipv4_prefix_length)) if body.ipv4 else None
    ipv6 = IPv6Interface((IPv6Address(body.ipv6), body.ipv6_prefix_length)) if body.ipv6 else None
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
        signature=signature,
    )
