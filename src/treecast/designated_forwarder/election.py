"""The election on one LAN: of the nodes that receive each other's beacons, the one with the lowest index forwards.

Decides one port's state from the beacons received there and the time; sends nothing. ``designated_forwarder`` does.

``states`` is the table of what follows; docs/state-machines.md shows it.

While a higher one forwards, a port stays SILENT after it was opened until hosts had time to answer its query: it takes
nothing over that it does not know yet. A forwarder makes way before the lower one begins: the lower one waits until
no beacon shows a forwarder. So two of them forward at once only where beacons were lost for ``BEACON_HOLD_TIME``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CANDIDATES
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.designated_forwarder.states import PORT, Finding
from treecast.wire.beacon import Beacon, BeaconState

BEACON_INTERVAL: Duration = 0.5
"""Beacons have no jitter: nodes in step do no harm, as no election is decided by which beacon is first; and earlier
ones of MAX_CANDIDATES nodes would come close to the signatures that are checked in a second, later ones to
BEACON_HOLD_TIME.
"""
BEACON_HOLD_TIME: Duration = 1.5
"""Three beacons. Also how long a port waits for beacons before it may forward."""

QUERY_RESPONSE_INTERVAL: Duration = 10.0
"""RFC 9776 section 8.3, where nothing else is configured."""

LEARN_MARGIN: Duration = 2.0
"""The LAN's groups are known after the Query Response Interval and this."""

SETTLE: Duration = 0.2
"""How long a node is capable before it forwards: of two that became ready at once, each receives the other's beacon."""

LOOP_HOLD: Duration = 3.0
"""How long a port stays silent after its own beacon came back: six beacons to see that it no longer does."""


Rank = tuple[NodeIndex, int]
"""Node index and port: the lowest forwards. The port decides where two of a node are on one LAN."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The last beacon of another node's port, or of another port of this node."""

    state: BeaconState
    sequence: int
    received_at: Instant


class StateReason(Enum):
    """Why a port is in its state."""

    LOWEST = "lowest"
    """Forwarding: nobody with a lower index can."""
    LOWER_NODE = "lower_node"
    """Capable: a node with a lower index forwards, or is about to."""
    HIGHER_NODE = "higher_node"
    """Capable: a node with a higher index forwards still, and makes way."""
    SETTLING = "settling"
    """Capable: the port waits a moment for others that begin with it."""
    LOOPED = "looped"
    """Silent: the port's own beacons come back."""
    NO_LINKS = "no_links"
    """Silent: the node has no links, so it has nothing to carry."""
    LISTENING = "listening"
    """Silent: the port has just been opened, and waits for others' beacons."""
    LEARNING = "learning"
    """Silent: a node with a higher index forwards until this one knows the LAN's groups."""


class Election:
    """One port. ``receive`` and ``advance`` change ``state``."""

    def __init__(
        self, now: Instant, rank: Rank, drops: Drops, query_response_interval: Duration = QUERY_RESPONSE_INTERVAL
    ) -> None:
        self.rank = rank
        self.state = BeaconState.SILENT
        self.found = Finding.UNREADY
        self._drops = drops
        self._candidates: dict[Rank, Candidate] = {}
        self._ends: Timers[Rank] = Timers()
        """The time at which each candidate is one no more, unless another beacon comes."""
        self._forwarding: set[Rank] = set()
        self._lower: set[Rank] = set()
        """Candidates before this port that are able to forward."""
        self._silent_until = after(now, BEACON_HOLD_TIME)
        self._learned_at = after(now, query_response_interval + LEARN_MARGIN)
        self._looped_at: Instant | None = None
        self._capable_since: Instant | None = None
        self._able = False
        self.lost: Rank | None = None
        """The last forwarder that fell silent without a word."""

    def receive(self, now: Instant, beacon: Beacon) -> None:
        """A beacon that counts (``authenticity``), from another node, another port of this node, or this port."""
        rank = (NodeIndex(beacon.node_index), beacon.port)
        if rank == self.rank:
            self._drops.count("beacon_own")
            self._looped_at = now
            self._silent_until = max(self._silent_until, after(now, LOOP_HOLD))
            return
        known = self._candidates.get(rank)
        if known is not None and beacon.sequence <= known.sequence and now < after(known.received_at, BEACON_HOLD_TIME):
            self._drops.count("beacon_repeated")
            return
        if known is None and len(self._candidates) >= MAX_CANDIDATES:
            self._drops.count("beacon_table_full")
            highest = max(self._candidates)
            if rank > highest:
                return
            self._remove(highest)  # the lowest decide
        self._put(rank, Candidate(beacon.state, beacon.sequence, now))
        if rank == self.lost or beacon.state is BeaconState.FORWARDING:
            self.lost = None

    def advance(self, now: Instant, *, able: bool, flooded: bool = False) -> None:
        """The state from now on. ``able``: this node has links, so that forwarding would carry something. ``flooded``:
        beacons were lost among forged ones, so nobody's silence counts, and a port that does not forward begins not to.
        """
        if flooded:
            overdue = self._ends.due(now)
            for rank in overdue:
                self._ends.set(rank, after(now, BEACON_HOLD_TIME))
            if self.state is not BeaconState.FORWARDING:
                self._silent_until = max(self._silent_until, after(now, BEACON_HOLD_TIME))
        for rank in self._ends.due(now):
            if self._remove(rank).state is BeaconState.FORWARDING:
                self.lost = rank
        self._able = able
        if not able or self._is_learning(now) or now < self._silent_until:
            self._capable_since = None
        elif self._capable_since is None:
            self._capable_since = now
        self.found = self._find(now)
        self.state = PORT.after(self.state, self.found)

    def next_deadline(self, now: Instant) -> Instant | None:
        """The time at which ``advance`` may decide otherwise."""
        listened = self._silent_until if self._silent_until > now else None
        learned = self._learned_at if self._learned_at > now else None
        settled = after(self._capable_since, SETTLE) if self._capable_since is not None else None
        if settled is not None and settled <= now:
            settled = None
        return earliest(listened, learned, settled, self._ends.next())

    def candidates(self) -> list[tuple[Rank, Candidate]]:
        return sorted(self._candidates.items(), key=lambda item: item[0])

    def forwarder(self) -> Rank | None:
        """The forwarder of this LAN, as far as this node knows."""
        own = [self.rank] if self.state is BeaconState.FORWARDING else []
        return min([*self._forwarding, *own], default=None)

    def why(self, now: Instant) -> StateReason:
        """Why ``state`` is as it is."""
        if self.state is BeaconState.FORWARDING:
            return StateReason.LOWEST
        if self.state is BeaconState.CAPABLE:
            if self._lower:
                return StateReason.LOWER_NODE
            return StateReason.HIGHER_NODE if self.forwarder() is not None else StateReason.SETTLING
        if self.is_looped(now):
            return StateReason.LOOPED
        if not self._able:
            return StateReason.NO_LINKS
        return StateReason.LEARNING if self._is_learning(now) and now >= self._silent_until else StateReason.LISTENING

    def is_looped(self, now: Instant) -> bool:
        """Whether its own beacons come back."""
        return self._looped_at is not None and now < after(self._looped_at, LOOP_HOLD)

    def _is_learning(self, now: Instant) -> bool:
        other = self.forwarder()
        return now < self._learned_at and other is not None and other > self.rank

    def _put(self, rank: Rank, candidate: Candidate) -> None:
        self._candidates[rank] = candidate
        self._ends.set(rank, after(candidate.received_at, BEACON_HOLD_TIME))
        self._forwarding.discard(rank)
        self._lower.discard(rank)
        if candidate.state is BeaconState.FORWARDING:
            self._forwarding.add(rank)
        if rank < self.rank and candidate.state is not BeaconState.SILENT:
            self._lower.add(rank)

    def _remove(self, rank: Rank) -> Candidate:
        self._ends.cancel(rank)
        self._forwarding.discard(rank)
        self._lower.discard(rank)
        return self._candidates.pop(rank)

    def _find(self, now: Instant) -> Finding:
        if self._capable_since is None:
            return Finding.UNREADY
        if self._lower:
            return Finding.LOWER_CAPABLE
        if now < after(self._capable_since, SETTLE):
            return Finding.SETTLING
        if self._forwarding:
            return Finding.HIGHER_FORWARDS
        return Finding.CLEAR
