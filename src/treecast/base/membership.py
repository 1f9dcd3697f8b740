"""The source filter of IGMPv3 and MLDv2 (RFC 3376 section 3.2, RFC 3810 section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from treecast.base.addresses import IPAddress


class FilterMode(Enum):
    """INCLUDE: only the listed sources. EXCLUDE: all but the listed sources."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


class SourceFilter(Struct, frozen=True, array_like=True):
    """A filter mode and its source list. INCLUDE {} is "no reception"; EXCLUDE {} is "any source"."""

    mode: FilterMode
    sources: frozenset[IPAddress]

    @property
    def wants_nothing(self) -> bool:
        return self.mode is FilterMode.INCLUDE and not self.sources

    def accepts(self, source: IPAddress) -> bool:
        """Whether traffic from ``source`` passes the filter."""
        return (source in self.sources) == (self.mode is FilterMode.INCLUDE)


ANY_SOURCE = SourceFilter(FilterMode.EXCLUDE, frozenset())
NO_SOURCE = SourceFilter(FilterMode.INCLUDE, frozenset())


def merged(filters: Iterable[SourceFilter]) -> SourceFilter:
    """One filter that passes what any of them passes, and no more (RFC 3376 section 3.2)."""
    excluded: frozenset[IPAddress] | None = None
    included: frozenset[IPAddress] = frozenset()
    for wanted in filters:
        if wanted.mode is FilterMode.INCLUDE:
            included |= wanted.sources
        else:
            excluded = wanted.sources if excluded is None else excluded & wanted.sources
    if excluded is None:
        return SourceFilter(FilterMode.INCLUDE, included)
    return SourceFilter(FilterMode.EXCLUDE, excluded - included)
