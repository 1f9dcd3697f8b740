"""Problems of node routes by which more is to go than they carry: budgets cut who takes most, and this names it.

The data plane reports who was refused of late (``crates/core/src/fair_budget.rs``), looked at once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_OVERUSED_NODE_ROUTES
from treecast.base.problems import Problem
from treecast.base.rates import in_rate
from treecast.base.time import Instant

FEWEST = 50
LASTING_SECONDS = 5
"""Refusals within a minute, in so many of its seconds, are a problem of a node, until none came for a minute: a
burst may lose some, and what goes to a node that has died is refused until its neighbours have found that."""
_NAMED = 3
"""Nodes that are named, those that lost most; the others are counted."""

OWN_BPS = 48_000 * 8
BROUGHT_BPS = 64_000 * 8
ONWARD_BPS = 56_000 * 8
"""Budgets of what this node sends by a neighbour, of what a neighbour sends by this node, and of what others send by
this node and a neighbour (``crates/core/src/forward_budgets.rs``)."""

_DIRECT = "let UDP through between them, so that they are linked directly (docs/operations.md), or send less"


class ForwardCut(Protocol):
    """A row of ``adapters.native.DataPlane.forward_cuts``; ``refused`` begins anew when it was quiet for a while."""

    @property
    def neighbour(self) -> int: ...
    @property
    def budget(self) -> str: ...
    @property
    def node(self) -> int | None: ...
    @property
    def refused(self) -> int: ...


class _Overuse:
    """Refusals of one budget, by the node; None: all that were not distinguished."""

    __slots__ = ("counts", "is_named", "totals")

    def __init__(self) -> None:
        self.counts: dict[int | None, LastMinute] = {}
        self.is_named = False
        """Named until nothing was refused for a minute."""
        self.totals: dict[int | None, int] = {}
        """The counts at the last look."""

    def follow(self, now: Instant, totals: dict[int | None, int]) -> None:
        for node, total in totals.items():
            before = self.totals.get(node, 0)
            more = total - before if total >= before else total
            if more and (node in self.counts or len(self.counts) < MAX_OVERUSED_NODE_ROUTES):
                self.counts.setdefault(node, LastMinute()).add(now, more)
        self.totals = totals

    def look(self, now: Instant) -> bool:
        """Whether anything is left of the last minute."""
        for counts in self.counts.values():
            counts.expire(now)
        self.counts = {node: counts for node, counts in self.counts.items() if counts.total}
        many = sum(counts.total for counts in self.counts.values()) >= FEWEST
        lasting = any(counts.seconds >= LASTING_SECONDS for counts in self.counts.values())
        self.is_named = self.is_named or (many and lasting)
        return bool(self.counts)


class OverusedNodeRoutes:
    """``problems`` is a source of ``daemon.problems``. ``name``: of a node."""

    def __init__(self, name: Callable[[NodeIndex], str], cuts: Callable[[], Iterable[ForwardCut]]) -> None:
        self._name = name
        self._cuts = cuts
        self._overused: dict[tuple[int, str], _Overuse] = {}

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Called about once a second."""
        seen: dict[tuple[int, str], dict[int | None, int]] = {}
        for cut in self._cuts():
            seen.setdefault((cut.neighbour, cut.budget), {})[cut.node] = cut.refused
        for key, totals in sorted(seen.items()):
            if key in self._overused or len(self._overused) < MAX_OVERUSED_NODE_ROUTES:
                self._overused.setdefault(key, _Overuse()).follow(now, totals)
        self._overused = {key: overuse for key, overuse in self._overused.items() if overuse.look(now)}
        for (neighbour, budget), overuse in sorted(self._overused.items()):
            if overuse.is_named:
                subject, text = self._words(budget, self._name(NodeIndex(neighbour)), self._names(overuse))
                yield Problem("node_route_overused", subject, text)

    def _names(self, overuse: _Overuse) -> str:
        counts = overuse.counts
        most = sorted(counts, key=lambda node: (-counts[node].total, node is None, node or 0))
        names = ["others" if node is None else self._name(NodeIndex(node)) for node in most[:_NAMED]]
        more = f" and {len(most) - _NAMED} more" if len(most) > _NAMED else ""
        return ", ".join(names) + more

    def _words(self, budget: str, neighbour: str, names: str) -> tuple[str, str]:
        lost = f"and the rest of it is lost: {_DIRECT}"
        if budget == "own":
            share = f"its share of the {in_rate(OWN_BPS)} there"
            said = f"what this node sends to {names} by way of {neighbour} is more than {share}"
            return f"by {neighbour}", f"{said}, {lost}"
        if budget == "brought":
            share = f"the {in_rate(BROUGHT_BPS)} of it"
            said = f"what {names} sends to others by way of {neighbour} and this node is more than {share}"
            return f"from {neighbour}", f"{said}, {lost}"
        share = f"its share of the {in_rate(ONWARD_BPS)} there"
        said = f"what {names} sends to others by way of this node and {neighbour} is more than {share}"
        return f"beyond {neighbour}", f"{said}, {lost}"
