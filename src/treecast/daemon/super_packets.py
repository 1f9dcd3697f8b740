"""Whether datagrams for groups reach this machine joined into super-packets, as far as nobody on it would lose them.

Linux routes no super-packet to an IPv4 group that is larger than the MTU and must not be fragmented
(``ipmr_queue_xmit``): while this machine routes multicast from the node's interface, the TAP gets datagram by datagram.
"""

from __future__ import annotations

import asyncio

from treecast.adapters.multicast_routing import routes_multicast
from treecast.adapters.native import DataPlane
from treecast.daemon.log_lines import Log


class SuperPackets:
    """``follow`` lasts as long as the node. ``changed``: set when a router may have begun or ended, or an interface
    come, gone or changed.
    """

    def __init__(self, plane: DataPlane, changed: asyncio.Event, log: Log) -> None:
        self._plane = plane
        self._changed = changed
        self._log = log

    async def follow(self) -> None:
        while True:
            self._changed.clear()
            self._take(routed=await asyncio.to_thread(routes_multicast, self._plane.interface))
            await self._changed.wait()

    def _take(self, *, routed: bool) -> None:
        if routed == self._plane.joins_groups:
            self._plane.join_groups(not routed)
            what = (
                "this machine routes multicast: no super-packets for groups" if routed else "super-packets for groups"
            )
            self._log.info(what)
