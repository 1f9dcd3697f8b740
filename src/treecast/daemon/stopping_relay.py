"""A relay that is stopped: the roots plan their trees without it before it goes, so those below it lose nothing."""

from __future__ import annotations

import asyncio

from treecast.adapters import clock
from treecast.adapters.native import DataPlane
from treecast.base.time import Duration, after
from treecast.daemon.log_lines import Log
from treecast.daemon.node import RunningNode

LIMIT: Duration = 3.0
"""A root uses its next key, with the tree that goes with it, after 1.25 s at the latest, and makes one a second."""
QUIET: Duration = 0.2
"""The root's next tree is in use when nothing has gone on from here for so long."""
LOOK_INTERVAL: Duration = 0.02


async def stop_relaying(node: RunningNode, plane: DataPlane, log: Log) -> None:
    """Advertise that the node relays no more, and go on with that until its trees are others, or ``LIMIT`` is over."""
    children = node.engine.view.relayed_children()
    if children == 0:
        return
    log.info("waiting for trees that are planned without this relay", children=children, at_most_s=LIMIT)
    node.stop_relaying()
    now = clock.monotonic()
    limit, relayed, quiet_since = after(now, LIMIT), -1, now
    while now < limit:
        before, relayed = relayed, plane.counters()["frames_relayed"]
        quiet_since = quiet_since if relayed == before else now
        if now - quiet_since >= QUIET and node.engine.view.relayed_children() == 0:
            return
        await asyncio.sleep(LOOK_INTERVAL)
        now = clock.monotonic()
    log.warning("stopped with children on trees of others", children=node.engine.view.relayed_children())
