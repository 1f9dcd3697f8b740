"""Reconciliation: when a node compares what it holds with a neighbour, because their fingerprints differ.

Each probe brings a neighbour's fingerprint. Decides which difference is worth a comparison, with whom and when, and how
much a neighbour that always differs may cost. What differs is ``digests``'s. Read ``docs/protocol.md`` section 7 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after, earliest, in_time
from treecast.base.timers import Timers
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast.digests import LAST_INDEX, Digests
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.quotas import OverQuota
from treecast.broadcast.store import Store
from treecast.broadcast.unacknowledged import JITTER
from treecast.wire.control import Digest, Ranges

SETTLED_AFTER: Duration = 1.0
"""The same difference for so long is none of changes that are on their way: these come, and others follow."""
LASTING_AFTER: Duration = 12.0
"""Where something changes all the time no difference stays the same. Longer than who joins takes to learn all."""
AT_ONCE: tuple[Duration, Duration] = (0.0, 0.5)
LATER: tuple[Duration, Duration] = (3.0, 6.0)
"""The wait of a node that agrees with most neighbours: one that does not compares with one of its own before."""
START_INTERVAL: Duration = 2.5
"""A node compares with one neighbour at a time: after so long the probes of the others show whether that was enough."""
AGAIN: Duration = 1.0
"""A first comparison from which nothing was learned is repeated: it may have been lost."""
AFTER_LINK_LOSS: Duration = 1.0
"""All that had a link with a node that is lost compare with somebody else within this time: not at one instant."""
FIRST_PAUSE: Duration = 4.0
LAST_PAUSE: Duration = 32.0
"""A neighbour that still differs is compared with less and less often, until it agrees once."""
MESSAGES_PER_S = 16.0
MESSAGES_BURST = 256.0
"""Descriptions that one neighbour may send, and have sent in answer: a kilobyte each at most."""
ORIGINS_PER_MESSAGE = 32
"""Flooded origins that cost the sender of one description as much as another description."""
RECORDS_PER_S, RECORDS_BURST = 8192.0, 4096.0
"""Records that one neighbour is offered, as its digests lack them: some milliseconds in a turn, and more than a node
takes. Other origins wait, each once, however often it is lacking meanwhile.
"""
OFFER_INTERVAL: Duration = 0.005
"""Where origins wait, they are offered so often."""

NAMED_AFTER: Duration = 600.0
"""A neighbour that has not agreed once for so long, while most do, is named to people."""
DISPUTED_FOR: Duration = 120.0
"""Three comparisons with a neighbour that still differs come within this time."""
BEGINNING = Instant(0.0)


@dataclass(slots=True)
class _Comparison:
    """How this node's database and a neighbour's agree. ``tokens``: the messages that it may still cause."""

    tokens: TokenBucket
    records: TokenBucket
    """The records that it may still be offered for its digests."""
    to_offer: dict[NodeIndex, None] = field(default_factory=dict)
    """Origins that are to be offered, in their order: of those that are held here."""
    difference: int = 0
    since: Instant | None = None
    """The time at which they began to differ, or were last seen to; None while they agree."""
    pause: Duration = FIRST_PAUSE
    not_before: Instant = BEGINNING
    version_at_start: int | None = None
    """The store's, when the first comparison of a new link began."""
    disputed: tuple[NodeIndex, Instant] | None = None
    """An origin over its quota of which the two hold something else, and when that was seen last: each takes what comes
    first, and which that is was that origin's choice.
    """


class Reconciliation:
    """One node's comparisons with its neighbours, which are ``neighbours`` as they are now."""

    def __init__(
        self,
        me: NodeIndex,
        store: Store,
        neighbours: Mapping[NodeIndex, Neighbour],
        over_quota: OverQuota,
        rng: Random,
        drops: Drops,
    ) -> None:
        self._me = me
        self._store = store
        self._neighbours = neighbours
        self._over_quota = over_quota
        self._rng = rng
        self._drops = drops
        self._digests = Digests(store)
        self._with: dict[NodeIndex, _Comparison] = {}
        self._differing: set[NodeIndex] = set()
        self._starts: Timers[NodeIndex] = Timers()
        """The time at which all is next compared with each neighbour for which that was noted."""
        self._next_start = BEGINNING
        self._answers: list[tuple[NodeIndex, Digest | Ranges]] = []
        self._offering: dict[NodeIndex, None] = {}
        """The neighbours that are to be offered origins."""

    def link_up(self, now: Instant, peer: NodeIndex) -> None:
        """The first of the links that come up together is compared at once, but a node that is new has the first word.

        So who joins takes all from one neighbour.
        """
        messages = TokenBucket.full(MESSAGES_PER_S, MESSAGES_BURST, now)
        comparison = _Comparison(messages, TokenBucket.full(RECORDS_PER_S, RECORDS_BURST, now))
        self._with[peer] = comparison
        is_peer_new = len(self._store) > 1 and self._store.get(peer) is None
        if now >= self._next_start and not is_peer_new:
            self._next_start = after(now, START_INTERVAL)
            comparison.version_at_start = self._store.version
            self._answers.append((peer, self._digests.whole()))
            self._starts.set(peer, after(now, AGAIN * self._rng.uniform(*JITTER)))

    def link_down(self, now: Instant, peer: NodeIndex) -> None:
        """Another neighbour has what this one had not passed on yet."""
        self._with.pop(peer, None)
        self._offering.pop(peer, None)
        self._differing.discard(peer)
        self._starts.cancel(peer)
        if self._with:
            other = self._rng.choice(list(self._with))
            if other not in self._starts:
                self._starts.set(other, after(now, self._rng.random() * AFTER_LINK_LOSS))

    def differs(self, now: Instant, peer: NodeIndex, difference: int) -> None:
        """A neighbour's probe had a fingerprint that is greater by so much; 0: the same again."""
        comparison = self._with.get(peer)
        if comparison is None:
            return
        if not difference:
            comparison.since, comparison.difference, comparison.pause = None, 0, FIRST_PAUSE
            self._differing.discard(peer)
            self._cancel_start(peer, comparison)
            return
        self._differing.add(peer)
        if comparison.since is None:
            comparison.since = now
        is_same, comparison.difference = difference == comparison.difference, difference
        lasted = now - comparison.since
        is_on_the_way = self._neighbours[peer].unsent > 0
        is_settled = is_same and not is_on_the_way and lasted >= SETTLED_AFTER
        if peer not in self._starts and (is_settled or lasted >= LASTING_AFTER):
            is_rare = 2 * len(self._differing) < len(self._with)
            start = after(now, self._rng.uniform(*(LATER if is_rare else AT_ONCE)))
            self._starts.set(peer, max(start, comparison.not_before))

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Neighbours that differ for good, or origins of which they do. Where most do, it is this node, or a change
        that all are late with.
        """
        if 2 * len(self._differing) >= len(self._with):
            return
        origins: set[NodeIndex] = set()
        for peer in sorted(self._differing):
            since, disputed = self._with[peer].since, self._with[peer].disputed
            if since is None or now - since < NAMED_AFTER:
                continue
            if disputed is not None and now - disputed[1] < DISPUTED_FOR:
                origins.add(disputed[0])
            else:
                text = (
                    f"what {name(peer)} holds of this network has differed for {in_time(now - since)} from what this "
                    f"node and most others hold, though they compared it: see the log and treecast status there for "
                    f"what it refuses, and restart it; if nothing is wrong, find out what runs there"
                )
                yield Problem("database_differs", name(peer), text)
        for origin in sorted(origins):
            text = (
                f"{name(origin)} has advertised more than it may, and other nodes hold other parts of that than this "
                f"one, as that comes about where a node tells each something else: find out what runs there"
            )
            yield Problem("database_differs", name(origin), text)

    def receive(self, now: Instant, neighbour: Neighbour, message: Digest | Ranges) -> bool:
        """A neighbour describes what it holds; whether it holds a newer epoch of this node."""
        comparison = self._with[neighbour.peer]
        if not comparison.tokens.take(now):
            self._drops.count("reconciliation_rate")
            return False
        last = message.ranges[-1][0] if isinstance(message, Ranges) else message.last
        if (message.first, last) == (0, LAST_INDEX):  # this node need not compare all, too
            self._cancel_start(neighbour.peer, comparison)
            comparison.not_before = max(comparison.not_before, after(now, FIRST_PAUSE))
        if isinstance(message, Ranges):
            self._answer(now, neighbour.peer, comparison, self._digests.finer(message))
            return False
        compared = self._digests.compare(message)
        comparison.tokens.tokens -= len(compared.lacking) / ORIGINS_PER_MESSAGE
        for index in (*compared.lacking, *compared.wanted):
            if index != self._me and self._over_quota.is_noted(index):
                comparison.disputed = index, now
        comparison.to_offer.update(dict.fromkeys(compared.lacking))
        if comparison.to_offer:
            self._offering[neighbour.peer] = None
        if message.expects_reply:
            self._answer(now, neighbour.peer, comparison, self._digests.request(compared.wanted))
        return self._me in compared.newer

    def digest_of(self, index: NodeIndex) -> Digest:
        """The digest of one origin."""
        return self._digests.of(index)

    def _cancel_start(self, peer: NodeIndex, comparison: _Comparison) -> None:
        self._starts.cancel(peer)
        comparison.version_at_start = None

    def _answer(
        self, now: Instant, peer: NodeIndex, comparison: _Comparison, answers: Iterable[Digest | Ranges]
    ) -> None:
        for answer in answers:
            if not comparison.tokens.take(now):
                self._drops.count("reconciliation_rate")
                return
            self._answers.append((peer, answer))

    def _offer_due(self, now: Instant) -> None:
        """Offer the neighbours what they lack, as much as there is time for; the last origin of each may be more."""
        for peer in list(self._offering):
            comparison, neighbour = self._with[peer], self._neighbours[peer]
            while comparison.to_offer and comparison.records.has(now):
                index = next(iter(comparison.to_offer))
                del comparison.to_offer[index]
                if neighbour.wants(now, index):
                    records = list(self._store.records_of(index))
                    comparison.records.take(now, max(len(records), 1))
                    neighbour.offer(now, *records)
            if not comparison.to_offer:
                del self._offering[peer]

    def outgoing(self, now: Instant) -> list[tuple[NodeIndex, Digest | Ranges]]:
        """Descriptions that are due; what neighbours lack is offered."""
        self._offer_due(now)
        messages, self._answers = self._answers, []
        for peer in self._starts.due(now):
            comparison = self._with[peer]
            version, comparison.version_at_start = comparison.version_at_start, None
            if version is not None and version != self._store.version:
                continue
            if version is None and now < self._next_start:
                self._starts.set(peer, after(self._next_start, self._rng.uniform(*AT_ONCE)))
                continue
            self._next_start = after(now, START_INTERVAL)
            if version is None:
                comparison.not_before = after(now, comparison.pause * self._rng.uniform(*JITTER))
                comparison.pause = min(2 * comparison.pause, LAST_PAUSE)
            messages.append((peer, self._digests.whole()))
        return messages

    def next_deadline(self) -> Instant | None:
        """The time at which ``outgoing`` has something to send."""
        budgets = [self._with[peer].records for peer in self._offering]
        return earliest(self._starts.next(), *(_next_offer(budget) for budget in budgets))


def _next_offer(budget: TokenBucket) -> Instant:
    return max(budget.next(budget.filled_at), after(budget.filled_at, OFFER_INTERVAL))
