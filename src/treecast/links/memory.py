"""Nodes remembered for the next start: where links to them were up, and where they can be reached as they advertise.

Decides what is worth a file and what is forgotten. An address in it is a hint; a handshake decides whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMEMBERED_ENDPOINTS, MAX_REMEMBERED_NODES
from treecast.base.time import Duration, Instant, after
from treecast.identity.certificate import Certificate

FORGOTTEN_AFTER_HOURS = 7 * 24
"""A node without a link to this one for so long, counted only while this one had links to others."""
HOUR_S = 3600
"""How long a node is missed is remembered to the hour, and its file need not change for less: so it changes rarely."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One node. ``linked_unix_s``: when it was last linked, in seconds since 1970, by a clock that may have been wrong.
    ``missed_hours``: for how long this node had links since, none of them to that one. ``overlay``:
    its addresses there. ``serial``: that of its certificate, 0 where a run of before did not keep it.
    """

    node: NodeIndex
    name: str
    endpoints: tuple[Endpoint, ...]
    linked_unix_s: int
    missed_hours: int = 0
    overlay: tuple[IPAddress, ...] = ()
    serial: int = 0

    @classmethod
    def linked_now(cls, unix_s: int, member: Certificate, endpoints: Iterable[Endpoint]) -> Remembered:
        """A node whose link is up. ``endpoints``: the best first."""
        kept = tuple(dict.fromkeys(endpoints))[:MAX_REMEMBERED_ENDPOINTS]
        overlay = tuple(interface.ip for interface in (member.ipv4, member.ipv6) if interface)
        return cls(member.node_index, member.name, kept, unix_s, overlay=overlay, serial=member.serial)

    def to_the_hour(self) -> Remembered:
        """The same node, with the hour in which it was last linked."""
        return replace(self, linked_unix_s=self.linked_unix_s - self.linked_unix_s % HOUR_S)

    def last_linked(self, now: Instant, unix_s: int) -> Instant | None:
        """The time at which it was last linked; None where ``unix_s``, the time now, is before that."""
        return after(now, self.linked_unix_s - unix_s) if self.linked_unix_s <= unix_s else None


class RememberedNodes:
    """The nodes that are remembered, by index. Time in which this node is off, or has no link at all, forgets nobody,
    and neither does a wall clock.
    """

    def __init__(self) -> None:
        self._nodes: dict[NodeIndex, Remembered] = {}
        self._looked_at: Instant | None = None
        self._part_of_hour: Duration = 0.0
        """Time with links that is not counted yet."""

    def recall(self, nodes: Iterable[Remembered]) -> None:
        """The nodes that an earlier run remembered."""
        self._nodes = {one.node: one for one in nodes}

    @property
    def nodes(self) -> tuple[Remembered, ...]:
        """All of them."""
        return tuple(self._nodes.values())

    def get(self, node: NodeIndex) -> Remembered | None:
        return self._nodes.get(node)

    def look(
        self, now: Instant, linked: Sequence[Remembered], ended: Sequence[Remembered] = ()
    ) -> tuple[Remembered, ...]:
        """Take the nodes that are linked, and those whose link has come and ``ended`` since the last look; return those
        that are worth remembering: of too many those that were missed for the shortest time.
        """
        present = {one.node: one for one in (*linked, *ended)}
        hours = self._hours(now, any_link=bool(linked))
        missed = [one for one in self.nodes if one.node not in present]
        if hours:
            missed = [replace(one, missed_hours=one.missed_hours + hours) for one in missed]
        missed = [one for one in missed if one.missed_hours < FORGOTTEN_AFTER_HOURS]
        missed.sort(key=lambda one: (one.missed_hours, -one.linked_unix_s, one.node))
        kept = [*present.values(), *missed][:MAX_REMEMBERED_NODES]
        self._nodes = {one.node: one for one in sorted(kept, key=lambda one: one.node)}
        return self.nodes

    def _hours(self, now: Instant, *, any_link: bool) -> int:
        """Whole hours with links that have passed. A process that was halted had none meanwhile: one at most."""
        before, self._looked_at = self._looked_at, now
        if before is None or not any_link:
            return 0
        self._part_of_hour += min(now - before, HOUR_S)
        hours = int(self._part_of_hour // HOUR_S)
        self._part_of_hour -= hours * HOUR_S
        return hours
