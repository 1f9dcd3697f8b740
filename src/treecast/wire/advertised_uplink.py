"""NODE's word of a node's uplink, in classes, and of its children. Format: ``docs/protocol.md`` section 7."""

from __future__ import annotations

from math import floor, log

from treecast.base.relaying import Relaying

UPLINK_NOT_ADVERTISED = 0
SLOWEST_UPLINK_BPS = 100_000
UPLINK_STEP = 1.25
FASTEST_UPLINK_CLASS = 63
"""102 Gbit/s, and all that is faster."""
CHILDREN_NOT_ADVERTISED = 0xFFFF
"""The value of so many children, and of a number that is not advertised."""


def uplink_class(uplink_bps: int | None) -> int:
    """The class of an uplink: the fastest one that is not faster than it; the slowest one for all that are slower."""
    if uplink_bps is None:
        return UPLINK_NOT_ADVERTISED
    steps = floor(log(max(uplink_bps, SLOWEST_UPLINK_BPS) / SLOWEST_UPLINK_BPS, UPLINK_STEP) + 1e-9)
    return min(1 + steps, FASTEST_UPLINK_CLASS)


def uplink_bps_of(uplink_class: int) -> int | None:
    """The uplink that a class stands for, in bits per second; None where none is advertised."""
    if uplink_class == UPLINK_NOT_ADVERTISED:
        return None
    return round(SLOWEST_UPLINK_BPS * float(UPLINK_STEP ** (min(uplink_class, FASTEST_UPLINK_CLASS) - 1)))


def advertised_children(relaying: Relaying) -> int:
    """The field of NODE for how many children a node takes."""
    if not relaying.relays:
        return 0
    if relaying.max_children is None:
        return CHILDREN_NOT_ADVERTISED
    return min(relaying.max_children, CHILDREN_NOT_ADVERTISED)


def relaying_of(uplink_class: int, most_children: int) -> Relaying:
    """The meaning of NODE's two fields."""
    most = None if most_children == CHILDREN_NOT_ADVERTISED else most_children
    return Relaying(relays=most != 0, uplink_bps=uplink_bps_of(uplink_class), max_children=most)
