"""Faults of the engine: bugs, as values. The daemon logs them and decides when there were too many.

A fault costs what raised and nothing else. The engine goes on with what it has; nothing here hides that it happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from treecast.base.counters import Drops
from treecast.base.limits import MAX_FAULTS_PER_TURN

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Fault:
    """``where``: the kind of event, or the room, whose code raised ``error``."""

    where: str
    error: Exception


class Faults:
    """Counted as ``internal_error``."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._waiting: list[Fault] = []
        self._failing = False
        self.failed_turns = 0
        """Turns in a row in which a room's own work raised. An event that raises is over with its turn; a room's
        deadline is not, and comes again."""

    def spare(self, where: str, part: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Do one part of a turn's work, such as an event. Whether it was done: what raised is skipped."""
        try:
            part(*args, **kwargs)
        except Exception as error:
            self.note(where, error)
            return False
        return True

    def step(self, where: str, step: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do what a room does in each turn."""
        if not self.spare(where, step, *args, **kwargs):
            self._failing = True

    def turn_ended(self) -> None:
        """The steps since the last call were those of one turn."""
        self.failed_turns = self.failed_turns + 1 if self._failing else 0
        self._failing = False

    def note(self, where: str, error: Exception) -> None:
        """Something raised, and was skipped."""
        self._drops.count("internal_error")
        if len(self._waiting) < MAX_FAULTS_PER_TURN:
            self._waiting.append(Fault(where, error))

    def take(self) -> list[Fault]:
        """The faults since the last call, or the first of them."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
