"""Records of the CA: advertisements of origin 0, which the CA key signs and no node. ``docs/protocol.md`` section 7.

Decides which are genuine and news, and how much a neighbour that makes some up may cost. What follows from one is the
engine's.
"""

from __future__ import annotations

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CA_RECORDS
from treecast.base.time import Duration, Instant
from treecast.broadcast.acceptance import BELOW_FLOOR
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.learned import Learned
from treecast.broadcast.news import News
from treecast.broadcast.pace import full_pace
from treecast.broadcast.store import Origin, Record, Store, hash_of_body
from treecast.identity.keys import VerifySignature
from treecast.identity.newest import CERTIFICATE_REPLACED
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.wire.advertisement import Body, Content, Kind, Signed, parse_signed
from treecast.wire.ca_record import parse_ca_record
from treecast.wire.revocation import CA_EPOCH, CA_ORIGIN, CA_SIGNING_CONTEXT, revocation_key

VOID = (CERTIFICATE_REPLACED, CERTIFICATE_REVOKED, BELOW_FLOOR)
"""Refusals of what was genuine once: the sender lacks what ended it."""
MAX_FORGED_RECORDS = 8
"""Records with a wrong signature that one neighbour may send before none of its are looked at for a while."""
FORGER_PAUSE: Duration = 10.0


class CaRecords:
    """The records that one node holds, in ``store`` like advertisements of nodes; they do not end."""

    def __init__(self, ca_public_key: bytes, store: Store, news: News, verify_signature: VerifySignature) -> None:
        self._ca_public_key = ca_public_key
        self._store = store
        self._news = news
        self._verify_signature = verify_signature
        self._forged: dict[NodeIndex, tuple[int, Instant]] = {}
        """How many each linked node has sent with a wrong signature, and when the last."""

    def receive(self, now: Instant, sender: Neighbour, wire: bytes, signed: Signed, body: Body) -> list[Learned]:
        """A neighbour has sent a record; nothing is learned where it is held. MalformedError with the reason."""
        learned: list[Learned] = []
        body_hash = hash_of_body(signed.body)
        if self._is_newer(body, body_hash):
            content = parse_ca_record(body)
            self._require_no_forger(now, sender.peer)
            if not self._is_genuine(signed):
                forged, _ = self._forged.get(sender.peer, (0, now))
                self._forged[sender.peer] = (forged + 1, now)
                raise MalformedError("advertisement_bad_signature")
            learned.append(self._hold(now, sender.peer, wire, body, body_hash, content))
        else:
            self._news.sent_again(CA_ORIGIN, (body.kind, body.key), wire, sender.peer)
        sender.acknowledge(now, (body.origin, body.epoch, body.sequence))
        return learned

    def put(self, now: Instant, wire: bytes) -> list[Learned]:
        """A record that the operator gives, or an earlier run has held; nothing is learned if it is. MalformedError."""
        signed, body = parse_signed(wire)
        content = parse_ca_record(body)
        if not self._is_genuine(signed):
            raise MalformedError("advertisement_bad_signature")
        body_hash = hash_of_body(signed.body)
        is_newer = self._is_newer(body, body_hash)
        return [self._hold(now, CA_ORIGIN, wire, body, body_hash, content)] if is_newer else []

    def link_down(self, peer: NodeIndex) -> None:
        self._forged.pop(peer, None)

    def all(self) -> tuple[bytes, ...]:
        """The records that are held, as they were signed."""
        return tuple(record.wire for record in self._store.records_of(CA_ORIGIN))

    def revocation(self, node: NodeIndex) -> Record | None:
        """The record that revokes certificates of the node."""
        origin = self._store.get(CA_ORIGIN)
        return origin.records.get((Kind.REVOCATION, revocation_key(node))) if origin is not None else None

    def answer_void(self, now: Instant, sender: Neighbour, body: Body) -> None:
        """The sender does not know yet that the origin was added again or revoked, or has withdrawn this; or is it."""
        index = NodeIndex(body.origin)
        sender.acknowledge(now, (body.origin, body.epoch, body.sequence))
        origin = self._store.get(index)
        newer = origin.records.get((Kind.NODE, b"")) if origin is not None else None
        for record in (newer, self.revocation(index)):
            if record is not None:
                sender.offer(now, record)

    def _is_newer(self, body: Body, body_hash: int) -> bool:
        origin = self._store.get(CA_ORIGIN)
        held = origin.records.get((body.kind, body.key)) if origin is not None else None
        if origin is not None and held is None and len(origin.records) >= MAX_CA_RECORDS:
            raise MalformedError("advertisement_table_full")
        return held is None or (body.sequence, body_hash) > (held.sequence, held.body_hash)

    def _require_no_forger(self, now: Instant, peer: NodeIndex) -> None:
        forged, last = self._forged.get(peer, (0, now))
        if forged < MAX_FORGED_RECORDS:
            return
        if now - last < FORGER_PAUSE:
            raise MalformedError("ca_record_rate")
        del self._forged[peer]

    def _is_genuine(self, signed: Signed) -> bool:
        return self._verify_signature(self._ca_public_key, CA_SIGNING_CONTEXT, signed.body, signed.signature)

    def _hold(
        self, now: Instant, sender: NodeIndex, wire: bytes, body: Body, body_hash: int, content: Content | None
    ) -> Learned:
        if self._store.get(CA_ORIGIN) is None:
            origin = Origin(CA_EPOCH, self._ca_public_key, Instant(float("inf")), full_pace(now))
            self._store.begin(CA_ORIGIN, origin)
        record = Record(CA_ORIGIN, body.epoch, body.sequence, body.kind, body.key, body.content, wire, body_hash)
        self._store.put(record, now)
        self._news.add(record, sender, begins=True)
        return Learned(CA_ORIGIN, body.kind, body.key, content)
