"""The log of problems: a line when one begins, an hourly reminder, a line when it ends."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.base.counters import Drops
from treecast.base.limits import MAX_PROBLEMS
from treecast.base.problems import REMIND_INTERVAL, Problem
from treecast.base.time import Instant
from treecast.daemon.faults import FaultLog
from treecast.daemon.problems import Problems

LOST = Problem("peer_unreachable", "bob:7700", "bob:7700 does not answer: check its address")


def _problems(found: list[Problem]) -> tuple[Problems, CapturingLogger]:
    captured = CapturingLogger()
    log: FilteringBoundLogger = captured
    problems = Problems(log, FaultLog(Drops(), log))
    problems.add_source(lambda _: list(found))
    return problems, captured


def _lines(captured: CapturingLogger) -> list[str]:
    assert all(call.method_name == "warning" for call in captured.calls)
    return [str(call.args[0]) for call in captured.calls]


def test_a_problem_is_logged_when_it_begins_and_when_it_ends_and_not_between() -> None:
    found = [LOST]
    problems, captured = _problems(found)
    for second in range(100):
        problems.review(Instant(float(second)))
    assert _lines(captured) == [LOST.text]
    assert [(p.problem, p.since) for p in problems.present()] == [(LOST, 0.0)]
    found.clear()
    problems.review(Instant(100.0))
    assert _lines(captured) == [LOST.text, f"problem over after 1 min 40 s; it was: {LOST.text}"]
    assert captured.calls[-1].kwargs == {"problem": LOST.kind, "subject": LOST.subject}
    assert problems.present() == []


def test_a_problem_that_stays_is_logged_again_after_an_hour() -> None:
    problems, captured = _problems([LOST])
    problems.review(Instant(0.0))
    problems.review(Instant(REMIND_INTERVAL - 1))
    problems.review(Instant(REMIND_INTERVAL))
    problems.review(Instant(REMIND_INTERVAL + 1))
    assert _lines(captured) == [LOST.text, LOST.text]


def test_no_more_than_so_many_problems_are_kept() -> None:
    problems, _ = _problems([Problem("k", str(number), "t") for number in range(2 * MAX_PROBLEMS)])
    problems.review(Instant(0.0))
    assert len(problems.present()) == MAX_PROBLEMS


def test_what_mends_itself_within_its_patience_is_no_problem() -> None:
    found = [replace(LOST, patience=3.0)]
    problems, captured = _problems(found)
    for second in (0.0, 2.9):
        problems.review(Instant(second))
    found.clear()
    problems.review(Instant(3.0))
    assert (problems.present(), captured.calls) == ([], [])
    found.append(replace(LOST, patience=3.0))
    for second in (10.0, 12.0, 13.0, 14.0):
        problems.review(Instant(second))
    assert _lines(captured) == [LOST.text]
    assert [present.since for present in problems.present()] == [13.0]


def test_a_problem_that_becomes_more_urgent_is_logged_again_at_once() -> None:
    found = [LOST]
    problems, captured = _problems(found)
    problems.review(Instant(0.0))
    found[:] = [Problem(LOST.kind, LOST.subject, "it is urgent now", 1)]
    problems.review(Instant(1.0))
    problems.review(Instant(2.0))
    found[:] = [LOST]
    problems.review(Instant(3.0))
    assert _lines(captured) == [LOST.text, "it is urgent now"]


def test_the_end_of_a_problem_quotes_the_text_that_was_logged() -> None:
    found = [LOST]
    problems, captured = _problems(found)
    problems.review(Instant(0.0))
    changed = replace(LOST, text="bob:7700 does not answer: start it")
    found[:] = [changed]
    problems.review(Instant(1.0))
    assert [present.problem for present in problems.present()] == [changed]
    found.clear()
    problems.review(Instant(2.0))
    assert _lines(captured) == [LOST.text, f"problem over after 2 s; it was: {LOST.text}"]
