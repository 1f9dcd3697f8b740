"""Records of the CA: advertisements of origin 0. Format: ``docs/protocol.md`` section 7.

Bytes <-> typed records; others verify that the CA signed one.
"""

from __future__ import annotations

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.wire.advertisement import KINDS, OF_THE_CA, Body, Content, Kind, emit, is_key_of, parse_content
from treecast.wire.revocation import CA_EPOCH, CA_ORIGIN, RevocationContent, revocation_key


def parse_ca_record(body: Body) -> Content | None:
    """The content of a record of the CA, None of a kind that is not known here; MalformedError with the reason."""
    if body.origin != CA_ORIGIN or (body.kind in KINDS and body.kind not in OF_THE_CA):
        raise MalformedError("advertisement_wrong_origin")
    if body.epoch != CA_EPOCH or not body.content or not is_key_of(body.kind, body.key):
        raise MalformedError("advertisement_malformed")
    content = parse_content(body.kind, body.content)
    if isinstance(content, RevocationContent) and content.serial != body.sequence:
        raise MalformedError("advertisement_malformed")
    return content


def emit_revocation(node: NodeIndex, serial: int, name: str) -> bytes:
    """The body that the CA signs to declare that a node's certificates up to this serial are void."""
    content = emit(RevocationContent(serial, name))
    return emit(Body(CA_ORIGIN, CA_EPOCH, serial, Kind.REVOCATION, revocation_key(node), content))
