"""Nodes that show an older certificate than their newest: rights in it that the newest has not do not count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

SHOWN_LIFETIME: Duration = 60.0
"""A node that goes on showing one does so in each NODE advertisement, every 28 s at the latest."""


class OlderCertificates:
    """The time at which each last did, for so long. As many as nodes are known."""

    def __init__(self) -> None:
        self._shown: dict[NodeIndex, Instant] = {}

    def note(self, now: Instant, node: NodeIndex) -> None:
        """The node has signed that this is its certificate."""
        self._shown[node] = now

    def forget(self, node: NodeIndex) -> None:
        """The node is known no more."""
        self._shown.pop(node, None)

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each. ``name``: of a node."""
        self._shown = {node: at for node, at in self._shown.items() if now - at < SHOWN_LIFETIME}
        for node in sorted(self._shown):
            who = name(node)
            text = (
                f"{who} shows an older certificate than its newest, by serial; the roles and limits of the newest "
                f"count: put that node.cert into its directory there, or run treecast node renew {who} where the CA "
                "key is, and put the new one there"
            )
            yield Problem("older_certificate", who, text)
