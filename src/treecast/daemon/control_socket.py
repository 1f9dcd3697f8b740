"""The node's sockets stay where the verbs look for them, whoever cleans up the directory."""

from __future__ import annotations

from collections.abc import Callable

from treecast.api.handover import DescriptorInbox
from treecast.api.server import ControlServer
from treecast.daemon.log_lines import Log
from treecast.daemon.periodic_timer import expiry

KEEP_INTERVAL_S = 5.0
"""How long clients may miss a socket that somebody removed."""


async def keep_in_place(server: ControlServer, well: Callable[[], None], log: Log) -> None:
    """Make the socket again whenever somebody has removed it. OperatorError when that fails; ``well``: called whenever
    it is there.
    """
    while True:
        if not server.is_in_place():
            await server.start()
            log.warning("control socket made again: somebody had removed it")
        well()
        await expiry(KEEP_INTERVAL_S)


async def keep_inbox_in_place(inbox: DescriptorInbox, well: Callable[[], None], log: Log) -> None:
    """The same for the socket by which interfaces are handed over. OperatorError when that fails."""
    while True:
        if not inbox.is_in_place():
            inbox.make_again()
            log.warning("socket for interfaces made again: somebody had removed it")
        well()
        await expiry(KEEP_INTERVAL_S)
