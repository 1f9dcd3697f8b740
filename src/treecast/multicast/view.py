"""The output of the router side, and snapshots of its state."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Duration, Instant
from treecast.wire.group_membership import ReceivedMessage


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """The port's filter of a group is now ``filter``; NO_SOURCE: it is gone."""

    group: IPAddress
    filter: SourceFilter


@dataclass(frozen=True, slots=True)
class Output:
    """Whole Ethernet frames to send on the port, the changes of membership, and the queries of other routers,
    all in order.
    """

    frames: tuple[bytes, ...] = ()
    changes: tuple[MembershipChange, ...] = ()
    other_queries: tuple[ReceivedMessage, ...] = ()
    touched: tuple[IPAddress, ...] = ()
    """Groups of which a host wants something else than before, whatever that means for all of them."""

    def __add__(self, other: Output) -> Output:
        return Output(
            self.frames + other.frames,
            self.changes + other.changes,
            self.other_queries + other.other_queries,
            self.touched + other.touched,
        )


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of a group. ``expires`` None: it is excluded (its timer has run out)."""

    source: IPAddress
    expires: Instant | None


@dataclass(frozen=True, slots=True)
class TrackedHostView:
    """A tracked host, its own filter, the version of its last report, until when that counts, since when it is one."""

    mac: MacAddress
    address: IPAddress
    version: int
    filter: SourceFilter
    expires: Instant
    since: Instant


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group. ``version`` is the Group Compatibility Mode; ``expires`` the group timer, None in INCLUDE mode;
    ``leaving`` whether last-member queries are under way; ``since`` when the first host joined.
    """

    group: IPAddress
    mode: FilterMode
    sources: tuple[SourceView, ...]
    expires: Instant | None
    version: int
    leaving: bool
    hosts: tuple[TrackedHostView, ...]
    since: Instant


@dataclass(frozen=True, slots=True)
class QuerierView:
    """The querier of a port. ``address`` and ``version`` are the elected one's; ``expires`` None while that is us.
    ``older``: the router that lately queried by an older version than our ``own_version``, elected or not.
    """

    is_querier: bool
    address: IPAddress
    version: int
    expires: Instant | None
    robustness: int
    query_interval: Duration
    own_version: int
    older: tuple[IPAddress, int] | None = None


@dataclass(frozen=True, slots=True)
class MembershipCounts:
    """Messages so far. ``link_scoped_records`` concern groups that every node gets, so nobody tracks them."""

    queries_sent: int = 0
    queries_received: int = 0
    reports_received: int = 0
    link_scoped_records: int = 0
