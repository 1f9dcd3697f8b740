"""Relays that send on too little, as this node, or receivers of its streams, have found.

Decides nothing but what a person is shown: the backup sends already, and the root plans anew (``lost_parents``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after

SHOWN_FOR: Duration = 60.0
"""The time that the root gives it no children."""
SILENT_FOR: Duration = 10.0
"""One that was silent, and whose link is not given up within 7.5 s, is there."""


class WithholdingRelays:
    """One entry for each such relay and root: both have a link or a session with this node."""

    def __init__(self) -> None:
        self._found: dict[tuple[NodeIndex, NodeIndex], tuple[Instant, Instant]] = {}
        """The times since which and until which it is shown."""

    def found(self, now: Instant, relay: NodeIndex, root: NodeIndex, *, silent: bool = False) -> None:
        """The relay withholds what the root sends. ``silent``: it may be dead."""
        since = after(now, SILENT_FOR) if silent else now
        known, _ = self._found.get((relay, root), (since, now))
        self._found[relay, root] = min(known, since), after(since, SHOWN_FOR)

    def returned(self, now: Instant, relay: NodeIndex, root: NodeIndex) -> None:
        """The relay was silent for a moment, and sends on again: it is not to be shown for that."""
        since, _ = self._found.get((relay, root), (now, now))
        if now < since:
            del self._found[relay, root]

    def forget(self, relay: NodeIndex) -> None:
        """The link to the node has ended: that is what is wrong."""
        for key in [key for key in self._found if key[0] == relay]:
            del self._found[key]

    def problems(self, now: Instant, me: NodeIndex, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each relay and root. ``name``: of a node."""
        for key in [key for key, (_, until) in self._found.items() if now >= until]:
            del self._found[key]
        for relay, root in sorted(key for key, (since, _) in self._found.items() if now >= since):
            whose = "this node" if root == me else name(root)
            what = "receivers get it by others now" if root == me else "this node gets it by another one now"
            yield Problem(
                "relay_withholds",
                f"{name(relay)} of {name(root)}",
                f"{name(relay)} sends on too little of streams of {whose}: {what}: it, its network, or what it has "
                f"them by, loses them: see treecast status on {name(relay)}, or start it with up --no-relay",
            )
