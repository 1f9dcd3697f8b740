"""Messages to the service manager: that the node turns (its watchdog), and a line with its state.

The watchdog is fed from the event loop, and only when every thread that moves packets has answered from its own loop:
whichever stands still, the node is ended by systemd and started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from treecast.adapters import clock, systemd
from treecast.base.time import Duration, Instant, after
from treecast.daemon.log_lines import Log
from treecast.daemon.problems import Problems

STATUS_INTERVAL: Duration = 1.0
FED_PER_INTERVAL = 4
"""systemd waits for one of so many."""


class Workers(Protocol):
    """The data plane's threads."""

    @property
    def workers(self) -> int: ...
    @property
    def running_workers(self) -> int: ...
    @property
    def unanswered(self) -> int: ...
    def signal_workers(self) -> None: ...


class ServiceReports:
    """``follow`` in a task."""

    def __init__(self, plane: Workers, peers: Callable[[], int], problems: Problems, log: Log) -> None:
        self._plane = plane
        self._peers = peers
        self._problems = problems
        self._log = log
        self._interval = systemd.watchdog_interval_s()
        self._fed_next: Instant | None = None
        self._status = ""
        self._stands = False

    async def follow(self) -> None:
        """Report for ever."""
        pause = STATUS_INTERVAL if self._interval is None else min(STATUS_INTERVAL, self._interval / FED_PER_INTERVAL)
        while True:
            self._report_status()
            if self._interval is not None:
                self._feed(clock.monotonic(), self._interval)
            await asyncio.sleep(pause)

    def _report_status(self) -> None:
        """One line when it changes: ``systemctl status`` shows it."""
        peers, problems = self._peers(), self._problems.present()
        status = f"{peers} {'peer' if peers == 1 else 'peers'}, "
        count = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}"
        status += f"{count}, first: {problems[0].problem.text}" if problems else "no problems"
        if status != self._status:
            self._status = status
            systemd.notify(f"STATUS={status}")

    def _feed(self, now: Instant, interval: Duration) -> None:
        if self._fed_next is not None and now < self._fed_next:
            return
        stands = self._plane.unanswered > 0 or self._plane.running_workers < self._plane.workers
        if not stands:
            systemd.notify("WATCHDOG=1")
            self._plane.signal_workers()
            self._fed_next = after(now, interval / FED_PER_INTERVAL)
        elif not self._stands:
            self._log.error("a thread that moves packets stands still: systemd will end the node if it goes on")
        self._stands = stands
