"""Structured lines on stderr, one event each. The level can be changed while they are written.

Nobody waits for a line to be written, and none that cannot be written is an error of whoever logs it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from treecast.adapters.account import Account
from treecast.adapters.standard_streams import STDERR, STDOUT, are_one, lead_nowhere
from treecast.base.counters import Drops
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.line_writer import LineWriter

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


LAST_LINES_WAIT: Duration = 2.0

_writer = LineWriter(STDERR, "stderr", "the log (stderr)")
os.register_at_fork(after_in_child=_writer.begin_anew)


class _Lines:
    """A structlog logger: a method per level."""

    def msg(self, line: str) -> None:
        _writer.write(line)

    debug = info = warning = error = critical = exception = log = msg


class Threshold:
    """A processor that drops the lines below a level, a key of LEVELS."""

    def __init__(self, level: str) -> None:
        self.level = level

    def __call__(self, _: Any, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if LEVELS.get(method, logging.CRITICAL) < LEVELS[self.level]:
            raise structlog.DropEvent
        return line


_threshold = Threshold("info")


def configure(level: str, account: Account | None = None) -> FilteringBoundLogger:
    """``level`` is a key of LEVELS, ``account`` that of the thread that writes.

    The lines are logfmt: ``timestamp=... level=info event=... key=value``.
    """
    set_level(level)
    _writer.account = account
    structlog.configure(
        processors=[
            _threshold,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def set_level(level: str) -> None:
    """Log from this level on, a key of LEVELS."""
    _threshold.level = level


def change_level(level: str) -> None:
    """Log from this level on, and a line about that, which the lower of both levels lets through."""
    before = present_level()
    set_level(min(before, level, key=LEVELS.__getitem__))
    structlog.get_logger().warning("log level changed", level_before=before, level_now=level)
    set_level(level)


def present_level() -> str:
    """The level in force: it is logged, and all above it."""
    return _threshold.level


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
    """Before the process ends. Where the last lines cannot be written, a sentence or a traceback would wait as well."""
    if not flush():
        lead_nowhere(STDERR)
