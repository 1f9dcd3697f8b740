"""Notifications to systemd: status lines, and WATCHDOG=1 only while the threads that move packets answer."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.adapters import systemd
from treecast.base.counters import Drops
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.faults import FaultLog
from treecast.daemon.problems import Problems
from treecast.daemon.service import ServiceReports

INTERVAL_S = 0.08


@dataclass
class Threads:
    """The worker threads, as the data plane reports them."""

    workers: int = 2
    running_workers: int = 2
    unanswered: int = 0
    asked: int = 0

    def signal_workers(self) -> None:
        self.asked += 1


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        own.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(INTERVAL_S * 1e6)))
        yield own


def waiting(manager: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def report(threads: Threads, found: list[Problem], until: Callable[[], bool]) -> CapturingLogger:
    """Reports until the condition holds; the log."""
    captured = CapturingLogger()
    log: FilteringBoundLogger = captured
    problems = Problems(log, FaultLog(Drops(), log))
    problems.add_source(lambda _: found)
    problems.review(Instant(0.0))
    captured.calls.clear()

    async def run() -> None:
        task = asyncio.create_task(ServiceReports(threads, lambda: 3, problems, log).follow())
        async with asyncio.timeout(10.0):
            while not until():
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())
    return captured


def test_the_watchdog_is_fed_while_the_threads_answer(manager: socket.socket) -> None:
    threads = Threads()
    report(threads, [], lambda: threads.asked == 5)
    assert waiting(manager).count("WATCHDOG=1") == 5


@pytest.mark.parametrize("threads", [Threads(unanswered=1), Threads(running_workers=1)])
def test_the_watchdog_is_not_fed_when_a_thread_stands_still_or_has_ended(
    threads: Threads, manager: socket.socket
) -> None:
    seen: list[str] = []

    def told() -> bool:
        seen.extend(waiting(manager))
        return bool(seen)

    captured = report(threads, [], told)
    assert "WATCHDOG=1" not in seen
    assert threads.asked == 0
    assert [call.method_name for call in captured.calls] == ["error"], "once"


def test_the_status_line_has_peers_and_problems_and_comes_when_it_changes(manager: socket.socket) -> None:
    threads = Threads()
    report(threads, [], lambda: threads.asked == 3)
    assert [line for line in waiting(manager) if line.startswith("STATUS=")] == ["STATUS=3 peers, no problems"]
    lost = Problem("peer_unreachable", "bob", "bob does not answer")
    report(threads, [lost], lambda: threads.asked == 4)
    assert "STATUS=3 peers, 1 problem, first: bob does not answer" in waiting(manager)


def test_the_watchdog_is_wanted_of_the_process_that_systemd_names(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert systemd.watchdog_interval_s() == INTERVAL_S
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_interval_s() == INTERVAL_S
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert systemd.watchdog_interval_s() is None


def test_a_service_manager_that_does_not_read_holds_up_nothing(manager: socket.socket) -> None:
    threads = Threads()
    report(threads, [], lambda: threads.asked == 30)  # a socket's queue has room for 11 datagrams (unix(7))
    assert len(waiting(manager)) < 30
