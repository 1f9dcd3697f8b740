"""Problems of routes by which more is to go than they carry: their budgets cut who takes most, and this names it.

The data plane says who was refused of late (``crates/core/src/fair_budget.rs``), looked at once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_OVERUSED_ROUTES
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

PRESENT_FOR: Duration = 60.0
"""The problem goes on for so long after the last refusal."""
FEWEST = 50
"""Refusals in one go that are a problem: a burst may lose some."""
_NAMED = 3
"""So many nodes are named, those that lost most; the others are counted."""

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


@dataclass(slots=True)
class _Episode:
    """Refusals of one budget without a minute's pause, by the node; None: all that were not told apart."""

    rose_at: Instant
    refused: dict[int | None, int] = field(default_factory=dict)
    last: dict[int | None, int] = field(default_factory=dict)


class OverusedRoutes:
    """``problems`` is a source of ``daemon.problems``. ``name``: of a node."""

    def __init__(self, name: Callable[[NodeIndex], str], cuts: Callable[[], Iterable[ForwardCut]]) -> None:
        self._name = name
        self._cuts = cuts
        self._episodes: dict[tuple[int, str], _Episode] = {}

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Called about once a second."""
        seen: dict[tuple[int, str], dict[int | None, int]] = {}
        for cut in self._cuts():
            seen.setdefault((cut.neighbour, cut.budget), {})[cut.node] = cut.refused
        for key, totals in sorted(seen.items()):
            self._follow(now, key, totals)
        for key in [key for key, episode in self._episodes.items() if now - episode.rose_at >= PRESENT_FOR]:
            del self._episodes[key]
        for (neighbour, budget), episode in sorted(self._episodes.items()):
            if sum(episode.refused.values()) >= FEWEST:
                subject, text = self._words(budget, self._name(NodeIndex(neighbour)), self._names(episode))
                yield Problem("route_overused", subject, text)

    def _follow(self, now: Instant, key: tuple[int, str], totals: dict[int | None, int]) -> None:
        episode = self._episodes.get(key)
        if episode is None:
            if len(self._episodes) >= MAX_OVERUSED_ROUTES:
                return
            episode = self._episodes[key] = _Episode(now)
        for node, total in totals.items():
            before = episode.last.get(node, 0)
            more = total - before if total >= before else total
            if more and (node in episode.refused or len(episode.refused) < MAX_OVERUSED_ROUTES):
                episode.refused[node] = episode.refused.get(node, 0) + more
                episode.rose_at = now
        episode.last = totals

    def _names(self, episode: _Episode) -> str:
        most = sorted(episode.refused, key=lambda node: (-episode.refused[node], node is None, node or 0))
        names = ["others" if node is None else self._name(NodeIndex(node)) for node in most[:_NAMED]]
        more = f" and {len(most) - _NAMED} more" if len(most) > _NAMED else ""
        return ", ".join(names) + more

    def _words(self, budget: str, neighbour: str, names: str) -> tuple[str, str]:
        if budget == "own":
            said = f"what this node sends to {names} by way of {neighbour} is more than its share of the 48 kB/s there"
            return f"by {neighbour}", f"{said}, and the rest of it is lost: {_DIRECT}"
        if budget == "brought":
            said = f"what {names} sends to others by way of {neighbour} and this node is more than the 64 kB/s of it"
            return f"from {neighbour}", f"{said}, and the rest of it is lost: {_DIRECT}"
        said = f"what {names} sends to others by way of this node and {neighbour} is more than its share of the 56 kB/s"
        return f"beyond {neighbour}", f"{said} there, and the rest of it is lost: {_DIRECT}"
