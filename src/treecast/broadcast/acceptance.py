"""Acceptance: whether an advertisement of another node is genuine, news, and within what one node may publish.

Decides nothing about what becomes of it, and keeps nothing. ``docs/protocol.md`` section 7 has the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.pace import EPOCH_COST
from treecast.broadcast.quotas import NOTHING, Usage, require_within, usage_of
from treecast.broadcast.store import Origin, Record, Store
from treecast.identity.certificate import Certificate
from treecast.identity.keys import VerifySignature
from treecast.wire.advertised_groups import GroupsContent, parse_groups
from treecast.wire.advertisement import (
    OF_THE_CA,
    SIGNING_CONTEXT,
    Body,
    Content,
    Kind,
    NodeContent,
    Signed,
    is_key_of,
    parse_content,
    parse_node,
)

BELOW_FLOOR = "advertisement_below_floor"
EPOCH_AHEAD_MS = 24 * 3_600 * 1_000
"""An epoch is the wall clock of its node as that started, or a little more. Clocks farther off
have other troubles.
"""
LATELY_MS = 5 * 60 * 1_000
"""Clocks differ, and who begins epochs all the time begins them now."""
VerifyCertificate = Callable[[bytes], Certificate]
"""Bytes to a certificate of this network that is valid now; MalformedError with the reason otherwise."""


@dataclass(frozen=True, slots=True)
class NodeAccepted:
    """A NODE advertisement, with the certificate that gives its origin the key."""

    content: NodeContent
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class OtherAccepted:
    """An advertisement of another kind. ``content``: None when it withdraws its key; ``before``: what a chunk of groups
    listed until now; ``usage``: what the origin has with it.
    """

    origin: Origin
    content: Content | None
    before: GroupsContent | None
    usage: Usage


class Acceptance:
    """Checks against what is held. Each refusal is a MalformedError with its reason."""

    def __init__(
        self,
        store: Store,
        verify_certificate: VerifyCertificate,
        verify_signature: VerifySignature,
        wall_clock_ms: Callable[[Instant], int],
    ) -> None:
        self._store = store
        self._wall_clock_ms = wall_clock_ms
        self._verify_certificate = verify_certificate
        self._verify_signature = verify_signature

    def require_begun(self, now: Instant, body: Body) -> None:
        """No run has begun so late: the genuine node, whose key somebody else has, could not begin after it."""
        if body.epoch > self._wall_clock_ms(now) + EPOCH_AHEAD_MS:
            raise MalformedError("advertisement_epoch_ahead")

    def is_of_now(self, now: Instant, body: Body) -> bool:
        """Whether its run began lately, by its own time."""
        return body.epoch > self._wall_clock_ms(now) - LATELY_MS

    def is_newer(self, body: Body, body_hash: int) -> bool:
        """Whether it is newer than what is held, or held to its end, or of a newer certificate: then no epoch counts.

        Of two with one sequence the one with the greater hash is (RFC 2328 section 13.1): so all nodes hold the same.
        A key that its kind cannot have is refused.
        """
        index = NodeIndex(body.origin)
        origin = self._store.get(index)
        is_newer = not self._is_over(body) if origin is None else _is_newer(origin, body, body_hash)
        if is_newer and not is_key_of(body.kind, body.key):
            raise MalformedError("advertisement_malformed")
        if body.kind in OF_THE_CA:
            raise MalformedError("advertisement_wrong_origin")
        if is_newer or origin is None or body.epoch >= origin.epoch:
            return is_newer
        return self._supersedes(origin.signing_key, body)

    def _is_over(self, body: Body) -> bool:
        """Whether its origin was held to its end, in this epoch and as far, or in a later one.

        A tombstone counts as long as its certificate does: the node, whose clock was set back, could not learn from it
        which epoch it has to follow.
        """
        tombstone = self._store.tombstone(NodeIndex(body.origin))
        if tombstone is None or (body.epoch, body.sequence) > (tombstone.epoch, tombstone.sequence):
            return False
        try:
            certificate = self._verify_certificate(parse_node(tombstone.content).certificate)
        except MalformedError:
            return False
        return not self._supersedes(certificate.signing_key, body)

    def _supersedes(self, signing_key: bytes, body: Body) -> bool:
        """Whether a NODE advertisement is of a newer certificate than the one with this key."""
        if body.kind != Kind.NODE:
            return False
        certificate = self._verify_certificate(parse_node(body.content).certificate)
        return certificate.node_index == body.origin and certificate.signing_key != signing_key

    def of_this_node(self, content: NodeContent) -> None:
        """A NODE advertisement under this node's index: its certificate is seen, and refused if it is replaced."""
        self._verify_certificate(content.certificate)

    def node(self, now: Instant, signed: Signed, body: Body) -> NodeAccepted:
        """A NODE advertisement: it brings the certificate by which it is verified."""
        held = self._store.get(NodeIndex(body.origin))
        _require_pace(now, held)
        content = parse_node(body.content)
        certificate = self._verify_certificate(content.certificate)
        if certificate.node_index != body.origin:
            raise MalformedError("advertisement_wrong_origin")
        self.verify(certificate.signing_key, signed)
        if held is None and self._store.is_full:
            raise MalformedError("advertisement_table_full")
        if held is not None:
            held.pace.take(now, 1.0 if held.epoch == body.epoch else EPOCH_COST)
        return NodeAccepted(content, certificate)

    def other(self, now: Instant, signed: Signed, body: Body, size_bytes: int) -> OtherAccepted:
        """One of another kind: of an origin that is held, in its present epoch. OverQuotaError, which nobody but the
        origin can cause, for more than it may have.
        """
        origin = self._store.get(NodeIndex(body.origin))
        if origin is None or origin.epoch != body.epoch:
            raise MalformedError("advertisement_unknown_origin")
        if body.sequence <= origin.floor and (body.kind, body.key) not in origin.records:
            raise MalformedError(BELOW_FLOOR)
        _require_pace(now, origin)
        content = parse_content(body.kind, body.content) if body.content else None
        self.verify(origin.signing_key, signed)
        origin.pace.take(now)
        held = origin.records.get((body.kind, body.key))
        before = parse_content(body.kind, held.content) if held is not None and not held.withdrawn else None
        used = usage_of(before, len(held.wire)) if held is not None else NOTHING
        usage = require_within(origin.quota, origin.usage, used, usage_of(content, size_bytes))
        return OtherAccepted(origin, content, before if isinstance(before, GroupsContent) else None, usage)

    def verify(self, public_key: bytes, signed: Signed) -> None:
        """Whether the holder of this key signed it."""
        if not self._verify_signature(public_key, SIGNING_CONTEXT, signed.body, signed.signature):
            raise MalformedError("advertisement_bad_signature")


def _require_pace(now: Instant, origin: Origin | None) -> None:
    """Checked before the signature, and charged after it: who makes up advertisements of another takes none of its."""
    if origin is not None and not origin.pace.has(now):
        raise MalformedError("advertisement_rate")


def groups_in(record: Record | None) -> GroupsContent | None:
    """The groups that a GROUPS advertisement which was accepted lists; None when it is withdrawn."""
    is_of_groups = record is not None and record.kind == Kind.GROUPS and not record.withdrawn
    return parse_groups(record.content) if record is not None and is_of_groups else None


def _is_newer(origin: Origin, body: Body, body_hash: int) -> bool:
    if body.epoch != origin.epoch:
        return body.epoch > origin.epoch
    current = origin.records.get((body.kind, body.key))
    return current is None or (body.sequence, body_hash) > (current.sequence, current.body_hash)
