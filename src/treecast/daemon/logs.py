"""Structured lines on stderr, one event each. The level can be changed while they are written.

Nobody waits for a line to be written, and none that cannot be written is an error of whoever logs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from treecast.adapters.account import Account
from treecast.adapters.standard_streams import STDERR, STDOUT, are_one, lead_nowhere
from treecast.base.counters import Drops
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.line_writer import LineWriter
from treecast.daemon.log_lines import Log, line

LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}

LAST_LINES_WAIT: Duration = 2.0

_writer = LineWriter(STDERR, "stderr", "the log (stderr)")
os.register_at_fork(after_in_child=_writer.begin_anew)


class _Lines:
    """The log: lines from a level on, a key of LEVELS."""

    def __init__(self, level: str) -> None:
        self.level = level

    def debug(self, event: str, **values: object) -> None:
        self._write("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        self._write("error", event, values)

    def exception(self, event: str, **values: object) -> None:
        self._write("error", event, values | {"exc_info": sys.exception()})

    def _write(self, level: str, event: str, values: dict[str, object]) -> None:
        if LEVELS[level] >= LEVELS[self.level]:
            _writer.write(line(datetime.now(UTC), level, event, values))


_log = _Lines("info")


def configure(level: str, account: Account | None = None) -> Log:
    """``level`` is a key of LEVELS, ``account`` that of the thread that writes."""
    set_level(level)
    _writer.account = account
    return _log


def set_level(level: str) -> None:
    """Log from this level on, a key of LEVELS."""
    _log.level = level


def change_level(level: str) -> None:
    """Log from this level on, and a line about that, which the lower of both levels lets through."""
    before = present_level()
    set_level(min(before, level, key=LEVELS.__getitem__))
    _log.warning("log level changed", level_before=before, level_now=level)
    set_level(level)


def present_level() -> str:
    """The level in force: it is logged, and all above it."""
    return _log.level


def problems(drops: Drops, now: Instant) -> Iterator[Problem]:
    """Lines are not written; those that are lost are counted in ``drops``."""
    lost = _writer.take_lost()
    if lost:
        drops.count("log_line_lost", lost)
    yield from _writer.problems(now)


def writer_of_ready() -> LineWriter:
    """The writer of the line ``ready`` to stdout: the log's own, where both go to one place, for its trouble is one."""
    return _writer if are_one(STDOUT, STDERR) else LineWriter(STDOUT, "stdout", "the line ready (stdout)")


def flush() -> bool:
    """Wait for the last lines, for a while. False: some are not written."""
    return _writer.flush(LAST_LINES_WAIT)


def finish() -> None:
    """Writes what is left before the process ends; where it cannot, a sentence or traceback would wait as well."""
    if not flush():
        lead_nowhere(STDERR)
