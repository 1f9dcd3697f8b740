"""Explicit host tracking (RFC 9776 appendix A.2): what each host reported for one group.

It never keeps a group alive nor ends one by itself: the timers of RFC 9776 do. It decides one thing early: when a
host stops wanting something, is there another tracked host that still does? An error on the side of "yes" costs only
the last-member query time, so that is where every doubt goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.wire.group_membership import RecordType

_TO_EXCLUDE = (RecordType.MODE_IS_EXCLUDE, RecordType.CHANGE_TO_EXCLUDE_MODE)
_ADDING = (RecordType.MODE_IS_INCLUDE, RecordType.ALLOW_NEW_SOURCES)


@dataclass(frozen=True, slots=True)
class HostId:
    """A host on the port. Several may share a MAC behind a bridge that rewrites it; a host may have no address yet."""

    mac: MacAddress
    address: IPAddress


@dataclass(slots=True)
class HostInterest:
    """One host's filter for one group: the version of its last report, until when it counts, since when it has one."""

    version: int
    expires: Instant
    since: Instant
    mode: FilterMode = FilterMode.INCLUDE
    sources: set[IPAddress] = field(default_factory=set)

    @property
    def filter(self) -> SourceFilter:
        return SourceFilter(self.mode, frozenset(self.sources))

    def apply(self, received: RecordType, sources: Iterable[IPAddress]) -> None:
        """Follow one record. A TO_IN with sources from an INCLUDE host may be one part of a split list: it adds."""
        reported = set(sources)
        if received in _TO_EXCLUDE:
            self.mode, self.sources = FilterMode.EXCLUDE, reported
        elif received is RecordType.CHANGE_TO_INCLUDE_MODE:
            split = self.mode is FilterMode.INCLUDE and reported
            self.sources = self.sources | reported if split else reported
            self.mode = FilterMode.INCLUDE
        elif (received in _ADDING) == (self.mode is FilterMode.INCLUDE):
            self.sources |= reported
        else:
            self.sources -= reported


class TrackedHosts:
    """The hosts that want something of one group, bounded by the caller's ``max_hosts``."""

    def __init__(self) -> None:
        self._hosts: dict[HostId, HostInterest] = {}
        self._changed = False

    def take_changed(self) -> bool:
        """Whether a host came, went or wants something else since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[tuple[HostId, HostInterest]]:
        return iter(sorted(self._hosts.items(), key=lambda item: (item[0].mac, int(item[0].address))))

    def follow(
        self,
        host: HostId,
        version: int,
        received: RecordType,
        sources: tuple[IPAddress, ...],
        *,
        now: Instant,
        expires: Instant,
        max_hosts: int,
        max_sources: int,
    ) -> bool:
        """Update one host from its record; False when it is new and the table is full."""
        host = self._same_host(host)
        interest = self._hosts.get(host)
        if interest is None:
            interest = HostInterest(version, expires, now)
        before = None if host not in self._hosts else (interest.mode, frozenset(interest.sources))
        interest.version, interest.expires = version, expires
        interest.apply(received, sources)
        if len(interest.sources) > max_sources:
            interest.mode, interest.sources = FilterMode.EXCLUDE, set()
        if interest.filter.wants_nothing:
            self._changed |= self._hosts.pop(host, None) is not None
            return True
        if host not in self._hosts and len(self._hosts) >= max_hosts:
            return False
        self._hosts[host] = interest
        self._changed |= before != (interest.mode, frozenset(interest.sources))
        return True

    def want_source(self, source: IPAddress) -> bool:
        return any(interest.filter.accepts(source) for interest in self._hosts.values())

    def want_exclude_mode(self) -> bool:
        return any(interest.mode is FilterMode.EXCLUDE for interest in self._hosts.values())

    def included_sources(self) -> list[tuple[IPAddress, Instant]]:
        """The sources that INCLUDE hosts want, in order, and until when that counts."""
        latest: dict[IPAddress, Instant] = {}
        for interest in self._hosts.values():
            if interest.mode is FilterMode.INCLUDE:
                for source in interest.sources:
                    latest[source] = max(latest.get(source, interest.expires), interest.expires)
        return sorted(latest.items(), key=lambda item: int(item[0]))

    def expire(self, now: Instant) -> None:
        for host in [host for host, interest in self._hosts.items() if interest.expires <= now]:
            del self._hosts[host]
            self._changed = True

    def next_deadline(self) -> Instant | None:
        return min((interest.expires for interest in self._hosts.values()), default=None)

    def _same_host(self, host: HostId) -> HostId:
        """A host that had no address keeps its entry when it gets one, and when it forgets it again."""
        others = [known for known in self._hosts if known.mac == host.mac]
        if host.address.is_unspecified:
            return others[0] if len(others) == 1 else host
        for known in others:
            if known.address.is_unspecified:
                interest = self._hosts.pop(known)
                self._hosts.setdefault(host, interest)
                self._changed = True
        return host
