"""PIM downstream state: the Joins and Prunes of the routers on a port, read as memberships of the port.

The states are those of RFC 7761 sections 4.5.1 and 4.5.2, as RFC 8220 section 2.4 keeps them for a port: a Join counts
for its hold time; a Prune ends it at once where one router is on the port, else after the time in which others may
override it. Prunes of a source on the RP tree, (S,G,rpt), take nothing away: a router sends them also for sources that
it receives on this very LAN. All state goes with the last PIM router of the port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, is_unicast
from treecast.base.counters import Drops
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.multicast.config import MembershipConfig
from treecast.multicast.group_quota import GroupQuota
from treecast.multicast.protocol import is_link_scoped
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

OVERRIDE_INTERVAL: Duration = 3.0
"""J/P_Override_Interval (RFC 7761 section 4.11): Propagation_delay_default and t_override_default."""

LONGEST_HOLD_TIME: Duration = 65_535
"""The hold time of a Join that never times out: the Joins of a router that is gone must not stay."""

MAX_ENDED_PER_TURN = 128
"""The turn stays short when thousands of Joins end together: each is an advertisement to sign (0.2 ms)."""


@dataclass(frozen=True, slots=True)
class PimJoinView:
    """A Join in force. ``source`` None: (*,G)."""

    group: IPAddress
    source: IPAddress | None
    upstream: IPAddress
    expires: Instant


_Wanted = tuple[IPAddress | None, IPAddress]
"""Source, and the router that is to send it: a router that turns to another upstream prunes at the one before."""


@dataclass(slots=True)
class _Group:
    expires: dict[_Wanted, Instant] = field(default_factory=dict)
    filter: SourceFilter = NO_SOURCE


class PimDownstream:
    """One port and VLAN. Methods return the groups of which the port now wants something else than before."""

    def __init__(self, config: MembershipConfig, quota: GroupQuota, drops: Drops) -> None:
        self._config = config
        self._quota = quota
        self._drops = drops
        self._groups: dict[IPAddress, _Group] = {}
        self._ends: Timers[IPAddress] = Timers()
        """The time at which the first Join of each group runs out."""

    def receive(self, now: Instant, message: PimJoinPrune, *, alone: bool) -> list[IPAddress]:
        """A router's message. ``alone``: no other router on the port could override its Prunes."""
        joined = after(now, min(message.hold_time, LONGEST_HOLD_TIME))
        pruned = now if alone else after(now, OVERRIDE_INTERVAL)
        changed: dict[IPAddress, None] = {}
        for request in message.groups:
            if self._is_tracked(request):
                for named in request.joins:
                    self._join(request.group, named, message.upstream, joined)
                self._prune(request, message.upstream, pruned)
                if self._settle(now, request.group):
                    changed[request.group] = None
        return list(changed)

    def recall(self, now: Instant, joins: Iterable[PimJoinView]) -> list[IPAddress]:
        """Joins of an earlier run of the node: each counts until its hold time ends."""
        joins = list(joins)
        for join in joins:
            if not is_link_scoped(join.group) and join.expires > now:
                named = PimSource(join.source or join.upstream, is_wildcard=join.source is None)
                self._join(join.group, named, join.upstream, min(join.expires, after(now, LONGEST_HOLD_TIME)))
        return [group for group in dict.fromkeys(join.group for join in joins) if self._settle(now, group)]

    def advance(self, now: Instant) -> list[IPAddress]:
        """Joins that have run out; of very many, some: the rest is due at ``next_deadline``."""
        return [group for group in self._ends.due(now, MAX_ENDED_PER_TURN) if self._settle(now, group)]

    def next_deadline(self) -> Instant | None:
        return self._ends.next()

    def end(self, now: Instant, ip_version: int) -> None:
        """No PIM router of this IP version is left: its Joins run out now."""
        for group, state in self._groups.items():
            if group.version == ip_version and state.expires:
                state.expires = dict.fromkeys(state.expires, now)
                self._ends.set(group, now)

    def filter(self, group: IPAddress) -> SourceFilter:
        state = self._groups.get(group)
        return NO_SOURCE if state is None else state.filter

    @property
    def has_joins(self) -> bool:
        return bool(self._groups)

    def known_groups(self) -> Iterable[IPAddress]:
        return self._groups

    def views(self, group: IPAddress) -> list[PimJoinView]:
        """The Joins in force for a group."""
        state = self._groups.get(group)
        entries = state.expires.items() if state is not None else ()
        found = [PimJoinView(group, source, upstream, expires) for (source, upstream), expires in entries]
        return sorted(found, key=lambda view: (int(view.source or 0), int(view.upstream)))

    def all_views(self) -> Iterator[PimJoinView]:
        """The Joins in force, in no order that means anything."""
        return (view for group in self._groups for view in self.views(group))

    def _is_tracked(self, request: PimGroup) -> bool:
        if not request.is_one_group:
            self._drops.count("pim_group_prefix")
            return False
        return not is_link_scoped(request.group)

    def _join(self, group: IPAddress, named: PimSource, upstream: IPAddress, until: Instant) -> None:
        if named.is_rpt and not named.is_wildcard:
            return
        if not named.is_wildcard and not is_unicast(named.address):
            self._drops.count("pim_source_not_unicast")
            return
        wanted = (None if named.is_wildcard else named.address, upstream)
        state = self._groups.get(group)
        if state is None:
            if len(self._groups) >= self._config.max_groups or not self._quota.acquire():
                self._drops.count("pim_groups_full")
                return
            state = self._groups[group] = _Group()
        if wanted not in state.expires and len(state.expires) >= self._config.max_sources_per_group:
            self._drops.count("pim_sources_full")
            return
        state.expires[wanted] = max(until, state.expires.get(wanted, until))

    def _prune(self, request: PimGroup, upstream: IPAddress, until: Instant) -> None:
        state = self._groups.get(request.group)
        if state is None:
            return
        for named in request.prunes:
            wanted = (None if named.is_wildcard else named.address, upstream)
            if wanted in state.expires and (named.is_wildcard or not named.is_rpt):
                state.expires[wanted] = min(until, state.expires[wanted])

    def _settle(self, now: Instant, group: IPAddress) -> bool:
        """End what has run out, and set the deadline of the rest. True when the filter is another one."""
        state = self._groups.get(group)
        if state is None:
            return False
        for wanted in [wanted for wanted, expires in state.expires.items() if expires <= now]:
            del state.expires[wanted]
        before = state.filter
        state.filter = _filter(state.expires)
        if not state.expires:
            self._forget(group)
        else:
            self._ends.set(group, min(state.expires.values()))
        return state.filter != before

    def _forget(self, group: IPAddress) -> None:
        del self._groups[group]
        self._ends.cancel(group)
        self._quota.release()


def _filter(wanted: Iterable[_Wanted]) -> SourceFilter:
    sources = {source for source, _ in wanted}
    if None in sources:
        return ANY_SOURCE
    return SourceFilter(FilterMode.INCLUDE, frozenset(source for source in sources if source is not None))
