"""Peers that the node remembers between its runs: read when it starts, written while it runs and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.peers_file import load_peers, write_peers
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId
from treecast.base.time import Duration, Instant
from treecast.daemon.supervision import Supervision
from treecast.links.memory import Remembered

LOOK_INTERVAL: Duration = 5.0
WRITE_INTERVAL: Duration = 60.0


class RemembersLinks(Protocol):
    """An engine, or its links."""

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None: ...
    def remembered(self, now: Instant) -> tuple[Remembered, ...]: ...


class PeerMemory:
    """One node's. A file that cannot be read or written is one warning: the node works without."""

    def __init__(self, directory: Path, network: NetworkId, links: RemembersLinks, log: FilteringBoundLogger) -> None:
        self._directory = directory
        self._network = network
        self._links = links
        self._log = log
        self._written: tuple[Remembered, ...] = ()
        self._next_write: Instant = clock.monotonic()
        self._fails = False

    def start(self, supervision: Supervision) -> None:
        """Recall, and follow until the node stops."""
        self.recall()
        supervision.start("remembering nodes", self.follow)

    def recall(self) -> None:
        """Links learn of the nodes of an earlier run."""
        try:
            self._written = load_peers(self._directory, self._network)
        except OperatorError as error:
            self._log.warning("nodes of earlier runs are not remembered", reason=str(error))
        self._links.recall(clock.monotonic(), self._written)

    async def follow(self) -> None:
        """Write what has changed, at most once a minute."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            now = clock.monotonic()
            nodes = self._links.remembered(now)
            if nodes != self._written and now >= self._next_write:
                self._next_write = Instant(now + WRITE_INTERVAL)
                await asyncio.to_thread(self._write, nodes)

    def save(self) -> None:
        """The node ends."""
        nodes = self._links.remembered(clock.monotonic())
        if nodes != self._written:
            self._write(nodes)

    def _write(self, nodes: tuple[Remembered, ...]) -> None:
        try:
            write_peers(self._directory, self._network, nodes)
        except OperatorError as error:
            if not self._fails:
                self._log.warning("nodes are not remembered for the next start", reason=str(error))
            self._fails = True
            return
        self._written, self._fails = nodes, False
