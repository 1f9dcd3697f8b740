"""Peers that the node remembers between its runs: read when it starts, written while it runs and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.peers_file import load_peers, write_peers
from treecast.adapters.remembered_file import DamagedError
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId
from treecast.base.problems import Problem
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
    """Keeps a node's peers in a file.

    A file that cannot be read is one warning, one that cannot be written a problem: the node works without.
    ``problems`` is a source of ``daemon.problems``.
    """

    def __init__(self, directory: Path, network: NetworkId, links: RemembersLinks, log: FilteringBoundLogger) -> None:
        self._directory = directory
        self._network = network
        self._links = links
        self._log = log
        self._written: tuple[Remembered, ...] = ()
        self._next_write: Instant = clock.monotonic()
        self._fault = ""

    def start(self, supervision: Supervision) -> None:
        """Recall, and follow until the node stops."""
        self.recall()
        supervision.start("remembering nodes", self.follow)

    def recall(self) -> None:
        """Links learn of the nodes of an earlier run."""
        try:
            self._written = load_peers(self._directory, self._network)
        except DamagedError as error:
            self._written = error.kept
            self._log.warning("not all nodes of earlier runs are remembered", reason=str(error))
        except OperatorError as error:
            self._log.warning("nodes of earlier runs are not remembered", reason=str(error))
        self._links.recall(clock.monotonic(), self._written)

    def problems(self, _: Instant) -> Iterator[Problem]:
        """The directory cannot be written: its disk is full, or read-only."""
        if self._fault:
            lost = "other nodes are not remembered for the next start, and bridge add and bridge remove would fail"
            text = f"{self._directory} cannot be written, so {lost}: {self._fault}"
            yield Problem("directory_unwritable", str(self._directory), text)

    async def follow(self) -> None:
        """Write what has changed but for the second of a last link, at most once a minute; what could not be written is
        tried at each look.
        """
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            now = clock.monotonic()
            nodes = self._links.remembered(now)
            if _to_the_hour(nodes) == _to_the_hour(self._written):
                self._fault = ""
            elif now >= self._next_write or self._fault:
                self._next_write = Instant(now + WRITE_INTERVAL)
                await asyncio.to_thread(self._write, nodes)

    def save(self) -> None:
        """The node ends, and nobody asks for its problems any more."""
        nodes, before = self._links.remembered(clock.monotonic()), self._fault
        if nodes != self._written:
            self._write(nodes)
        if self._fault and not before:
            self._log.warning("nodes are not remembered for the next start", reason=self._fault)

    def _write(self, nodes: tuple[Remembered, ...]) -> None:
        try:
            write_peers(self._directory, self._network, nodes)
        except OperatorError as error:
            self._fault = str(error)
            return
        self._written, self._fault = nodes, ""


def _to_the_hour(nodes: Sequence[Remembered]) -> list[Remembered]:
    return [one.to_the_hour() for one in nodes]
