"""What a tree carries."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress

GroupKey = tuple[int, IPAddress]
"""VLAN (0: untagged) and group."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A group's frames from one source, or from any source that has no flow of its own (None). VLAN 0: untagged."""

    vlan: int
    group: IPAddress
    source: IPAddress | None


BROADCAST: Flow | None = None
"""In place of a flow: the broadcast tree, which carries broadcast and link-local groups to all nodes."""
