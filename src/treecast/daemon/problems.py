"""The present problems of a node: each is logged when it begins, rarely again, and when it ends.

Sources are functions that return the problems of this moment; this module compares that with the moment before. A
source needs no memory of what was logged. ``status`` shows what ``present`` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from treecast.base.limits import MAX_PROBLEMS
from treecast.base.problems import Problem
from treecast.base.time import Instant, in_time
from treecast.daemon.faults import FaultLog
from treecast.daemon.log_lines import Log

ProblemSource = Callable[[Instant], Iterable[Problem]]


@dataclass(slots=True)
class PresentProblem:
    """A problem, since when it is present, and when it was last logged, with which text."""

    problem: Problem
    since: Instant
    logged_at: Instant
    logged: str


class Problems:
    """Call ``review`` about once a second."""

    def __init__(self, log: Log, faults: FaultLog) -> None:
        self._log = log
        self._faults = faults
        self._sources: list[ProblemSource] = []
        self._present: dict[tuple[str, str], PresentProblem] = {}
        self._found_at: dict[tuple[str, str], Instant] = {}
        """The time at which each present problem was first found; at most MAX_PROBLEMS."""

    def add_source(self, source: ProblemSource) -> None:
        self._sources.append(source)

    def review(self, now: Instant) -> None:
        """Compare with the review before; log what began, what goes on for long, and what ended."""
        found: dict[tuple[str, str], Problem] = {}
        for source in self._sources:
            self._faults.spare("problems", partial(_gather, found, source, now))
        self._found_at = {key: self._found_at.get(key, now) for key in found}
        for key in [key for key in self._present if key not in found]:
            self._over(now, self._present.pop(key))
        for key, problem in found.items():
            present = self._present.get(key)
            if present is None and now - self._found_at[key] < problem.patience:
                continue
            if present is None:
                self._present[key] = PresentProblem(problem, now, now, problem.text)
                self._log.warning(problem.text, problem=problem.kind, subject=problem.subject)
                continue
            more_urgent = problem.urgency > present.problem.urgency
            present.problem = problem
            if more_urgent or now - present.logged_at >= problem.remind_interval:
                present.logged_at, present.logged = now, problem.text
                self._log.warning(problem.text, problem=problem.kind, subject=problem.subject)

    def _over(self, now: Instant, ended: PresentProblem) -> None:
        """One line that stands alone: whoever reads it may not have the one of the beginning, which it quotes."""
        problem = ended.problem
        lasted = in_time(now - ended.since)
        self._log.warning(
            f"problem over after {lasted}; it was: {ended.logged}", problem=problem.kind, subject=problem.subject
        )

    def present(self) -> list[PresentProblem]:
        """Oldest first."""
        return list(self._present.values())


def _gather(found: dict[tuple[str, str], Problem], source: ProblemSource, now: Instant) -> None:
    for problem in source(now):
        if len(found) < MAX_PROBLEMS:
            found.setdefault((problem.kind, problem.subject), problem)
