"""A log as all that logs sees it, and what a line of it looks like: logfmt, one event each.

Logging libraries import terminals and their colours, a tenth of a node's start, for what is a page here.
"""

from __future__ import annotations

import traceback
from datetime import datetime
from typing import Protocol


class Log(Protocol):
    """A method per level. The values become ``key=value``, behind the event; ``exc_info`` is an exception to show."""

    def debug(self, event: str, **values: object) -> object: ...
    def info(self, event: str, **values: object) -> object: ...
    def warning(self, event: str, **values: object) -> object: ...
    def error(self, event: str, **values: object) -> object: ...
    def exception(self, event: str, **values: object) -> object:
        """An error, with the exception that is being handled."""


def line(at: datetime, level: str, event: str, values: dict[str, object]) -> str:
    """``timestamp=... level=info event=... key=value``, in one line; ``at`` is in UTC."""
    values = dict(values)
    error = values.pop("exc_info", None)
    if isinstance(error, BaseException):
        values["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
    stamp = at.replace(tzinfo=None).isoformat() + "Z"
    fields = {"timestamp": stamp, "level": level, "event": event, **values}
    return " ".join(_field(key, value) for key, value in fields.items())


def _field(key: str, value: object) -> str:
    """A flag that is set is its key alone; quotes only where a value could be taken for something else."""
    if value is None:
        return f"{key}="
    if isinstance(value, bool):
        return key if value else f"{key}=false"
    text = str(value)
    quoted = any(mark in text for mark in ' ="')
    if quoted:
        text = text.replace("\\", "\\\\")
    text = text.replace('"', '\\"').replace("\n", "\\n")
    return f'{key}="{text}"' if quoted else f"{key}={text}"
