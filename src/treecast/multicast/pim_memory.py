"""PIM routers remembered for the next start of the node, with the Joins in force.

A router sends its Joins again only after t_periodic (60 s, RFC 7761 section 4.11), and a node that speaks no PIM cannot
have it send them earlier: without this memory what is behind the router gets nothing for so long. Nothing is
remembered beyond its hold time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from treecast.base.addresses import IPAddress
from treecast.base.limits import MAX_REMEMBERED_PIM_ENTRIES
from treecast.base.time import Instant
from treecast.multicast.pim_downstream import PimJoinView
from treecast.multicast.segment import Segment


@dataclass(frozen=True, slots=True)
class PimSegment:
    """The PIM routers of a port and VLAN, each with the end of its hold time, and their Joins.

    ``interface``: the port by its name, for its number is another one after a start.
    """

    interface: str
    vlan: int
    routers: tuple[tuple[IPAddress, Instant], ...]
    joins: tuple[PimJoinView, ...]


def worth_remembering(segments: Iterable[Segment], name: Callable[[int], str]) -> Iterator[PimSegment]:
    """The segments that have Joins. ``name``: of a port. Of very many Joins some are left out."""
    room = MAX_REMEMBERED_PIM_ENTRIES
    for segment in segments:
        if segment.pim.has_joins:
            routers = tuple(segment.pim_routers()[:room])
            joins = tuple(islice(segment.pim.all_views(), room - len(routers)))
            room -= len(routers) + len(joins)
            if joins:
                yield PimSegment(name(segment.port), segment.vlan, routers, joins)
