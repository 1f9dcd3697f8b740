"""A waiter for changes of the machine's network is woken by the kinds that it waits for, and at the start."""

from __future__ import annotations

import asyncio
import socket

from tests.unit.adapters.test_network_change import message
from treecast.adapters.network_change import NetworkChange, NetworkChangeSocket
from treecast.daemon.network_changes import NetworkChanges


def test_each_is_woken_by_its_own_kinds_and_several_changes_are_one() -> None:
    kernel, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.setblocking(False)

    async def changes() -> None:
        network = NetworkChanges(lambda: NetworkChangeSocket(own))
        addresses, routes = (
            network.subscribe(NetworkChange.ADDRESSES | NetworkChange.LINKS),
            network.subscribe(NetworkChange.ROUTES),
        )
        assert addresses.is_set() and routes.is_set(), "at the start all may have changed"
        following = asyncio.ensure_future(network.follow())
        for kind, woken, other in ((20, addresses, routes), (24, routes, addresses), (16, addresses, routes)):
            await asyncio.sleep(0)  # the task begins, or waits again
            addresses.clear()
            routes.clear()
            for _ in range(20):
                kernel.send(message(kind))
            async with asyncio.timeout(30):
                await woken.wait()
            assert not other.is_set()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert own.fileno() == -1, "its socket is closed"

    asyncio.run(changes())
    kernel.close()
