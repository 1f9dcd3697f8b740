"""VLANs that the node remembers between its runs: their listeners may say nothing before they are queried."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.vlans_file import load_vlans, write_vlans
from treecast.base.errors import OperatorError
from treecast.base.time import Duration, Instant
from treecast.daemon.supervision import Supervision

LOOK_INTERVAL: Duration = 5.0
WRITE_INTERVAL: Duration = 60.0


class RemembersVlans(Protocol):
    """A running node."""

    def recall_vlans(self, vlans: tuple[int, ...]) -> None: ...
    def vlans(self) -> tuple[int, ...]: ...


class VlanMemory:
    """One node's. A file that cannot be read or written is one warning: the node works without. (That its directory
    cannot be written is a problem of ``daemon.peer_memory``.)
    """

    def __init__(self, directory: Path, node: RemembersVlans, log: FilteringBoundLogger) -> None:
        self._directory = directory
        self._node = node
        self._log = log
        self._written: tuple[int, ...] = ()
        self._next_write: Instant = clock.monotonic()
        self._is_faulty = False

    def start(self, supervision: Supervision) -> None:
        """Recall, and follow until the node stops."""
        self.recall()
        supervision.start("remembering VLANs", self.follow)

    def recall(self) -> None:
        """The VLANs of an earlier run are queried."""
        try:
            self._written = load_vlans(self._directory)
        except OperatorError as error:
            self._log.warning("VLANs of earlier runs are not remembered", reason=str(error))
        if self._written:
            self._node.recall_vlans(self._written)

    async def follow(self) -> None:
        """Write what has changed, at most once a minute."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            now, vlans = clock.monotonic(), self._node.vlans()
            if vlans != self._written and now >= self._next_write:
                self._next_write = Instant(now + WRITE_INTERVAL)
                await asyncio.to_thread(self._write, vlans)

    def save(self) -> None:
        """The node ends."""
        vlans = self._node.vlans()
        if vlans != self._written:
            self._write(vlans)

    def _write(self, vlans: tuple[int, ...]) -> None:
        try:
            write_vlans(self._directory, vlans)
        except OperatorError as error:
            if not self._is_faulty:
                self._log.warning("VLANs are not remembered for the next start", reason=str(error))
            self._is_faulty = True
            return
        self._written, self._is_faulty = vlans, False
