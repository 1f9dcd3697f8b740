"""This machine's links, addresses and routes have changed: those who depend on them look, and nobody looks before.

One netlink socket for all. What is behind a change is looked up by whoever waits for it, so several changes at once
cost one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from treecast.adapters.network_change import EVERYTHING, NetworkChange, NetworkChangeSocket
from treecast.base.time import Duration

SETTLE_TIME: Duration = 0.2
"""Others may be in the middle of a change: a DHCP client takes an address away and gives another."""


class NetworkChanges:
    """``follow`` lasts as long as the node."""

    def __init__(self, open_socket: Callable[[], NetworkChangeSocket] = NetworkChangeSocket) -> None:
        self._open_socket = open_socket
        self._waiting: list[tuple[NetworkChange, asyncio.Event]] = []

    def subscribe(self, kinds: NetworkChange) -> asyncio.Event:
        """An event that is set whenever one of these may have changed, and at the start; who waits for it clears it."""
        event = asyncio.Event()
        event.set()
        self._waiting.append((kinds, event))
        return event

    async def follow(self) -> None:
        """Follows changes until it is cancelled."""
        changes = self._open_socket()
        try:
            self._announce(EVERYTHING)  # what happened before is not in the socket
            while True:
                await _readable(changes)
                await asyncio.sleep(SETTLE_TIME)
                self._announce(changes.take())
        finally:
            changes.close()

    def _announce(self, kinds: NetworkChange) -> None:
        for wanted, event in self._waiting:
            if wanted & kinds:
                event.set()


async def _readable(changes: NetworkChangeSocket) -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(changes, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(changes)
