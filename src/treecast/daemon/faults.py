"""Bugs that were met while the node runs: a line with a traceback for the first of each kind, and one problem."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from treecast.adapters import clock
from treecast.base.counters import Drops
from treecast.base.limits import MAX_FAULT_KINDS
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.log_lines import Log
from treecast.engine.faults import Fault, Faults

PRESENT_FOR: Duration = 600.0
"""The problem is shown for so long after the last fault."""


class FaultLog:
    """Reports the faults of a node. ``take`` what the engine met, ``note`` what others meet."""

    def __init__(self, drops: Drops, log: Log) -> None:
        self._drops = drops
        self._log = log
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._last: tuple[Instant, str, str] | None = None

    def take(self, faults: Faults) -> None:
        """Log the engine's faults since the last call; it has counted them."""
        for fault in faults.take():
            self._record(fault)

    def note(self, where: str, error: Exception) -> None:
        """Something outside the engine raised, and was skipped."""
        self._drops.count("internal_error")
        self._record(Fault(where, error))

    def spare(self, where: str, part: Callable[[], object]) -> None:
        """Do one thing of several: what raises is skipped."""
        try:
            part()
        except Exception as error:
            self.note(where, error)

    def note_of_loop(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An event loop's exception handler: what a callback raised that nobody waits for."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self.note("event loop", error)
        else:
            self._log.error("internal error", where="event loop", reason=str(context.get("message", "")))

    def problems(self, now: Instant) -> Iterator[Problem]:
        """There is a bug in this node."""
        if self._last is None or now - self._last[0] > PRESENT_FOR:
            return
        _, where, error = self._last
        yield Problem(
            "internal_error",
            "node",
            f"a bug in this node: {error} in {where}; it goes on without what that was about: please report the lines "
            f"at level error in its log",
        )

    def _record(self, fault: Fault) -> None:
        kind = (fault.where, type(fault.error).__name__)
        self._last = (clock.monotonic(), *kind)
        if kind not in self._kinds and len(self._kinds) >= MAX_FAULT_KINDS:
            return
        self._kinds[kind] += 1
        if self._kinds[kind] == 1:
            self._log.error("internal error", where=fault.where, error=repr(fault.error), exc_info=fault.error)
