"""Intake: advertisements that neighbours send, each at once or in its turn, and what was learned of them.

Carries each past ``acceptance`` into the store. Decides neither what is believed, nor whose turn it is (``arrivals``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from treecast.base.counters import QUEUE_FULL_AS_OF, QUEUE_FULL_FORGED, Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant, after
from treecast.broadcast.acceptance import Acceptance, groups_in
from treecast.broadcast.arrivals import QUEUE_FULL, WORK_OF_EACH, WORK_OF_PREFIX, Arrival, Arrivals
from treecast.broadcast.bad_signatures import BadSignatures
from treecast.broadcast.ca_records import VOID, CaRecords
from treecast.broadcast.consulted_neighbours import ConsultedNeighbours
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.learned import Learned
from treecast.broadcast.link_state import LinkStateDatabase, ListedBy, links_in
from treecast.broadcast.new_epochs import NewEpochs
from treecast.broadcast.news import News
from treecast.broadcast.own_advertisements import OwnAdvertisements
from treecast.broadcast.pace import full_pace
from treecast.broadcast.quotas import OverQuota, OverQuotaError, quota_of
from treecast.broadcast.store import NODE_LIFETIME, Origin, Record, Store, hash_of_body
from treecast.broadcast.twins import OtherTwins
from treecast.identity.certificate import Certificate
from treecast.wire.advertised_groups import GroupsContent, parse_groups
from treecast.wire.advertisement import Body, Content, Kind, parse_signed
from treecast.wire.revocation import CA_ORIGIN


@dataclass(frozen=True, slots=True)
class LinkRecords:
    """LINKS advertisements of all nodes, as they are read here."""

    state: LinkStateDatabase
    consulted: ConsultedNeighbours
    listed_by: ListedBy


class Intake:
    """One node's. ``neighbours``: those linked now."""

    def __init__(
        self,
        *,
        me: NodeIndex,
        store: Store,
        acceptance: Acceptance,
        own: OwnAdvertisements,
        neighbours: Mapping[NodeIndex, Neighbour],
        links: LinkRecords,
        news: News,
        ca_records: CaRecords,
        over_quota: OverQuota,
        other_twins: OtherTwins,
        new_epochs: NewEpochs,
        drops: Drops,
        intern: Callable[[Record], Record],
    ) -> None:
        self._me = me
        self._store = store
        self._acceptance = acceptance
        self._own = own
        self._neighbours = neighbours
        self._link_state, self._consulted, self._listed_by = links.state, links.consulted, links.listed_by
        self._news = news
        self._ca_records = ca_records
        self._over_quota = over_quota
        self._other_twins, self._new_epochs = other_twins, new_epochs
        self._drops = drops
        self._intern = intern
        self._arrivals = Arrivals()
        self._bad_signatures = BadSignatures(drops)

    def receive(self, now: Instant, sender: Neighbour, wire: bytes) -> list[Learned]:
        """An advertisement of a neighbour: taken at once while this turn has time, else it waits, unacknowledged."""
        try:
            arrival = Arrival(wire, *parse_signed(wire))
        except MalformedError as error:
            self._drops.count(error.reason)
            return []
        return self._take(now, sender, arrival, has_waited=False)

    def take_waiting(self, now: Instant) -> list[Learned]:
        """Take those whose turn it is."""
        learned: list[Learned] = []
        for peer, arrival in self._arrivals.take(now):
            learned += self._take(now, self._neighbours[peer], arrival, has_waited=True)
        return learned

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._arrivals)

    def link_down(self, peer: NodeIndex) -> None:
        """Leave what it brought and still waits: that was not acknowledged, and other neighbours have it."""
        self._bad_signatures.link_down(peer)
        waited = self._arrivals.link_down(peer)
        if waited:
            self._drops.count("control_without_link", waited)

    def next_deadline(self) -> Instant | None:
        """The time at which ``take_waiting`` has something."""
        return self._arrivals.next_deadline()

    def _work(self, body: Body) -> int:
        """The work that it makes: groups and sources that its chunk lists and did not, or did and does not."""
        if body.kind == Kind.GROUP_PREFIX:
            return WORK_OF_PREFIX
        if body.kind != Kind.GROUPS:
            return WORK_OF_EACH
        origin = self._store.get(NodeIndex(body.origin))
        before = groups_in(origin.records.get((body.kind, body.key))) if origin is not None else None
        after_it = parse_groups(body.content) if body.content else None
        listed = (frozenset(content.groups) if content is not None else frozenset() for content in (before, after_it))
        return WORK_OF_EACH + sum(1 + len(group.sources) for group in next(listed) ^ next(listed))

    def _waits(self, now: Instant, peer: NodeIndex, arrival: Arrival) -> bool:
        """Whether it is to wait. NODE and LINKS never do: others are reached by them."""
        if arrival.body.kind in (Kind.NODE, Kind.LINKS):
            return False
        arrival = replace(arrival, work=self._work(arrival.body))
        if self._arrivals.is_taken_at_once(now, peer, arrival):
            return False
        put_out = self._arrivals.put(peer, arrival)
        if put_out is not None:
            self._drops.count(QUEUE_FULL)
            self._note_full(now, peer, put_out)
        return True

    def _note_full(self, now: Instant, peer: NodeIndex, arrival: Arrival) -> None:
        """One that the neighbour has brought found no room. Nobody but who signed it is named as its origin."""
        self._drops.note_of(peer, QUEUE_FULL)
        index = NodeIndex(arrival.body.origin)
        origin = self._store.get(index)
        if origin is None or origin.epoch != arrival.body.epoch or not self._arrivals.looked_at.take(now):
            return
        try:
            self._acceptance.verify(origin.signing_key, arrival.signed)
        except MalformedError:
            self._drops.note_of(peer, QUEUE_FULL_FORGED)
        else:
            self._drops.note_of(index, QUEUE_FULL_AS_OF)

    def _take(self, now: Instant, sender: Neighbour, arrival: Arrival, *, has_waited: bool) -> list[Learned]:
        body = arrival.body
        try:
            return self._take_signed(now, sender, arrival, has_waited=has_waited)
        except MalformedError as error:
            self._drops.count(error.reason)
            self._bad_signatures.refused(now, sender.peer, error.reason)
            if error.reason == QUEUE_FULL:
                self._note_full(now, sender.peer, arrival)
            origin = self._store.get(NodeIndex(body.origin))
            if error.reason in VOID:
                self._ca_records.answer_void(now, sender, body)
            if isinstance(error, OverQuotaError) and origin is not None:
                self._over_quota.note(now, NodeIndex(body.origin), error.field, origin.quota)
            return []

    def _take_signed(self, now: Instant, sender: Neighbour, arrival: Arrival, *, has_waited: bool) -> list[Learned]:
        wire, signed, body = arrival.wire, arrival.signed, arrival.body
        index = NodeIndex(body.origin)
        version = (body.origin, body.epoch, body.sequence)
        sender.acknowledged(now, version)
        if index == CA_ORIGIN:
            return self._ca_records.receive(now, sender, wire, signed, body)
        self._bad_signatures.require_budget(now, sender.peer)
        self._acceptance.require_begun(now, body)
        if index == self._me:
            sender.acknowledge(now, version)
            linked_at = min(neighbour.linked_at for neighbour in self._neighbours.values())
            records = self._own.received(now, signed, body, self._acceptance, linked_at)
            for neighbour in self._neighbours.values() if records else ():
                neighbour.offer(now, *records)
            return []
        body_hash = hash_of_body(signed.body)
        if not self._acceptance.is_newer(body, body_hash):
            self._news.sent_again(index, (body.kind, body.key), wire, sender.peer)
            sender.acknowledge(now, version)
            self._answer_ended(now, sender, body)
            return []
        if not has_waited and self._waits(now, sender.peer, arrival):
            return []
        return self._accept(now, sender, arrival, body_hash)

    def _answer_ended(self, now: Instant, sender: Neighbour, body: Body) -> None:
        """The sender does not know how far the origin was that ended; or is it, and its clock was set back."""
        tombstone = self._store.tombstone(NodeIndex(body.origin))
        if tombstone is None or body.kind != Kind.NODE:
            return
        if (body.epoch, body.sequence) < (tombstone.epoch, tombstone.sequence):
            sender.offer(now, tombstone)

    def _accept(self, now: Instant, sender: Neighbour, arrival: Arrival, body_hash: int) -> list[Learned]:
        """One that is newer than what is held, if it is genuine."""
        wire, signed, body = arrival.wire, arrival.signed, arrival.body
        index = NodeIndex(body.origin)
        learned: list[Learned] = []
        certificate: Certificate | None = None
        before: GroupsContent | None = None
        content: Content | None
        is_replacing = begins = False
        if body.kind == Kind.NODE:
            accepted = self._acceptance.node(now, signed, body)
            content, certificate = accepted.content, accepted.certificate
            is_alternating = self._other_twins.receive(now, index, accepted.content)
            held = self._store.get(index)
            is_replacing = held is not None and held.signing_key != certificate.signing_key
            if held is not None and held.epoch != body.epoch and not is_alternating:
                is_of_now = self._acceptance.is_of_now(now, body)
                self._new_epochs.begun(now, index, accepted.content.endpoint_values(), is_of_now=is_of_now)
            origin, gone = self._begun(now, body, certificate)
            begins = not origin.records
            origin.floor = max(origin.floor, accepted.content.floor)
            quota = quota_of(certificate.rights)
            if quota != origin.quota:
                origin.quota = quota
                self._over_quota.forget(index)
            learned += gone
            self._store.keep(index, after(now, NODE_LIFETIME))
        else:
            other = self._acceptance.other(now, signed, body, len(wire))
            origin, content, before = other.origin, other.content, other.before
            origin.usage = other.usage
            self._over_quota.now_has(index, origin.usage, origin.quota)
        fields = (index, body.epoch, body.sequence, body.kind, body.key, body.content, wire, body_hash)
        record = self._intern(Record(*fields))
        if body.kind == Kind.LINKS:
            self._links_changed(now, sender, record, origin.records.get(record.record_key))
        self._store.put(record, now)
        replaced = self._neighbours.get(index) if is_replacing else None
        if replaced is not None:
            replaced.offer(now, record)  # the link is with the node whose certificate this replaces: it is to end
        sender.acknowledge(now, (body.origin, body.epoch, body.sequence))
        self._news.add(record, sender.peer, begins=begins)
        learned.append(Learned(index, body.kind, body.key, content, certificate, before))
        return learned

    def _begun(self, now: Instant, body: Body, certificate: Certificate) -> tuple[Origin, list[Learned]]:
        """The origin in this epoch, and what ended with the one before."""
        index, learned = certificate.node_index, list[Learned]()
        origin = self._store.get(index)
        if origin is None or origin.epoch != body.epoch:
            pace = full_pace(now) if origin is None else origin.pace
            if origin is not None:
                learned = self.unlearn(index, self._store.forget(index))
            origin = Origin(body.epoch, certificate.signing_key, now, pace)
            self._store.begin(index, origin)
        return origin, learned

    def _links_changed(self, now: Instant, sender: Neighbour, record: Record, before: Record | None) -> None:
        """An origin that has lost this node may have had news since: they are requested from the sender."""
        self._link_state.forget(record.origin)
        self._consulted.forget(record.origin)
        listed_before = links_in(before.content) if before is not None else frozenset[int]()
        listed = links_in(record.content)
        self._listed_by.changed(record.origin, listed_before, listed)
        if self._me in listed_before - listed:
            sender.request(now, record.origin)

    def unlearn(self, index: NodeIndex, records: list[Record]) -> list[Learned]:
        """Nothing of the origin is held any more; returns what ended with it."""
        self._link_state.forget(index)
        self._consulted.forget(index)
        self._listed_by.cleared(index)
        for neighbour in self._neighbours.values():
            neighbour.withdraw_offers_of(index)
        gone = [Learned(index, one.kind, one.key, None, None, groups_in(one), has_run_ended=True) for one in records]
        return sorted(gone, key=lambda item: (-item.kind, item.key))
