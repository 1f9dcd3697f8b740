"""Querier election and general queries on one port (RFC 9776 sections 6.6.2 and 8, RFC 9777 section 7.6).

A router begins as querier. A query from a lower address ends that; when the other one has been silent for the Other
Querier Present Interval, the duty comes back. A query from 0.0.0.0 never wins (RFC 4541 section 2.1.1), and a port
whose own queries have that source yields to any address. Whoever queries may be any host of the LAN: its values count
within bounds (``config.py``), and not at all where the operator trusts no querier but this node.
"""

from __future__ import annotations

from treecast.base.addresses import IPAddress
from treecast.base.time import Duration, Instant, after, earliest
from treecast.multicast.config import (
    ADOPTED_QUERY_INTERVAL,
    ADOPTED_RESPONSE_INTERVAL,
    ADOPTED_ROBUSTNESS,
    Intervals,
    MembershipConfig,
    adopted,
)
from treecast.wire.group_membership import MembershipQuery

STARTUP_RESPONSE_INTERVAL: Duration = 1.0
"""The Max Resp Time of start-up queries: who starts or starts again knows nothing until its hosts have answered."""

ANSWERS_WITHIN = 1 / 4
"""Part of a response interval: when another querier is taken for silent, memberships have half of one left (RFC 9776
sections 8.4 and 8.5), and answers to the query that follows are to be there before they end."""

ARRIVALS_QUERY_INTERVAL: Duration = 5.0
"""The time between queries for hosts that have come: when a LAN is plugged over, its hosts come together."""


class Querier:
    """The querier state of one port and protocol."""

    def __init__(self, config: MembershipConfig, address: IPAddress, version: int) -> None:
        self._config = config
        self._version = version
        self.address = address
        self.intervals: Intervals = config.intervals
        self.other: IPAddress | None = None
        self.other_version: int | None = None
        self.other_expires: Instant | None = None
        self.older: tuple[IPAddress, int] | None = None
        """The router that queries by an older version than ours, and that version."""
        self._older_expires: Instant | None = None
        self._general_query_at: Instant | None = None
        self._arrivals_query_at: Instant | None = None
        self._arrivals_queried_at: Instant | None = None
        self._startup_queries_left = 0
        self._first_response_time: Duration | None = None
        """The longest Max Resp Time of the first query after another querier has fallen silent."""
        self.general_response_time: Duration = config.query_response_interval
        """The Max Resp Time of the general query that ``advance`` has called for."""

    @property
    def is_querier(self) -> bool:
        return self.other is None

    def start(self, now: Instant) -> None:
        """Begin, or begin again, with the start-up queries; the first is due at once."""
        self._startup_queries_left = self._config.effective_startup_query_count
        self._resume(now)

    def receive_query(self, source: IPAddress, query: MembershipQuery, now: Instant) -> None:
        """A query of another router. It decides the election and, from the elected one, the values in force."""
        self._note_version(source, query.version, now)
        if source.is_unspecified or not self._config.trust_queriers:
            return
        best = self.address if self.other is None else self.other
        if not best.is_unspecified and int(source) > int(best):
            return
        self.other, self.other_version = source, query.version
        self._general_query_at = None
        self._adopt(query)
        self.other_expires = after(now, self.intervals.other_querier_present_interval)

    def query_arrivals(self, now: Instant) -> None:
        """Hosts have come: one general query more, whoever is elected, at once or an interval after the last one."""
        if self._arrivals_query_at is None:
            last = self._arrivals_queried_at
            self._arrivals_query_at = now if last is None else max(now, after(last, ARRIVALS_QUERY_INTERVAL))

    def advance(self, now: Instant) -> bool:
        """Run the timers; True when a general query is to be sent now."""
        if self.other_expires is not None and self.other_expires <= now:
            soon = self.intervals.query_response_interval * ANSWERS_WITHIN
            self._first_response_time = min(soon, STARTUP_RESPONSE_INTERVAL)
            self._resume(now)
        if self._older_expires is not None and self._older_expires <= now:
            self.older = self._older_expires = None
        has_arrivals = self._arrivals_query_at is not None and self._arrivals_query_at <= now
        if has_arrivals:
            self._arrivals_query_at, self._arrivals_queried_at = None, now
            self.general_response_time = min(self._config.query_response_interval, STARTUP_RESPONSE_INTERVAL)
        if self._general_query_at is None or self._general_query_at > now:
            return has_arrivals
        self.general_response_time = self._config.query_response_interval
        if self._startup_queries_left or has_arrivals:
            self.general_response_time = min(self.general_response_time, STARTUP_RESPONSE_INTERVAL)
        if self._first_response_time is not None:
            self.general_response_time = min(self.general_response_time, self._first_response_time)
            self._first_response_time = None
        self._startup_queries_left = max(self._startup_queries_left - 1, 0)
        interval = self._config.query_interval
        if self._startup_queries_left:
            interval = self._config.effective_startup_query_interval
        self._general_query_at = after(now, interval)
        return True

    def next_deadline(self) -> Instant | None:
        return earliest(self.other_expires, self._general_query_at, self._older_expires, self._arrivals_query_at)

    def _note_version(self, source: IPAddress, version: int, now: Instant) -> None:
        """An older query makes hosts answer by its version for a while, whoever is elected (RFC 9776 section 7.2.1)."""
        if version < (self._version if self.older is None else self.older[1] + 1):
            self.older = (source, version)
            self._older_expires = after(now, self.intervals.other_querier_present_interval)

    def _resume(self, now: Instant) -> None:
        self.other = self.other_version = self.other_expires = None
        self.intervals = self._config.intervals
        self._general_query_at = now

    def _adopt(self, query: MembershipQuery) -> None:
        """RFC 9776 sections 4.1.6 and 4.1.7: the elected querier's values; zero means its default is ours."""
        own, response_interval = self._config.intervals, self.intervals.query_response_interval
        robustness, query_interval, count = own.robustness, own.query_interval, own.last_member_query_count
        if query.robustness:
            robustness = count = int(adopted(query.robustness, ADOPTED_ROBUSTNESS, own.robustness))
        if query.query_interval:
            query_interval = adopted(query.query_interval, ADOPTED_QUERY_INTERVAL, own.query_interval)
        if query.is_general and query.max_response_time > 0:
            configured = own.query_response_interval
            response_interval = adopted(query.max_response_time, ADOPTED_RESPONSE_INTERVAL, configured)
        self.intervals = Intervals(
            robustness=robustness,
            query_interval=query_interval,
            query_response_interval=response_interval,
            last_member_query_interval=own.last_member_query_interval,
            last_member_query_count=count,
        )
