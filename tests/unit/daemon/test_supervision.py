"""Background tasks that fail are begun again; those that keep failing are a problem."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from tests.unit.api.serving import STATUS, sample_answer, sample_changes, sample_trace
from treecast.adapters import clock
from treecast.api import socket_path
from treecast.api.client import fetch_status
from treecast.api.server import ControlServer
from treecast.base.counters import Drops
from treecast.base.errors import OperatorError
from treecast.base.time import Instant, after
from treecast.daemon import control_socket
from treecast.daemon import supervision as module
from treecast.daemon.control_socket import keep_in_place
from treecast.daemon.faults import FaultLog
from treecast.daemon.supervision import LAST_PAUSE, WELL_AFTER, Supervision

LIMIT_S = 10.0


class Kept:
    """A supervision with its log, and a task that fails as the test says."""

    def __init__(self) -> None:
        self.captured = CapturingLogger()
        self.log: FilteringBoundLogger = self.captured
        self.drops = Drops()
        self.supervision = Supervision(FaultLog(self.drops, self.log), self.log)

    def run(self, *outcomes: Exception | None) -> None:
        """One task, once per outcome, None for one that returns; then it goes on for ever."""
        left = list(outcomes)
        well = asyncio.Event()

        async def task() -> None:
            if left:
                outcome = left.pop(0)
                if outcome is not None:
                    raise outcome
                return
            well.set()
            await asyncio.Event().wait()

        async def all_of_it() -> None:
            self.supervision.start("the task", task)
            async with asyncio.timeout(LIMIT_S):
                await well.wait()
            await self.supervision.stop()

        asyncio.run(all_of_it())

    def events(self) -> list[str]:
        return [str(call.args[0]) for call in self.captured.calls]

    def problems(self, now: Instant) -> list[str]:
        return [problem.text for problem in self.supervision.problems(now)]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    return Kept()


def test_a_task_that_fails_once_is_begun_again_with_a_line_and_no_problem(kept: Kept) -> None:
    kept.run(OSError(4, "interrupted"))
    assert kept.events() == ["task failed"]
    assert kept.problems(clock.monotonic()) == []
    assert kept.drops.snapshot() == {}, "the machine's failure is no bug"


def test_a_task_that_keeps_failing_is_a_problem_until_it_has_been_well_for_a_while(kept: Kept) -> None:
    kept.run(OperatorError("the kernel refused"), OperatorError("the kernel refused"), OSError(4, "interrupted"))
    assert kept.events() == ["task failed"] * 3
    now = clock.monotonic()
    (text,) = kept.problems(now)
    assert "the task keeps failing ([Errno 4] interrupted), 3 times in a row" in text
    assert kept.problems(after(now, WELL_AFTER + 1.0)) == []


def test_a_task_that_returns_is_begun_again(kept: Kept) -> None:
    kept.run(None)
    assert [call.kwargs["reason"] for call in kept.captured.calls] == ["it came to an end"]


def test_a_bug_in_a_task_is_counted_and_has_its_traceback(kept: Kept) -> None:
    kept.run(KeyError("index"))
    assert kept.events() == ["task failed", "internal error"]
    assert kept.drops.snapshot() == {"internal_error": 1}


def test_the_pauses_double_up_to_a_limit(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_PAUSE", 0.005)
    kept.run(*[OSError(4, "interrupted")] * 5)
    assert [call.kwargs["again_in_s"] for call in kept.captured.calls] == [0.001, 0.002, 0.004, 0.005, 0.005]
    assert LAST_PAUSE == 60.0


def test_stopping_waits_for_the_tasks_and_begins_none_again(kept: Kept) -> None:
    ended: list[str] = []

    async def task() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def run() -> None:
        kept.supervision.start("the task", task)
        await asyncio.sleep(0)
        await kept.supervision.stop()

    asyncio.run(run())
    assert ended == ["cancelled"]
    assert kept.events() == []


def test_a_control_socket_that_somebody_removed_is_made_again(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "KEEP_INTERVAL_S", 0.01)
    server = ControlServer(tmp_path, sample_answer, lambda *_: None, sample_changes, sample_trace)
    answered = _until(lambda: asyncio.to_thread(fetch_status, tmp_path))

    async def run() -> None:
        await server.start()
        kept.supervision.start_keeper("keeping the socket", lambda well: keep_in_place(server, well, kept.log))
        (tmp_path / "control.sock").unlink()
        async with asyncio.timeout(LIMIT_S):
            assert await answered() == STATUS
        await kept.supervision.stop()
        await server.close()

    asyncio.run(run())
    assert kept.events() == ["control socket made again: somebody had removed it"]
    assert list(tmp_path.iterdir()) == []


def test_a_socket_whose_directory_is_gone_is_not_made_again_and_no_problem_of_its_own(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "KEEP_INTERVAL_S", 0.001)
    home, looks = tmp_path / "home", 0
    home.mkdir()
    server = ControlServer(home, sample_answer, lambda *_: None, sample_changes, sample_trace)

    def looked() -> None:
        nonlocal looks
        looks += 1

    async def run() -> None:
        await server.start()
        home.rename(tmp_path / "away")
        kept.supervision.start("keeping the socket", lambda: keep_in_place(server, looked, kept.log))
        async with asyncio.timeout(LIMIT_S):
            while looks < 10:
                await asyncio.sleep(0.001)
            assert kept.events() == []
            (tmp_path / "away").rename(home)
            assert server.is_in_place()
        await kept.supervision.stop()
        await server.close()

    asyncio.run(run())
    assert kept.events() == []


def test_a_socket_in_a_closed_directory_is_in_place_and_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> tuple[int, ...]:
        raise PermissionError(13, "Permission denied")

    assert not socket_path.is_in_place(tmp_path / "none", (1, 2, 3))
    monkeypatch.setattr(socket_path, "identity_of", closed)
    assert socket_path.is_in_place(tmp_path / "control.sock", (1, 2, 3))


def test_a_socket_that_could_not_be_made_is_no_problem_any_more_once_it_is(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "KEEP_INTERVAL_S", 0.01)
    home = tmp_path / "home"
    home.mkdir()
    server = ControlServer(home, sample_answer, lambda *_: None, sample_changes, sample_trace)

    async def run() -> None:
        await server.start()
        home.rename(tmp_path / "away")
        home.write_text("no directory")
        kept.supervision.start_keeper("keeping the socket", lambda well: keep_in_place(server, well, kept.log))
        async with asyncio.timeout(LIMIT_S):
            while not kept.problems(clock.monotonic()):
                await asyncio.sleep(0.001)
            home.unlink()
            home.mkdir()
            while kept.problems(clock.monotonic()):
                await asyncio.sleep(0.001)
        await kept.supervision.stop()
        await server.close()

    asyncio.run(run())
    assert kept.events()[-1] == "control socket made again: somebody had removed it"


def _until(ask: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    async def answered() -> object:
        while True:
            try:
                return await ask()
            except OperatorError:
                await asyncio.sleep(0.01)

    return answered
