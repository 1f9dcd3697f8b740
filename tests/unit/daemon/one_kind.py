"""A memory with one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.daemon.memory import Memory, RememberedKind


class OneKind:
    """A memory of one kind, and what it logs."""

    def __init__(self, directory: Path, kind: RememberedKind[Any]) -> None:
        log = CapturingLogger()
        self.lines: list[Any] = log.calls
        self._kind = kind
        self._log = cast(FilteringBoundLogger, log)
        self.memory = Memory(directory, [kind], self._log)

    def recall(self) -> None:
        self._kind.recall(self._log)

    def save(self) -> None:
        self.memory.save()
