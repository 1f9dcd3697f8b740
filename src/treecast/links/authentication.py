"""Authentication: whether the other side of a handshake is a member of the network, by its certificate and its key.

Decides nothing else. A refusal is noted for people in ``refusals``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.errors import MalformedError
from treecast.base.protocol_version import in_common
from treecast.base.time import Instant
from treecast.identity.certificate import CERTIFICATE_EXTENSION_UNKNOWN, Certificate, CertificateError
from treecast.identity.newest import CERTIFICATE_REPLACED, has_same_keys
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.links.crypto import Handshake
from treecast.links.handshake_channels import HandshakeChannel
from treecast.links.refusals import LastRefusal, Refusals
from treecast.wire.handshake import HandshakePayload, parse_payload

WITH_MYSELF = "handshake_with_myself"
NO_COMMON_VERSION = "handshake_no_common_version"
OF_MEMBERS = (
    "certificate_expired",
    "certificate_not_yet_valid",
    CERTIFICATE_REVOKED,
    CERTIFICATE_REPLACED,
    CERTIFICATE_EXTENSION_UNKNOWN,
    NO_COMMON_VERSION,
)
"""A node that is refused for one of these is, or was, a member."""


@dataclass(frozen=True, slots=True)
class MetTwin:
    """Another run of this node, on another machine, with which a handshake went as far as its certificate."""

    at: Instant
    endpoint: Endpoint
    started_ms: int


class MemberAuthentication:
    """Authenticates the nodes that shake hands with this one.

    ``twin``: the last other run of this node that was met; the caller empties it.
    """

    def __init__(
        self,
        own: Certificate,
        my_epoch_ms: int,
        verify_certificate: Callable[[bytes], Certificate],
        refused: Refusals,
    ) -> None:
        self._own = own
        self._my_epoch_ms = my_epoch_ms
        self._verify_certificate = verify_certificate
        self._refused = refused
        self.twin: MetTwin | None = None

    def authenticate(
        self, now: Instant, handshake: Handshake, payload_bytes: bytes, channel: HandshakeChannel
    ) -> tuple[HandshakePayload, Certificate]:
        """The payload of RESPONSE or FINAL and its certificate. MalformedError when it is no other member's, or
        not that of the node at the other end of its channel.
        """
        payload = parse_payload(payload_bytes)
        try:
            certificate = self._verify_certificate(payload.certificate)
            _check_key(certificate, handshake)
            _check_version(payload)
        except MalformedError as error:
            other = _refused_certificate(error, payload, handshake) if error.reason in OF_MEMBERS else None
            self._refused.note(LastRefusal(now, True, error.reason, channel.endpoint, other, payload.clock_ms))
            raise
        if certificate.node_index == self._own.node_index:
            if has_same_keys(certificate, self._own) and payload.epoch_ms != self._my_epoch_ms:
                # The peer holds the key and is alive: another run.
                self.twin = MetTwin(now, channel.endpoint, payload.epoch_ms)
            raise MalformedError(WITH_MYSELF)
        if channel.expected not in (None, certificate.node_index):
            raise MalformedError("handshake_with_another_node")
        return payload, certificate


def _check_key(certificate: Certificate, handshake: Handshake) -> None:
    if certificate.static_key != handshake.remote_static:
        raise MalformedError("handshake_not_its_certificate")


def _check_version(payload: HandshakePayload) -> None:
    if in_common(payload.lowest_protocol, payload.highest_protocol) is None:
        raise MalformedError(NO_COMMON_VERSION)


def _refused_certificate(error: MalformedError, payload: HandshakePayload, handshake: Handshake) -> Certificate | None:
    """The certificate that was refused, if the handshake proved its key: for its time, a newer one than was shown."""
    newest = error.certificate if isinstance(error, CertificateError) else None
    certificate = newest or Certificate.decode(payload.certificate)
    return certificate if certificate.static_key == handshake.remote_static else None
