"""Lines of the log, with structlog's renderer of logfmt as the oracle."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.processors import LogfmtRenderer

from treecast.daemon import logs
from treecast.daemon.log_lines import line

_AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
_TEXTS = st.text(st.sampled_from('ab =\\"\n') | st.characters(), max_size=12)
_KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=5).map(lambda name: f"of_{name}")
_VALUES = _TEXTS | st.none() | st.booleans() | st.integers() | st.lists(_TEXTS, max_size=2)
_render = LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)


@given(_TEXTS, st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_lines_are_logfmt(event: str, values: dict[str, Any]) -> None:
    fields = {"timestamp": "2026-01-02T03:04:05.678900Z", "level": "info", "event": event}
    assert line(_AT, "info", event, values) == _render(None, "info", fields | values)
    assert "\n" not in line(_AT, "info", event, values)


def test_an_exception_is_shown_in_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    log = logs.configure("info")
    try:
        int("a bug")
    except ValueError as error:
        log.exception("first")
        met = error
    log.error("second", where="here", exc_info=met)
    assert logs.flush()
    first, second = capfd.readouterr().err.splitlines()
    for written in (first, second):
        assert "level=error" in written
        assert 'exception="Traceback (most recent call last):\\n' in written
        assert written.endswith("ValueError: invalid literal for int() with base 10: 'a bug'\"")
    assert " where=here " in second
