"""PIM routers remembered for the next start of the node, with the Joins in force.

A router sends its Joins again only after t_periodic (60 s, RFC 7761 section 4.11), and a node that speaks no PIM cannot
have it send them earlier: without this memory what is behind the router gets nothing for so long. Nothing is
remembered beyond its hold time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from treecast.base.addresses import IPAddress
from treecast.base.limits import MAX_REMEMBERED_PIM_ENTRIES
from treecast.base.time import Instant
from treecast.multicast.pim_downstream import PimJoinView
from treecast.multicast.segment import Segment


@dataclass(frozen=True, slots=True)
class PimSegment:
    """The PIM routers of a port and VLAN, each with the end of its hold time, and their Joins.

    ``port``: by what the next run knows it again, for its number, and its interface's name, may be others then.
    """

    port: str
    vlan: int
    routers: tuple[tuple[IPAddress, Instant], ...]
    joins: tuple[PimJoinView, ...]

    @property
    def size(self) -> int:
        return len(self.routers) + len(self.joins)

    def alive(self, now: Instant) -> PimSegment:
        """The segment without what has ended."""
        routers = tuple(router for router in self.routers if router[1] > now)
        return replace(self, routers=routers, joins=tuple(join for join in self.joins if join.expires > now))


class AbsentPim:
    """PIM routers of ports that are not there, until their hold times end: such a port may come back."""

    def __init__(self) -> None:
        self._segments: dict[tuple[str, int], PimSegment] = {}

    def put(self, now: Instant, segments: Iterable[PimSegment]) -> None:
        """These ports are not there. What finds no room is left out."""
        known = {(one.port, one.vlan): one for one in (*self.alive(now), *segments)}
        self._segments = {(one.port, one.vlan): one for one in within_limit(known.values())}

    def take(self, port: str) -> list[PimSegment]:
        """The port is there: what was known of it."""
        taken = [segment for segment in self._segments.values() if segment.port == port]
        for segment in taken:
            del self._segments[segment.port, segment.vlan]
        return taken

    def alive(self, now: Instant) -> list[PimSegment]:
        """Joins that have not ended, of routers that have not."""
        alive = (segment.alive(now) for segment in self._segments.values())
        return [segment for segment in alive if segment.routers and segment.joins]


def within_limit(segments: Iterable[PimSegment]) -> tuple[PimSegment, ...]:
    """The first ones, as many as are remembered."""
    left, kept = MAX_REMEMBERED_PIM_ENTRIES, []
    for segment in segments:
        if segment.size <= left:
            left -= segment.size
            kept.append(segment)
    return tuple(kept)


def worth_remembering(segments: Iterable[Segment], identity: Callable[[int], str]) -> Iterator[PimSegment]:
    """The segments that have Joins. ``identity``: of a port. Of very many Joins some are left out."""
    left = MAX_REMEMBERED_PIM_ENTRIES
    for segment in segments:
        if segment.pim.has_joins:
            routers = tuple(segment.pim_routers()[:left])
            joins = tuple(islice(segment.pim.all_views(), left - len(routers)))
            left -= len(routers) + len(joins)
            if joins:
                yield PimSegment(identity(segment.port), segment.vlan, routers, joins)
