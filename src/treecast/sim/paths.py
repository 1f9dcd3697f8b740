"""The model's path to a node: the address to which its sessions send, and others from which its datagrams came.

The same rules and numbers as ``crates/core/src/path.rs``, which counts the probes that were not answered, too, and
keeps what the last reply by a route reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.events import NodeRouteReceipt
from treecast.base.time import Instant, after

BYTES_FOR_EACH = 3
UNVALIDATED_ADDRESSES = 4
NEWS_INTERVAL_S = 1.0
NEWS_PER_SECOND = 1
NEWS_BURST = UNVALIDATED_ADDRESSES
LONG_AGO = Instant(0.0)
BESIDE = 4.0
"""Two nodes that have chosen different paths find one at most so long after, as in the real one."""
SETTLING = 4.0
"""Two nodes find that their path is there again at most so long one after the other, as in the real one."""


@dataclass(slots=True)
class UnvalidatedAddress:
    endpoint: Endpoint
    received: int
    news_at: Instant
    sent: int = 0
    challenge: int | None = None


@dataclass(frozen=True, slots=True)
class ProbedVia:
    """A probe went by the path or by a route, as that was after so many moves."""

    by_route: bool
    moves: int


@dataclass(slots=True)
class ModelPath:
    endpoint: Endpoint | None
    received_at: Instant
    unvalidated: list[UnvalidatedAddress] = field(default_factory=list)
    moves: int = 0
    beside: tuple[Endpoint, Instant] | None = None
    """An address that the node has validated and that is not its path, and until when it may send from there."""
    unanswered: int = 0
    """Turns since a probe on the path was answered."""
    route_moves: int = 0
    routes_set: int = 0
    has_sent_by_route: bool = False
    """The other node has sent a frame by a route of its own since this one has got its route."""
    settling_since: Instant | None = None
    unanswered_by_route: int = 0
    received_by_route_at: Instant = LONG_AGO
    receipt: NodeRouteReceipt | None = None
    """The last one since the node has this route."""
    _used: float = 0.0
    """News that count against the burst."""
    _updated: Instant | None = None

    def move(self, endpoint: Endpoint | None, now: Instant) -> None:
        self.unvalidated = [one for one in self.unvalidated if one.endpoint != endpoint]
        before, self.endpoint = self.endpoint, endpoint
        self.validate(before, now)
        self.moves += 1
        self.unanswered, self.received_at = 0, now

    def validate(self, endpoint: Endpoint | None, now: Instant) -> None:
        """The node has shown that it is there."""
        if endpoint is not None and endpoint != self.endpoint:
            self.beside = (endpoint, after(now, BESIDE))

    def is_from(self, endpoint: Endpoint, now: Instant) -> bool:
        """Whether the node itself may send from there."""
        if endpoint == self.endpoint:
            return True
        return self.beside is not None and self.beside[0] == endpoint and now < self.beside[1]

    def turn(self, *, has_route: bool) -> None:
        """A turn of probes begins."""
        self.unanswered += 1
        self.unanswered_by_route += has_route

    def probed(self, *, by_route: bool) -> ProbedVia:
        """The path or route of the next probe."""
        return ProbedVia(by_route, self.route_moves if by_route else self.moves)

    def probe_answered(self, via: ProbedVia, now: Instant, receipt: NodeRouteReceipt | None = None) -> None:
        """A probe was answered that went by this, with a receipt."""
        if via != self.probed(by_route=via.by_route):
            return
        if via.by_route:
            self.unanswered_by_route = 0
            self.receipt, self.received_by_route_at = receipt, now
        else:
            self.unanswered, self.received_at = 0, now

    def route_set(self) -> None:
        """All goes by a neighbour from now on."""
        self.routes_set += 1
        self.has_sent_by_route, self.settling_since = False, None

    def is_settling(self, now: Instant) -> bool:
        """Whether the other node may still have its route, though this one has none any more."""
        if not self.has_sent_by_route:
            return False
        if self.settling_since is None:
            self.settling_since = now
        return now - self.settling_since < SETTLING

    def route_changed(self) -> None:
        """Another route, or none: nothing is known of how it answers."""
        self.route_moves += 1
        self.unanswered_by_route, self.receipt, self.received_by_route_at = 0, None, LONG_AGO

    def receive(self, source: Endpoint, size: int, now: Instant) -> bool:
        """An authentic datagram came from there. Whether that is elsewhere, and news."""
        if source == self.endpoint:
            self.received_at = now
            return False
        known = self._unvalidated(source)
        if known is not None:
            known.received += size
            due = now - known.news_at >= NEWS_INTERVAL_S and self._take(now)
            if due:
                known.news_at = now
            return due
        if not self._take(now):
            return False
        if len(self.unvalidated) >= UNVALIDATED_ADDRESSES:
            self.unvalidated.remove(min(self.unvalidated, key=lambda one: one.news_at))
        self.unvalidated.append(UnvalidatedAddress(source, size, now))
        return True

    def may_send(self, to: Endpoint, size: int) -> bool:
        """Whether so many bytes may go there; they count."""
        if to == self.endpoint:
            return True
        address = self._unvalidated(to)
        if address is None or address.sent + size > BYTES_FOR_EACH * address.received:
            return False
        address.sent += size
        return True

    def challenge(self, endpoint: Endpoint, value: int) -> None:
        address = self._unvalidated(endpoint)
        if address is not None:
            address.challenge = value

    def answered(self, value: int) -> Endpoint | None:
        """The address that was challenged with this value, once."""
        for address in self.unvalidated:
            if address.challenge == value:
                address.challenge = None
                return address.endpoint
        return None

    def _unvalidated(self, endpoint: Endpoint) -> UnvalidatedAddress | None:
        return next((one for one in self.unvalidated if one.endpoint == endpoint), None)

    def _take(self, now: Instant) -> bool:
        """A token bucket."""
        if self._updated is not None:
            self._used = max(0.0, self._used - (now - self._updated) * NEWS_PER_SECOND)
        self._updated = now
        if self._used + 1 > NEWS_BURST:
            return False
        self._used += 1
        return True
