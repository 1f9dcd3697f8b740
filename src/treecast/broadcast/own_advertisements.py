"""This node's own advertisements: published, repeated and withdrawn, each signed.

Decides their sequences and the epoch. Sends nothing: methods return the records that all neighbours are to get.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from random import Random

from msgspec.structs import replace

from treecast.base.counters import Drops
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_RECORDS_PER_ORIGIN
from treecast.base.time import Duration, Instant, after, earliest
from treecast.broadcast.acceptance import Acceptance
from treecast.broadcast.floor import Floor
from treecast.broadcast.own_groups import OwnGroups
from treecast.broadcast.own_links import OwnLinks
from treecast.broadcast.pace import full_pace
from treecast.broadcast.quotas import NOTHING, OverQuota, Usage, usage_of
from treecast.broadcast.store import Origin, Record, Store, hash_of_body
from treecast.broadcast.twins import Twins
from treecast.identity.keys import SigningKey
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, NodeContent, Signed, emit, parse_node

NODE_INTERVAL: Duration = 28.0
"""NODE comes twice in the lifetime of what it keeps alive; each is repeated until it is acknowledged."""
LINKS_DELAY: Duration = 0.3
"""Links come in bursts when a node starts: one LINKS advertisement for each burst."""


class OwnAdvertisements:
    """Publishes a node's own advertisements. They are held in ``store`` like those of other origins."""

    def __init__(
        self,
        *,
        me: NodeIndex,
        signing_key: SigningKey,
        epoch_ms: int,
        twins: Twins,
        store: Store,
        rng: Random,
        drops: Drops,
        over_quota: OverQuota,
    ) -> None:
        self._me = me
        self._signing_key = signing_key
        self._epoch = epoch_ms
        self._twins = twins
        self._store = store
        self._rng = rng
        self._drops = drops
        self._sequence = 0
        self._over_quota = over_quota
        self._hosts: set[bytes] = set()
        """Keys of HOST that are published, and of those that wait for a quota with room for them, with the content."""
        self._waiting_hosts: dict[bytes, bytes] = {}
        self.groups = OwnGroups(drops)
        self._floor = Floor()
        self.links = OwnLinks()
        self._links_due: Instant | None = None
        self._node: NodeContent | None = None
        self._node_due: Instant | None = None
        self._pace = full_pace(Instant(0.0))
        self._groups_due: Instant | None = None
        """The time at which groups that wait are published: before it others would take no more of this node."""

    def announce(self, now: Instant, node: NodeContent) -> list[Record]:
        """Publish NODE, and repeat it from now on. Must come before any other."""
        self._node = node
        self._node_due = after(now, NODE_INTERVAL * self._rng.uniform(0.8, 1.0))
        origin = self._store.get(self._me)
        if origin is None:
            origin = self._origin()
            self._store.begin(self._me, origin)
        published = self._raise_floor(now, origin)
        own = self._twins
        content = replace(node, instance=own.instance, started_ms=own.started_ms, rival=own.rival, floor=origin.floor)
        return published + self._publish(now, Kind.NODE, b"", emit(content))

    def _raise_floor(self, now: Instant, origin: Origin) -> list[Record]:
        stale, floor = self._floor.stale(now, origin)
        published: list[Record] = []
        for record in stale:
            again = self._publish(now, record.kind, record.key, record.content)
            if not again:
                floor = max(origin.floor, record.sequence - 1)
                break
            published += again
        origin.floor = floor
        return published

    def set_quota(self, quota: Usage) -> None:
        """Others take so much of this node."""
        self.groups.quota = quota

    def put(self, now: Instant, kind: Kind, key: bytes, content: bytes) -> list[Record]:
        """Publish a key's content, none to withdraw it; nothing happens when it is not new. Hosts above the quota
        wait.
        """
        if kind != Kind.HOST:
            return self._put(now, kind, key, content)
        if not content:
            self._hosts.discard(key)
            self._waiting_hosts.pop(key, None)
            return self._put(now, kind, key, content) + self.publish_waiting(now)
        if key not in self._hosts and len(self._hosts) >= self.groups.quota.hosts:
            self._waiting_hosts[key] = content
            return self._refuse(now, "hosts")
        self._hosts.add(key)
        return self._put(now, kind, key, content)

    def publish_waiting(self, now: Instant) -> list[Record]:
        """Publish hosts for which there is room now."""
        published: list[Record] = []
        while self._waiting_hosts and len(self._hosts) < self.groups.quota.hosts:
            key = next(iter(self._waiting_hosts))
            published += self.put(now, Kind.HOST, key, self._waiting_hosts.pop(key))
        if not self._waiting_hosts and not self.groups.refused:
            self._over_quota.forget(self._me)
        return published

    def _put(self, now: Instant, kind: Kind, key: bytes, content: bytes) -> list[Record]:
        origin = self._store.get(self._me)
        current = origin.records.get((kind, key)) if origin else None
        if (current.content if current else b"") == content:
            return []
        return self._publish(now, kind, key, content)

    def link_up(self, now: Instant, peer: NodeIndex) -> None:
        """List the link in LINKS, in a moment."""
        if not self.links.add(peer):
            self._drops.count("advertisement_table_full")
        self._links_due = self._links_due or after(now, LINKS_DELAY)

    def link_down(self, now: Instant, peer: NodeIndex) -> None:
        """List it no more."""
        self.links.remove(peer)
        self._links_due = self._links_due or after(now, LINKS_DELAY)

    def keep_links(self, now: Instant, kept: Set[NodeIndex]) -> None:
        """Keep links with these nodes by itself, and advertise that."""
        if self.links.keep(kept):
            self._links_due = self._links_due or after(now, LINKS_DELAY)

    def measured(self, now: Instant, reports: Iterable[SessionReport]) -> None:
        """How links do now, about once a second: LINKS follow what has changed for good."""
        for report in reports:
            self.links.measure(now, report)
        if self.links.settle(now):
            self._links_due = self._links_due or now

    def advance(self, now: Instant) -> list[Record]:
        """Publish what is due: NODE again, links that came and went, and groups that changed since the last call."""
        published: list[Record] = []
        if self._node_due is not None and self._node is not None and now >= self._node_due:
            published += self.announce(now, self._node)
        if self._links_due is not None and now >= self._links_due:
            published += self._publish_links(now)
        self._groups_due = None
        if self._node is not None and not self._pace.has(now):
            self._groups_due = self._pace.next(now) if self.groups.has_changed else None
        elif self._node is not None:
            for key, content in self.groups.take_changed(now):
                published += self.put(now, Kind.GROUPS, key, b"" if content is None else emit(content))
            if self.groups.refused:
                self._over_quota.note(now, self._me, self.groups.refused, self.groups.quota)
        return published

    def next_deadline(self) -> Instant | None:
        return earliest(self._node_due, self._links_due, self._groups_due)

    def received(
        self, now: Instant, signed: Signed, body: Body, acceptance: Acceptance, linked_at: Instant
    ) -> list[Record]:
        """Another run of this node is alive, or an older one had a later clock: begin in an epoch newer than that.
        ``linked_at``: since when this node has had a neighbour.
        """
        origin = self._store.get(self._me)
        if origin is None:
            return []
        other = parse_node(body.content) if body.kind == Kind.NODE else None
        is_other_run = other is not None and self._twins.concerns(other)
        if body.epoch == self._epoch and other is None:
            return self._withdraw_again(now, origin, signed, body, acceptance)
        if body.epoch <= self._epoch and not is_other_run:
            return []
        if other is not None:
            acceptance.of_this_node(other)
        acceptance.verify(self._signing_key.public, signed)
        published: list[Record] = []
        if body.epoch > self._epoch:
            published += self._begin_after(now, body.epoch)
            if other is not None and is_other_run:
                self._twins.overtaken(now, other, linked_at)
        if other is not None and is_other_run and self._twins.receive(now, other) and self._node is not None:
            published += self.announce(now, self._node)
        return published

    def _withdraw_again(
        self, now: Instant, origin: Origin, signed: Signed, body: Body, acceptance: Acceptance
    ) -> list[Record]:
        """Somebody has what this node has withdrawn so long ago that it is forgotten (RFC 2328 section 13.4)."""
        is_held = (body.kind, body.key) in origin.records
        if is_held or not body.content or not origin.floor < body.sequence <= self._sequence:
            return []
        acceptance.verify(self._signing_key.public, signed)
        return self._publish(now, body.kind, body.key, b"")

    def acknowledged(self, epoch: int, sequence: int) -> None:
        """A neighbour holds this version of one of them."""
        origin = self._store.get(self._me)
        node = origin.records.get((Kind.NODE, b"")) if origin else None
        if node is not None and (node.epoch, node.sequence) == (epoch, sequence):
            self._twins.rival_acknowledged()

    def _publish(self, now: Instant, kind: int, key: bytes, content: bytes) -> list[Record]:
        origin = self._store.get(self._me)
        if origin is None:
            raise RuntimeError("announce comes before publish")
        if (kind, key) not in origin.records and len(origin.records) >= MAX_RECORDS_PER_ORIGIN:
            return self._refuse(now, "records")
        body = emit(Body(self._me, self._epoch, self._sequence + 1, kind, key, content))
        wire = emit(Signed(body, self._signing_key.sign(SIGNING_CONTEXT, body)))
        if kind != Kind.NODE:
            held = origin.records.get((kind, key))
            used = NOTHING if held is None else usage_of(None, len(held.wire))
            usage = origin.usage.minus(used).plus(usage_of(None, len(wire)))
            if usage.size_bytes > self.groups.quota.size_bytes and usage.size_bytes > origin.usage.size_bytes:
                return self._refuse(now, "size_bytes")
            origin.usage = usage
        self._sequence += 1
        self._pace.take(now)
        record = Record(self._me, self._epoch, self._sequence, kind, key, content, wire, hash_of_body(body))
        self._store.put(record, now)
        return [record]

    def _refuse(self, now: Instant, field: str) -> list[Record]:
        """Publish nothing of what others would not take."""
        self._drops.count("advertisement_over_quota")
        self._over_quota.note(now, self._me, field, self.groups.quota)
        return []

    def _publish_links(self, now: Instant) -> list[Record]:
        self._links_due = None
        if self._node is None:
            return []
        published: list[Record] = []
        for key, content in self.links.take_changed():
            published += self.put(now, Kind.LINKS, key, b"" if content is None else emit(content))
        return published

    def _begin_after(self, now: Instant, epoch: int) -> list[Record]:
        self._epoch = epoch + 1
        records = [record for record in self._store.records_of(self._me) if not record.withdrawn]
        self._store.begin(self._me, self._origin())
        published: list[Record] = []
        for record in records:
            published += self._publish(now, record.kind, record.key, record.content)
        return published

    def _origin(self) -> Origin:
        return Origin(self._epoch, self._signing_key.public, Instant(float("inf")), self._pace)
