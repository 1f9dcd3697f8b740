"""Bugs in the log: the first of each kind with its traceback, all of them counted, one problem for people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.base.counters import Drops
from treecast.base.errors import OperatorError
from treecast.base.limits import MAX_FAULT_KINDS
from treecast.base.problems import Problem
from treecast.base.time import Instant, after
from treecast.daemon import logs
from treecast.daemon.ending import Ending
from treecast.daemon.faults import PRESENT_FOR, FaultLog
from treecast.daemon.problems import Problems
from treecast.engine.faults import Faults


def _fault_log() -> tuple[FaultLog, Drops, CapturingLogger]:
    captured, drops = CapturingLogger(), Drops()
    log: FilteringBoundLogger = captured
    return FaultLog(drops, log), drops, captured


def _fail() -> None:
    raise KeyError("gone")


def test_each_is_counted_and_the_first_of_its_kind_logged_with_its_traceback() -> None:
    faults, drops, captured = _fault_log()
    for _ in range(3):
        faults.spare("review", _fail)
        faults.spare("problems", _fail)
        faults.note("review", ValueError("other"))
    assert drops.snapshot() == {"internal_error": 9}
    lines = [(call.kwargs["where"], call.kwargs["error"]) for call in captured.calls]
    assert lines == [
        ("review", "KeyError('gone')"),
        ("problems", "KeyError('gone')"),
        ("review", "ValueError('other')"),
    ]
    assert all(call.method_name == "error" for call in captured.calls)


def test_the_line_of_a_real_log_has_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    FaultLog(Drops(), logs.configure("info")).spare("review", _fail)
    assert logs.flush()
    (line,) = capfd.readouterr().err.splitlines()
    assert "level=error" in line
    assert "Traceback" in line
    assert "in _fail" in line


def test_what_the_engine_met_is_logged_and_was_counted_by_it() -> None:
    faults, drops, captured = _fault_log()
    engine_drops = Drops()
    engine = Faults(engine_drops)
    engine.spare("TapFrame", _fail)
    faults.take(engine)
    faults.take(engine)
    assert [call.kwargs["where"] for call in captured.calls] == ["TapFrame"]
    assert (drops.snapshot(), engine_drops.snapshot()) == ({}, {"internal_error": 1})


def test_the_kinds_that_are_remembered_are_bounded() -> None:
    faults, drops, captured = _fault_log()
    for number in range(2 * MAX_FAULT_KINDS):
        faults.note(str(number), ValueError())
    assert len(captured.calls) == MAX_FAULT_KINDS
    assert drops.snapshot() == {"internal_error": 2 * MAX_FAULT_KINDS}


def test_a_bug_is_a_problem_until_it_has_not_been_met_for_a_while() -> None:
    faults, _, _ = _fault_log()
    assert list(faults.problems(clock.monotonic())) == []
    faults.spare("review", _fail)
    now = clock.monotonic()
    (problem,) = faults.problems(now)
    assert problem.kind == "internal_error"
    assert "KeyError in review" in problem.text
    assert list(faults.problems(after(now, PRESENT_FOR + 1.0))) == []


def test_what_a_callback_of_the_event_loop_raises_is_one_of_them() -> None:
    faults, drops, captured = _fault_log()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(faults.note_of_loop)
        loop.call_soon(_fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(run())
    assert drops.snapshot() == {"internal_error": 1}
    assert [call.kwargs["where"] for call in captured.calls] == ["event loop"]


def test_a_source_of_problems_that_raises_does_not_hide_those_of_the_others() -> None:
    faults, _, captured = _fault_log()
    log: FilteringBoundLogger = captured
    problems = Problems(log, faults)

    def broken(_: Instant) -> Iterator[Problem]:
        yield Problem("first", "a", "text")
        raise KeyError("gone")

    problems.add_source(broken)
    problems.add_source(lambda _: [Problem("second", "b", "text")])
    problems.review(Instant(0.0))
    assert [present.problem.kind for present in problems.present()] == ["first", "second"]


def test_a_node_that_is_asked_to_stop_has_not_failed() -> None:
    async def run() -> None:
        ending = Ending()
        ending.stop()
        await ending.wait()
        ending.check()

    asyncio.run(run())


def test_a_node_that_failed_says_why_first_it_did() -> None:
    async def run() -> None:
        ending = Ending()
        ending.fail(OperatorError("the interface is gone"))
        ending.fail(OperatorError("and so are its routes"))
        ending.stop()
        await ending.wait()
        ending.check()

    with pytest.raises(OperatorError, match="the interface is gone"):
        asyncio.run(run())
