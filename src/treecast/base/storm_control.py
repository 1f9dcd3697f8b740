"""How much of what has no single destination a port may send into the overlay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StormLimits:
    """Frames a second, by kind; None: no limit."""

    broadcast_pps: int | None
    multicast_pps: int | None
    unknown_unicast_pps: int | None


NO_LIMITS = StormLimits(None, None, None)

LAN_LIMITS = StormLimits(broadcast_pps=1000, multicast_pps=None, unknown_unicast_pps=100)
"""Limits of a whole LAN. Broadcast: ARP that is not answered here, DHCP, mDNS: a host sends one or two a second.
Unknown unicast: the first frames to a host whose place is being learned. Multicast is what the LAN is bridged for."""
