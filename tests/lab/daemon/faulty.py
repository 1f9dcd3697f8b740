"""``treecast`` with bugs of the test's choice: ``python faulty.py BUG[,BUG] VERB ...``.

Each bug is in one place, where a real one could be: what is below it is the real thing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from treecast.api.records import Host
from treecast.base.events import Event, TapFrame
from treecast.base.time import Instant
from treecast.cli.main import main
from treecast.daemon import answers, run
from treecast.dataplane.root_trees import RootTrees
from treecast.engine.engine import Engine


class UnforeseenError(RuntimeError):
    """What nobody expected."""


class DeafEngine(Engine):
    """Whatever a host says raises."""

    def _handle(self, now: Instant, event: Event) -> None:
        if isinstance(event, TapFrame):
            raise UnforeseenError("a frame")
        super()._handle(now, event)


class Forgetful(answers.Answers):
    """Cannot say which hosts there are."""

    def _hosts(self) -> list[Host]:
        raise UnforeseenError("the hosts")


def _frames() -> None:
    run.Engine = DeafEngine  # type: ignore[misc]


def _answers() -> None:
    run.Answers = Forgetful  # type: ignore[misc]


def _turns() -> None:
    def advance(_: RootTrees, now: Instant) -> NoReturn:
        raise UnforeseenError(f"at {now}")

    RootTrees.advance = advance  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {"frames": _frames, "answers": _answers, "turns": _turns}

if __name__ == "__main__":
    for bug in sys.argv[1].split(","):
        BUGS[bug]()
    del sys.argv[1]
    main()
