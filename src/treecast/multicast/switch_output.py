"""What a turn of the membership of all ports and VLANs came to."""

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
    """What all hosts of a VLAN together want of a group from now on; NO_SOURCE: nobody does."""

    vlan: int
    group: IPAddress
    filter: SourceFilter
    ports: Mapping[int, SourceFilter] = field(default_factory=dict)
    """What the hosts on each port want, whoever serves them; on others nothing."""


@dataclass(frozen=True, slots=True)
class SwitchOutput:
    """What a turn came to, in order. ``new_routers``: VLANs in which a router appeared: it has to be told by
    ``set_proxied`` what the other nodes want.
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
