"""Underlay routes, those of this machine, as far as rooms that do no I/O want to know of them."""

from __future__ import annotations

from enum import Enum, auto


class UnderlayRouteType(Enum):
    """Where a datagram to an address would go now (rtm_type, rtnetlink(7))."""

    UNICAST = auto()
    """A route to one machine, which may be this one."""
    BROADCAST = auto()
    """A route to all machines of a subnet; the system does not let it pass."""
    NONE = auto()
    """A datagram goes nowhere: there is no route, or one that forbids it."""
