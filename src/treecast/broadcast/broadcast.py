"""Broadcast: what one node advertises, all nodes learn.

Carries advertisements between its parts at this node. Never interprets a group or a host: what was learned goes back to
the caller as values. What is believed is ``acceptance``'s, what this node publishes ``own_advertisements``'s, to which
neighbours what comes is flooded next ``news``'s. Read ``docs/protocol.md`` section 7 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from random import Random

from treecast.base.counters import Drops
from treecast.base.events import SessionReport
from treecast.base.flows import GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import SourceFilter
from treecast.base.tables import TableUse
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.broadcast.acceptance import Acceptance, VerifyCertificate
from treecast.broadcast.ca_records import CaRecords
from treecast.broadcast.consulted_neighbours import ConsultedNeighbours
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.footprint import BroadcastFootprint, footprint_of, tables_of
from treecast.broadcast.intake import Intake, LinkRecords
from treecast.broadcast.learned import Learned
from treecast.broadcast.link_state import LinkStateDatabase, ListedBy, own_links
from treecast.broadcast.new_epochs import NewEpochs
from treecast.broadcast.news import News
from treecast.broadcast.own_advertisements import OwnAdvertisements
from treecast.broadcast.quotas import DEFAULT_QUOTA, OverQuota, Usage
from treecast.broadcast.reconciliation import Reconciliation
from treecast.broadcast.shortest_paths import ShortestPaths
from treecast.broadcast.store import Record, Store
from treecast.broadcast.twins import OtherTwins, Twins
from treecast.identity.keys import SigningKey, VerifySignature, verify
from treecast.wire.advertisement import Content, Kind, NodeContent, emit, parse_content
from treecast.wire.control import Acknowledge, ControlMessage, Digest, Flood, Ranges

REQUEST_INTERVAL: Duration = 0.5
"""A newer epoch of this node is requested from the neighbour that holds it at once, and no more often than that."""


class Broadcast:
    """One node's part in Broadcast."""

    def __init__(
        self,
        *,
        me: NodeIndex,
        signing_key: SigningKey,
        epoch_ms: int,
        verify_certificate: VerifyCertificate,
        wall_clock_ms: Callable[[Instant], int],
        ca_public_key: bytes,
        rng: Random,
        drops: Drops,
        instance: bytes = b"",
        quota: Usage = DEFAULT_QUOTA,
        verify_signature: VerifySignature = verify,
        intern: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        """``wall_clock_ms``: this node's, in milliseconds since 1970. ``instance``: 8 random bytes that no other run of
        this node has.

        ``intern``: the record to hold instead of an equal one, where several nodes share a process.
        """
        self._me = me
        self._rng = rng
        self._drops = drops
        self._request_again = Instant(0.0)
        self.over_quota = OverQuota(me)
        self.twins = Twins(instance, epoch_ms)
        self.other_twins = OtherTwins()
        self.new_epochs = NewEpochs()
        self._store = Store()
        self._own = OwnAdvertisements(
            me=me,
            signing_key=signing_key,
            epoch_ms=epoch_ms,
            twins=self.twins,
            store=self._store,
            rng=rng,
            drops=drops,
            over_quota=self.over_quota,
        )
        self._own.set_quota(quota)
        self._fingerprint_taken = 0
        self._neighbours: dict[NodeIndex, Neighbour] = {}
        self.reconciliation = Reconciliation(me, self._store, self._neighbours, self.over_quota, rng, drops)
        self._wake: Timers[NodeIndex] = Timers()
        """The time at which each neighbour has a message to get."""
        self._link_state = LinkStateDatabase(self._store)
        self._consulted = ConsultedNeighbours(self._link_state, self._neighbours)
        self._listed_by = ListedBy()
        self.paths = ShortestPaths(me, self._link_state, self._listed_by, self._neighbours, self._own.links)
        self._news = News(self._store, self._link_state, self._listed_by, rng)
        self.ca_records = CaRecords(ca_public_key, self._store, self._news, verify_signature)
        self._intake = Intake(
            me=me,
            store=self._store,
            acceptance=Acceptance(self._store, verify_certificate, verify_signature, wall_clock_ms),
            own=self._own,
            neighbours=self._neighbours,
            links=LinkRecords(self._link_state, self._consulted, self._listed_by),
            news=self._news,
            ca_records=self.ca_records,
            over_quota=self.over_quota,
            other_twins=self.other_twins,
            new_epochs=self.new_epochs,
            drops=drops,
            intern=intern,
        )

    # advertisements of this node

    def announce(self, now: Instant, node: NodeContent) -> None:
        """Publish this node's NODE advertisement, and repeat it from now on. Must come before any publish."""
        self._offer(now, self._own.announce(now, node))

    def put(self, now: Instant, kind: Kind, key: bytes, content: Content | None) -> None:
        """Publish a key's new content to all nodes, or withdraw the key where there is none."""
        self._offer(now, self._own.put(now, kind, key, b"" if content is None else emit(content)))

    def _offer(self, now: Instant, records: list[Record]) -> None:
        for neighbour in self._neighbours.values() if records else ():
            neighbour.offer(now, *records)

    def put_group(self, group: GroupKey, wanted: SourceFilter) -> None:
        """This node's hosts have another filter of a group: advertised with all that change until ``advance``."""
        self._own.groups.put(group, wanted)

    def signer(self, node: NodeIndex) -> tuple[bytes, int] | None:
        """A node's public signing key and epoch, while its advertisements live."""
        origin = self._store.get(node)
        return None if origin is None else (origin.signing_key, origin.epoch)

    def contents(self, origin: NodeIndex, kind: Kind) -> list[tuple[bytes, Content | None]]:
        """The live advertisements of one kind that a node has, by key."""
        held = [record for record in self._store.records_of(origin) if record.kind == kind and not record.withdrawn]
        return [(record.key, parse_content(kind, record.content)) for record in held]

    def set_quota(self, now: Instant, quota: Usage) -> None:
        """This node may have so much from now on."""
        self._own.set_quota(quota)
        self.over_quota.forget(self._me)
        self._offer(now, self._own.publish_waiting(now))

    def footprint(self) -> BroadcastFootprint:
        """Sizes of what is kept of other nodes."""
        unsent = sum(neighbour.unsent for neighbour in self._neighbours.values())
        return footprint_of(self._store, self._link_state, self._consulted, sorted(self._neighbours), unsent)

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        return tables_of(self._store, self._me, self._own.groups)

    # links

    def link_up(self, now: Instant, peer: NodeIndex) -> None:
        self._neighbours[peer] = neighbour = Neighbour(peer, self._wake, self._rng, self._drops, now)
        neighbour.request(now, peer)
        self.reconciliation.link_up(now, peer)
        self._own.link_up(now, peer)
        self._consulted.link_up()
        self._listed_by.link_up(peer, self._link_state.read(peer))

    def link_down(self, now: Instant, peer: NodeIndex) -> None:
        if self._neighbours.pop(peer, None) is not None:
            self._wake.cancel(peer)
            self._own.link_down(now, peer)
            self._consulted.link_down(peer)
            self._listed_by.link_down(peer)
            self.ca_records.link_down(peer)
            self.reconciliation.link_down(now, peer)
            self._intake.link_down(peer)

    def keep_links(self, now: Instant, kept: Set[NodeIndex]) -> None:
        """This node keeps links with these nodes by itself, and others as long as those want them."""
        self._own.keep_links(now, kept)

    @property
    def link_state(self) -> LinkStateDatabase:
        """The links that others advertise."""
        return self._link_state

    def measured(self, now: Instant, reports: Iterable[SessionReport]) -> None:
        """How links do now, about once a second, by the sessions in use."""
        self._own.measured(now, reports)

    def link_quality(self, peer: NodeIndex) -> tuple[float | None, float | None]:
        """The round trip in ms, and the part of probes that is lost, of a link; None: not measured."""
        return self._own.links.quality(peer)

    # advertisements of others

    def knows(self, origin: NodeIndex) -> bool:
        """Whether anything of this node is held."""
        return self._store.get(origin) is not None

    def is_listed(self, origin: NodeIndex) -> bool:
        """Whether the node has a link, by both ends' advertisements, as this node's neighbours have them."""
        return self.knows(origin) and self._consulted.confirm(origin)

    def receive(self, now: Instant, peer: NodeIndex, message: Flood | Acknowledge | Digest | Ranges) -> list[Learned]:
        """One message of a linked node."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            self._drops.count("control_without_link")
            return []
        match message:
            case Flood(advertisements):
                learned: list[Learned] = []
                for wire in advertisements:
                    learned += self._intake.receive(now, neighbour, wire)
                return learned
            case Acknowledge(items):
                neighbour.acknowledged(now, *items)
                for origin, epoch, sequence in items:
                    if origin == self._me:
                        self._own.acknowledged(epoch, sequence)
            case Digest() | Ranges():
                if self.reconciliation.receive(now, neighbour, message) and now >= self._request_again:
                    self._request_again = after(now, REQUEST_INTERVAL)
                    neighbour.request(now, self._me)  # a newer epoch of any other node is flooded without a request
        return []

    @property
    def waiting(self) -> int:
        """How many advertisements wait for their turn."""
        return self._intake.waiting

    def take_waiting(self, now: Instant) -> list[Learned]:
        """Take as many of those as a turn has time for."""
        return self._intake.take_waiting(now)

    def fingerprint_differs(self, now: Instant, peer: NodeIndex, difference: int) -> None:
        """A linked node's fingerprint is greater by so much than this node's, modulo 2^128; 0: it is the same again."""
        self.reconciliation.differs(now, peer, difference)

    def take_fingerprint(self) -> bytes | None:
        """The fingerprint of all that is held, where it has changed since the last call."""
        if self._store.fingerprint == self._fingerprint_taken:
            return None
        self._fingerprint_taken = self._store.fingerprint
        return self._fingerprint_taken.to_bytes(16, "big")

    # time

    def advance(self, now: Instant) -> list[Learned]:
        """Take advertisements that wait, publish what is due of this node's own, whose links are news here, too; forget
        origins that fell silent.
        """
        published = self._own.advance(now)
        self._offer(now, published)
        self._store.forget_withdrawn(now)
        learned = own_links(published) + self._intake.take_waiting(now)
        for index in self._store.expired(now):
            learned += self._ended(index, self._store.expire(index))
        return learned

    def revoke(self, index: NodeIndex) -> list[Learned]:
        """The node's certificate is revoked: nothing of it is held any more."""
        return self._ended(index, self._store.forget(index))

    def _ended(self, index: NodeIndex, records: list[Record]) -> list[Learned]:
        self.other_twins.forget(index)
        self.new_epochs.forget(index)
        self.over_quota.forget(index)
        return self._intake.unlearn(index, records)

    def outgoing(self, now: Instant) -> list[tuple[NodeIndex, ControlMessage]]:
        """The messages that are due, per linked node. Call after each turn."""
        for peer, records in self._news.take(now, self._neighbours).items():
            self._neighbours[peer].offer(now, *records)
        messages: list[tuple[NodeIndex, ControlMessage]] = [*self.reconciliation.outgoing(now)]
        for peer in self._wake.due(now):
            neighbour = self._neighbours[peer]
            messages += [(peer, self.reconciliation.digest_of(one)) for one in neighbour.take_requested(now)]
            messages += [(peer, message) for message in neighbour.messages(now)]
        return messages

    def next_deadline(self) -> Instant | None:
        """The time at which ``advance`` and ``outgoing`` have something to do."""
        rooms = (self._own.next_deadline(), self._store.next_expiry(), self._wake.next(), self._intake.next_deadline())
        return earliest(*rooms, self.reconciliation.next_deadline(), self._news.next_deadline())
