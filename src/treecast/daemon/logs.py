"""Structured lines on stderr, one event each. The level can be changed while they are written."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Threshold:
    """A processor that drops the lines below a level, a key of LEVELS."""

    def __init__(self, level: str) -> None:
        self.level = level

    def __call__(self, _: Any, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if LEVELS.get(method, logging.CRITICAL) < LEVELS[self.level]:
            raise structlog.DropEvent
        return line


_threshold = Threshold("info")


def configure(level: str) -> FilteringBoundLogger:
    """``level`` is a key of LEVELS. The lines are logfmt: ``timestamp=... level=info event=... key=value``."""
    set_level(level)
    structlog.configure(
        processors=[
            _threshold,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
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
