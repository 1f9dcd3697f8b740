"""Roots that seal a group for all its receivers alike, which this node takes as authenticated only.

What they offer is refused, so they send copies for a while and nothing from then on (``mute_members``, at the root).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.dataplane.mute_members import MUTE_AFTER, MUTE_OFFER_INTERVAL

OFFERED_FOR: Duration = 2.5 * MUTE_OFFER_INTERVAL
"""A root that goes on repeats its offer within that time, with one repetition lost on its way."""


class SharedKeyRoots:
    """The flow of each root's last such offer, and when it came: as many as there are roots with a link."""

    def __init__(self) -> None:
        self._offered: dict[NodeIndex, tuple[Flow, Instant]] = {}

    def offered(self, now: Instant, root: NodeIndex, flow: Flow) -> None:
        """A root has offered a key of an authenticated group."""
        self._offered[root] = (flow, now)

    def forget(self, root: NodeIndex) -> None:
        self._offered.pop(root, None)

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each root. ``name``: of a node."""
        for root in [one for one, (_, at) in self._offered.items() if now >= after(at, OFFERED_FOR)]:
            del self._offered[root]
        for root in sorted(self._offered):
            group = self._offered[root][0].group
            yield Problem(
                "root_not_authenticated",
                name(root),
                f"{name(root)} seals the group {group} for all its receivers alike, and this node takes it as "
                f"--authenticated only, so nothing of it comes from there later than {MUTE_AFTER:.0f} s after this "
                f"node joined: start {name(root)} with up --authenticated and a prefix of the group, too, or this node "
                "without",
            )
