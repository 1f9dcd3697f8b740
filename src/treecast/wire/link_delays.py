"""Delays of links, by the classes that LINKS has of them: what paths and trees are planned by."""

from __future__ import annotations

from treecast.wire.advertised_links import HIGHEST_LOSS_CLASS, LONGEST_RTT_CLASS, NOT_MEASURED, loss_of, rtt_ms_of

RELAYING_US = 200
"""Each node on a path takes so long."""
UNMEASURED_RTT_MS = 100.0
LOSS_US_PER_PERCENT = 2000
"""A lost datagram is missed for a round trip or more: so much longer counts a link for each percent."""


def _delay_us(rtt_class: int, loss_class: int) -> int:
    rtt_ms = UNMEASURED_RTT_MS if rtt_class == NOT_MEASURED else rtt_ms_of(rtt_class)
    lost_percent = 100 * loss_of(loss_class) if loss_class else 0.0
    return round(rtt_ms * 500 + lost_percent * LOSS_US_PER_PERCENT) + RELAYING_US


DELAYS_US = [[_delay_us(rtt, loss) for loss in range(HIGHEST_LOSS_CLASS + 1)] for rtt in range(LONGEST_RTT_CLASS + 1)]
"""Delays by class of the round trip and class of the loss."""


def delay_us(rtt_class: int, loss_class: int) -> int:
    """How long a link counts in a path, in microseconds: one way, and the node at its end."""
    return DELAYS_US[min(rtt_class, LONGEST_RTT_CLASS)][min(loss_class, HIGHEST_LOSS_CLASS)]
