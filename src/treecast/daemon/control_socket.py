"""The node's sockets stay where the verbs look for them, whoever cleans up the directory."""

from __future__ import annotations

import asyncio

from structlog.typing import FilteringBoundLogger

from treecast.api.handover import DescriptorInbox
from treecast.api.server import KEEP_INTERVAL_S, ControlServer


async def keep_in_place(server: ControlServer, log: FilteringBoundLogger) -> None:
    """Make the socket again whenever somebody has removed it. OperatorError when that fails."""
    while True:
        await server.removed()
        await server.start()
        log.warning("control socket made again: somebody had removed it")


async def keep_inbox_in_place(inbox: DescriptorInbox, log: FilteringBoundLogger) -> None:
    """The same for the socket by which interfaces are handed over. OperatorError when that fails."""
    while True:
        if not inbox.is_in_place():
            inbox.make_again()
            log.warning("socket for interfaces made again: somebody had removed it")
        await asyncio.sleep(KEEP_INTERVAL_S)
