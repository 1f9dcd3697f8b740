"""Ticks: what a node looks at again and again, it looks at together, so that an idle one wakes once for all of it.

Each interval ends at a multiple of itself since the process began: nodes of one machine have ticks of their own.
"""

from __future__ import annotations

import asyncio

from treecast.adapters import clock
from treecast.base.time import Duration, Instant

TOO_SOON: Duration = 0.05
"""A tick that is so near is the one that a timer has just been woken for."""
_BEGAN = clock.monotonic()


def until_tick(now: Instant, interval: Duration) -> Duration:
    """How long it is to the next tick of this interval: at most TOO_SOON more than the interval."""
    wait = interval - (now - _BEGAN) % interval
    return wait if wait > TOO_SOON else wait + interval


async def tick(interval: Duration) -> None:
    """Wait for the next tick of this interval."""
    await asyncio.sleep(until_tick(clock.monotonic(), interval))
