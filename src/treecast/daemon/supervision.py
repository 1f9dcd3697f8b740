"""Background tasks that last as long as the node: one that fails is begun again, later and later, and seen to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from treecast.adapters import clock
from treecast.base.errors import OperatorError
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.faults import FaultLog
from treecast.daemon.log_lines import Log

FIRST_PAUSE: Duration = 1.0
LAST_PAUSE: Duration = 60.0
WELL_AFTER: Duration = 45.0
"""A task that has run for so long is well: each does all its work at its beginning, or once in at most 30 s."""

FAILURES_OF_A_PROBLEM = 2
"""One in passing, such as a netlink dump that was interrupted, needs no person."""


class EndedError(RuntimeError):
    """A task returned that should go on for ever."""


@dataclass(slots=True)
class _Failing:
    reason: str
    times: int
    pause: Duration
    failed_at: Instant


class Supervision:
    """One node's tasks, each under a name that people read."""

    def __init__(self, faults: FaultLog, log: Log) -> None:
        self._faults = faults
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: dict[str, _Failing] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it until ``stop``; whenever it ends, begin it again."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._keep(name, run), name=name))

    def start_keeper(self, name: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """The same for a task that calls what it gets when all is well: what failed before is over then."""
        self.start(name, lambda: run(lambda: self._well(name)))

    def _well(self, name: str) -> None:
        self._failing.pop(name, None)

    async def stop(self) -> None:
        """Cancel all tasks and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Tasks that keep failing."""
        for name, failing in sorted(self._failing.items()):
            if now - failing.failed_at > failing.pause + WELL_AFTER:
                continue
            if failing.times >= FAILURES_OF_A_PROBLEM:
                text = (
                    f"{name} keeps failing ({failing.reason}), {failing.times} times in a row; it is tried again every "
                    f"{failing.pause:g} s, and until then its part of the node is as it was before"
                )
                yield Problem("task_failing", name, text)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            began_at = clock.monotonic()
            try:
                await _for_ever(run)
            except Exception as error:
                pause = self._failed(name, began_at, error)
            await asyncio.sleep(pause)

    def _failed(self, name: str, began_at: Instant, error: Exception) -> Duration:
        now = clock.monotonic()
        before = self._failing.get(name)
        reason = str(error) or type(error).__name__
        if before is None or now - began_at >= WELL_AFTER:
            failing = _Failing(reason, 1, FIRST_PAUSE, now)
        else:
            failing = _Failing(reason, before.times + 1, min(2 * before.pause, LAST_PAUSE), now)
        self._failing[name] = failing
        self._log.warning("task failed", task=name, reason=reason, times=failing.times, again_in_s=failing.pause)
        if not isinstance(error, OSError | OperatorError | EndedError):
            self._faults.note(name, error)
        return failing.pause


async def _for_ever(run: Callable[[], Awaitable[None]]) -> None:
    await run()
    raise EndedError("it came to an end")
