"""The trees of a root in virtual time, whose commands a test carries out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from treecast.base.commands import Command
from treecast.base.time import Duration, Instant
from treecast.dataplane.root_trees import RootTrees


class DrivenRoot(ABC):
    """The base of roots in tests."""

    def __init__(self, trees: RootTrees) -> None:
        self.trees = trees
        self.now = Instant(0.0)

    @abstractmethod
    def carry_out(self, command: Command) -> None:
        """Do as the data plane and the other nodes would."""

    def turn(self) -> None:
        self.trees.advance(self.now)
        while self.trees.commands:
            commands, self.trees.commands = self.trees.commands, []
            for command in commands:
                self.carry_out(command)
            self.trees.advance(self.now)

    def until(self, end: Duration) -> None:
        """Each turn that is due till then."""
        while (due := self.trees.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.turn()
        self.now = Instant(end)
