"""The periodic timer: an idle node wakes once for all that it looks at again and again.

Each interval ends at a multiple of itself since the process began: nodes of one machine do not wake at one moment.
"""

from __future__ import annotations

import asyncio

from treecast.adapters import clock
from treecast.base.time import Duration, Instant

TOO_SOON: Duration = 0.05
"""An expiry that is so near is the one that a timer has just been woken for."""
_BEGAN = clock.monotonic()


def until_expiry(now: Instant, interval: Duration) -> Duration:
    """The time to the next expiry of this interval: at most TOO_SOON more than the interval."""
    wait = interval - (now - _BEGAN) % interval
    return wait if wait > TOO_SOON else wait + interval


async def expiry(interval: Duration) -> None:
    """Wait for the next expiry of this interval."""
    await asyncio.sleep(until_expiry(clock.monotonic(), interval))
