"""Records of the CA outside a running node: made where the CA key is, and verified where they lie in a file."""

from __future__ import annotations

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.identity.keys import SigningKey, verify
from treecast.wire.advertisement import Signed, emit, parse_signed
from treecast.wire.ca_record import emit_revocation, parse_ca_record
from treecast.wire.revocation import CA_SIGNING_CONTEXT, RevocationContent, parse_revocation_key


def sign_revocation(ca_key: SigningKey, node: NodeIndex, serial: int, name: str) -> bytes:
    """The CA's record that the certificates of a node with this serial or a lower one are void."""
    body = emit_revocation(node, serial, name)
    return emit(Signed(body, ca_key.sign(CA_SIGNING_CONTEXT, body)))


def read_revocation(wire: bytes, ca_public_key: bytes) -> tuple[NodeIndex, RevocationContent]:
    """The node and what is void of it, of a record that this CA signed; MalformedError with the reason."""
    signed, body = parse_signed(wire)
    content = parse_ca_record(body)
    if not isinstance(content, RevocationContent):
        raise MalformedError("advertisement_malformed")
    if not verify(ca_public_key, CA_SIGNING_CONTEXT, signed.body, signed.signature):
        raise MalformedError("advertisement_bad_signature")
    return parse_revocation_key(body.key), content


def is_ca_record(wire: bytes, ca_public_key: bytes) -> bool:
    """Whether it is a record that this CA signed, of whatever kind."""
    try:
        signed, body = parse_signed(wire)
        parse_ca_record(body)
    except MalformedError:
        return False
    return verify(ca_public_key, CA_SIGNING_CONTEXT, signed.body, signed.signature)
