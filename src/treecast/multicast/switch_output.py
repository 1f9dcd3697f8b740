"""The output of ``switch`` in a turn: frames and changes of membership on all ports and VLANs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress
from treecast.base.membership import SourceFilter


@dataclass(frozen=True, slots=True)
class PortFrame:
    """A whole Ethernet frame to send on a port."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class VlanChange:
    """Another source filter of all hosts of a VLAN together; NO_SOURCE: nobody wants the group any more."""

    vlan: int
    group: IPAddress
    filter: SourceFilter
    ports: Mapping[int, SourceFilter] = field(default_factory=dict)
    """The source filter of the hosts on each port, whichever node serves them; on others nothing is wanted."""


@dataclass(frozen=True, slots=True)
class SwitchOutput:
    """The frames and changes of a turn, in order. ``new_routers``: VLANs in which a router appeared: ``set_proxied`` is
    to report to it what the other nodes want.
    """

    frames: tuple[PortFrame, ...] = ()
    changes: tuple[VlanChange, ...] = ()
    new_routers: tuple[int, ...] = ()
    touched: tuple[tuple[int, int, IPAddress], ...] = ()
    """Port, VLAN and group of which a host wants something else than before."""
    segments: tuple[tuple[int, int], ...] = ()
    """Port and VLAN with another querier, or other routers, than before."""

    def __add__(self, other: SwitchOutput) -> SwitchOutput:
        return SwitchOutput(
            self.frames + other.frames,
            self.changes + other.changes,
            self.new_routers + other.new_routers,
            self.touched + other.touched,
            self.segments + other.segments,
        )
