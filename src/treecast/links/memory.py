"""Nodes remembered for the next start: where links to them were up, and where they can be reached as they advertise.

Decides what is worth a file and what is forgotten. An address in it is a hint; a handshake decides whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMEMBERED_ENDPOINTS, MAX_REMEMBERED_NODES

FORGOTTEN_AFTER_S = 7 * 86_400
LINKED_STEP_S = 3600
"""When a node was last linked is remembered to the hour: what is remembered changes rarely, and so does its file."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One node. ``linked_unix_s``: the hour in which it was last linked, in seconds since 1970."""

    node: NodeIndex
    name: str
    endpoints: tuple[Endpoint, ...]
    linked_unix_s: int

    @classmethod
    def linked_now(cls, unix_s: int, node: NodeIndex, name: str, endpoints: Iterable[Endpoint]) -> Remembered:
        """A node whose link is up. ``endpoints``: the best first."""
        kept = tuple(dict.fromkeys(endpoints))[:MAX_REMEMBERED_ENDPOINTS]
        return cls(node, name, kept, unix_s - unix_s % LINKED_STEP_S)


def worth_remembering(
    unix_s: int, before: Iterable[Remembered], linked: Iterable[Remembered]
) -> tuple[Remembered, ...]:
    """The nodes of ``before`` and ``linked`` that were linked last, by node index; none that was not for seven days."""
    nodes = {one.node: one for one in (*before, *linked)}
    recent = [one for one in nodes.values() if unix_s - one.linked_unix_s < FORGOTTEN_AFTER_S]
    recent.sort(key=lambda one: (-one.linked_unix_s, one.node))
    return tuple(sorted(recent[:MAX_REMEMBERED_NODES], key=lambda one: one.node))
