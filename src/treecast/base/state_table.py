"""State machines as tables: which state follows which, on what event. A transition that is not listed is an error.

``docs/state-machines.md`` shows each table as ``markdown`` prints it; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class UnlistedTransitionError(Exception):
    """An event in a state in which it cannot happen: a bug."""


@dataclass(frozen=True, slots=True)
class Transition(Generic[S, E]):
    """One row. ``effect``: what is done with it, in a few words."""

    state: S
    event: E
    new_state: S
    effect: str = ""


class StateTable(Generic[S, E]):
    """The transitions of one machine. The values of its enums are the words that documents use, or their names."""

    def __init__(self, *rows: Transition[S, E]) -> None:
        self.rows = rows
        self._new_states = {(row.state, row.event): row.new_state for row in rows}
        if len(self._new_states) != len(rows):
            raise ValueError("a state and an event are listed twice")

    def __iter__(self) -> Iterator[Transition[S, E]]:
        return iter(self.rows)

    def after(self, state: S, event: E) -> S:
        """The state that follows. UnlistedTransitionError when the table has no such row."""
        new_state = self._new_states.get((state, event))
        if new_state is None:
            raise UnlistedTransitionError(f"{event} in {state}")
        return new_state

    def markdown(self) -> str:
        """The table as documents show it."""
        lines = ["| state | event | next state | effect |", "|---|---|---|---|"]
        for row in self.rows:
            words = (_word(row.state), _word(row.event), _word(row.new_state), row.effect)
            lines.append(f"| {' | '.join(words)} |")
        return "\n".join(lines)


def _word(member: Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name.lower()
