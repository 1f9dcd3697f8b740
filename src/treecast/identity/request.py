"""A node's request for a certificate, and the CA's answer: private keys stay where they were made.

Formats: docs/protocol.md section 2. The request is signed by the node's own signing key: nobody but its holder can make
it, and nobody can alter it. The static key is proved by the first handshake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from treecast.base.errors import MalformedError, OperatorError
from treecast.base.limits import MAX_CA_RECORDS, MAX_CERTIFICATE_BYTES
from treecast.identity.certificate import Certificate, SignedBody
from treecast.identity.ids import KEY_BYTES
from treecast.identity.keys import NodeKeys, verify
from treecast.identity.network import MAX_NETWORK_FILE_BYTES, Network, require_name

REQUEST_MALFORMED = "request_malformed"
REQUEST_BAD_SIGNATURE = "request_bad_signature"
ADMISSION_MALFORMED = "admission_malformed"

MAX_REQUEST_BYTES = 512
_MAX_CA_RECORD_BYTES = 1_176
"""The limit of any advertisement (docs/protocol.md section 7); a revocation has 200 at most."""
MAX_ADMISSION_BYTES = MAX_CERTIFICATE_BYTES + MAX_NETWORK_FILE_BYTES + MAX_CA_RECORDS * 256 + 64

_CONTEXT = b"treecast request 1"
_REQUEST = "treecast request 1"
_ADMISSION = "treecast admission 1"

_CaRecord = Annotated[bytes, msgspec.Meta(max_length=_MAX_CA_RECORD_BYTES)]
_KeyBytes = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class _RequestBody(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    what: str
    name: str
    static_key: _KeyBytes
    signing_key: _KeyBytes


class _AdmissionFile(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    what: str
    certificate: bytes
    network: bytes
    ca_records: Annotated[list[_CaRecord], msgspec.Meta(max_length=MAX_CA_RECORDS)] = []


_encode = msgspec.msgpack.encode
_decode_signed = msgspec.msgpack.Decoder(SignedBody).decode
_decode_body = msgspec.msgpack.Decoder(_RequestBody).decode
_decode_admission = msgspec.msgpack.Decoder(_AdmissionFile).decode


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A node's name and its two public keys, as their holder signed them."""

    name: str
    static_key: bytes
    signing_key: bytes

    @classmethod
    def decode(cls, data: bytes) -> CertificateRequest:
        """A request file; MalformedError ``request_malformed`` or ``request_bad_signature``."""
        try:
            signed = _decode_signed(data[: MAX_REQUEST_BYTES + 1])
            body = _decode_body(signed.body)
            name = require_name(body.name, "node")
        except (msgspec.DecodeError, ValueError, RecursionError, OperatorError) as error:
            raise MalformedError(REQUEST_MALFORMED) from error
        if body.what != _REQUEST:
            raise MalformedError(REQUEST_MALFORMED)
        if not verify(body.signing_key, _CONTEXT, signed.body, signed.signature):
            raise MalformedError(REQUEST_BAD_SIGNATURE)
        return cls(name, body.static_key, body.signing_key)


def request_certificate(name: str, keys: NodeKeys) -> bytes:
    """The request of the node with these keys; OperatorError for a name that no node can have."""
    body = _encode(_RequestBody(_REQUEST, require_name(name, "node"), keys.static.public, keys.signing.public))
    return _encode(SignedBody(body, keys.signing.sign(_CONTEXT, body)))


@dataclass(frozen=True, slots=True)
class Admission:
    """All that a node with keys of its own needs of its CA. Whether the certificate is valid, and whose ``ca_records``
    (of the CA: revocations) are, is not checked here.
    """

    certificate: Certificate
    network: Network
    ca_records: tuple[bytes, ...] = ()

    @classmethod
    def decode(cls, data: bytes) -> Admission:
        """The file that ``encode`` made; MalformedError ``admission_malformed``."""
        try:
            file = _decode_admission(data[: MAX_ADMISSION_BYTES + 1])
            certificate, network = Certificate.decode(file.certificate), Network.decode(file.network)
            admission = cls(certificate, network, tuple(file.ca_records))
        except (msgspec.DecodeError, RecursionError, MalformedError) as error:
            raise MalformedError(ADMISSION_MALFORMED) from error
        if file.what != _ADMISSION:
            raise MalformedError(ADMISSION_MALFORMED)
        return admission

    def encode(self) -> bytes:
        """A file that holds the network's key, so it is secret like the node's own files."""
        certificate, network = self.certificate.encode(), self.network.encode()
        return _encode(_AdmissionFile(_ADMISSION, certificate, network, list(self.ca_records)))
