"""The control socket stays where the verbs look for it, whoever cleans up the directory."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from treecast.api.server import ControlServer


async def keep_in_place(server: ControlServer, log: FilteringBoundLogger) -> None:
    """Make the socket again whenever somebody has removed it. OperatorError when that fails."""
    while True:
        await server.removed()
        await server.close()
        await server.start()
        log.warning("control socket made again: somebody had removed it")
