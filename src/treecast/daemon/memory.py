"""Knowledge of hosts and routers that the node keeps between its runs, each kind in a file of its own.

VLANs: their listeners may say nothing before they are queried. PIM routers: they do not send their Joins again for a
minute. Peers are kept by ``daemon.peer_memory``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.pim_file import load_pim, write_pim
from treecast.adapters.remembered_file import DamagedError
from treecast.adapters.vlans_file import load_vlans, write_vlans
from treecast.base.errors import OperatorError
from treecast.base.time import Duration, Instant, after
from treecast.daemon.supervision import Supervision
from treecast.multicast import PimSegment

LOOK_INTERVAL: Duration = 5.0
VLANS_WRITE_INTERVAL: Duration = 60.0
PIM_WRITE_INTERVAL: Duration = 10.0
"""Shorter: Joins of a minute ago may have ended."""

T = TypeVar("T")


class Remembers(Protocol):
    """A running node."""

    def recall_vlans(self, vlans: tuple[int, ...]) -> None: ...
    def vlans(self) -> tuple[int, ...]: ...
    def recall_pim(self, remembered: tuple[PimSegment, ...]) -> None: ...
    def pim_routers(self) -> tuple[PimSegment, ...]: ...


class Memory(Generic[T]):
    """One file, and one kind of values of one node.

    A file that cannot be read or written is one warning: the node works without. (That its directory cannot be written
    is a problem of ``daemon.peer_memory``.)
    """

    def __init__(
        self,
        what: str,
        *,
        load: Callable[[], tuple[T, ...]],
        write: Callable[[tuple[T, ...]], None],
        recall: Callable[[tuple[T, ...]], None],
        present: Callable[[], tuple[T, ...]],
        write_interval: Duration,
        log: FilteringBoundLogger,
    ) -> None:
        """``what``: in words. ``load`` and ``write`` raise OperatorError; ``present``: what is worth remembering."""
        self._what = what
        self._load = load
        self._write_file = write
        self._recall = recall
        self._present = present
        self._write_interval = write_interval
        self._log = log
        self._written: tuple[T, ...] = ()
        self._next_write: Instant = clock.monotonic()
        self._is_faulty = False

    def start(self, supervision: Supervision) -> None:
        """Recall, and follow until the node stops."""
        self.recall()
        supervision.start(f"remembering {self._what}", self.follow)

    def recall(self) -> None:
        """The node learns what an earlier run knew."""
        try:
            self._written = self._load()
        except DamagedError as error:
            self._written = error.kept
            self._log.warning(f"not all {self._what} of earlier runs are remembered", reason=str(error))
        except OperatorError as error:
            self._log.warning(f"{self._what} of earlier runs are not remembered", reason=str(error))
        if self._written:
            self._recall(self._written)

    async def follow(self) -> None:
        """Write what has changed, at most once in a write interval."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            now, present = clock.monotonic(), self._present()
            if present != self._written and now >= self._next_write:
                self._next_write = after(now, self._write_interval)
                await asyncio.to_thread(self._write, present)

    def save(self) -> None:
        """The node ends."""
        present = self._present()
        if present != self._written:
            self._write(present)

    def _write(self, present: tuple[T, ...]) -> None:
        try:
            self._write_file(present)
        except OperatorError as error:
            if not self._is_faulty:
                self._log.warning(f"{self._what} are not remembered for the next start", reason=str(error))
            self._is_faulty = True
            return
        self._written, self._is_faulty = present, False


def vlan_memory(directory: Path, node: Remembers, log: FilteringBoundLogger) -> Memory[int]:
    """The VLANs of an earlier run are queried."""
    return Memory(
        "VLANs",
        load=partial(load_vlans, directory),
        write=partial(write_vlans, directory),
        recall=node.recall_vlans,
        present=node.vlans,
        write_interval=VLANS_WRITE_INTERVAL,
        log=log,
    )


def pim_memory(directory: Path, node: Remembers, log: FilteringBoundLogger) -> Memory[PimSegment]:
    """The Joins of PIM routers count after a start, until their hold time ends."""
    return Memory(
        "Joins of PIM routers",
        load=partial(load_pim, directory),
        write=partial(write_pim, directory),
        recall=node.recall_pim,
        present=node.pim_routers,
        write_interval=PIM_WRITE_INTERVAL,
        log=log,
    )
