"""Set expressions as RFC 3376 section 6.4 writes them: ``A+B`` union, ``A*B`` intersection, ``A-B`` difference.

They are values, so the table of transitions reads, prints and runs as the RFC's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from treecast.base.addresses import IPAddress

Sources = frozenset[IPAddress]


@dataclass(frozen=True, slots=True)
class SetExpression:
    """``text`` is the RFC's notation; ``evaluate`` takes the sets by their letters."""

    text: str
    evaluate: Callable[[Mapping[str, Sources]], Sources]

    def __add__(self, other: SetExpression) -> SetExpression:
        return SetExpression(f"{self}+{other.operand}", lambda sets: self.evaluate(sets) | other.evaluate(sets))

    def __sub__(self, other: SetExpression) -> SetExpression:
        return SetExpression(f"{self}-{other.operand}", lambda sets: self.evaluate(sets) - other.evaluate(sets))

    def __mul__(self, other: SetExpression) -> SetExpression:
        text = f"{self.operand}*{other.operand}"
        return SetExpression(text, lambda sets: self.evaluate(sets) & other.evaluate(sets))

    @property
    def operand(self) -> str:
        """The text, in brackets unless it is one letter."""
        return self.text if len(self.text) == 1 else f"({self.text})"

    def __str__(self) -> str:
        return self.text


def letter(name: str) -> SetExpression:
    return SetExpression(name, lambda sets: sets[name])


NOTHING = SetExpression("", lambda _sets: frozenset())
