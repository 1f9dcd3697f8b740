"""What a tree carries."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration

GroupKey = tuple[int, IPAddress]
"""VLAN (0: untagged) and group."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A group's frames from one source, or from any source that has no flow of its own (None). VLAN 0: untagged."""

    vlan: int
    group: IPAddress
    source: IPAddress | None


SENDER_LIFETIME: Duration = 210.0
"""A source that is silent for so long is no sender any more: the Keepalive_Period of RFC 7761 section 4.11."""


@dataclass(frozen=True, slots=True)
class CountedFlow:
    """Frames of one source to a group. ``port``: of this node, where they come in; None: they were given to hosts here.

    ``root``: the node at which they entered the overlay. ``packets`` and ``bytes`` are all that were counted,
    ``since_packets`` and ``since_bytes`` those since ``since_s``, when the source began, or began again after
    SENDER_LIFETIME. ``pps`` and ``bps``: of the last seconds, None: not measured yet.
    """

    vlan: int
    group: IPAddress
    source: IPAddress
    root: NodeIndex
    port: int | None
    packets: int
    bytes: int
    since_s: Duration
    since_packets: int
    since_bytes: int
    silent_s: Duration
    pps: float | None
    bps: float | None

    @property
    def key(self) -> GroupKey:
        return (self.vlan, self.group)

    @property
    def is_sending(self) -> bool:
        return self.silent_s < SENDER_LIFETIME


BROADCAST: Flow | None = None
"""In place of a flow: the broadcast tree, which carries broadcast and link-local groups to all nodes."""
