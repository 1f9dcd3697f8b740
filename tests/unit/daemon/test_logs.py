"""The level of the log changes while lines are written."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from treecast.daemon import logs


def test_lines_below_the_present_level_are_not_written() -> None:
    with redirect_stderr(io.StringIO()) as stderr:
        log = logs.configure("info")
        log.debug("one")
        log.info("two")
        logs.set_level("debug")
        log.debug("three")
        logs.set_level("error")
        log.warning("four")
        log.error("five")
    assert [line.rsplit("event=", 1)[1] for line in stderr.getvalue().splitlines()] == ["two", "three", "five"]
    assert logs.present_level() == "error"
    logs.set_level("info")


def test_a_change_of_the_level_is_a_line_whichever_way_it_goes() -> None:
    with redirect_stderr(io.StringIO()) as stderr:
        logs.configure("info")
        for level in ("error", "debug", "warning", "warning"):
            logs.change_level(level)
            assert logs.present_level() == level
    lines = [line.split("event=", 1)[1] for line in stderr.getvalue().splitlines()]
    changes = [("info", "error"), ("error", "debug"), ("debug", "warning"), ("warning", "warning")]
    assert lines == [f'"log level changed" level_before={before} level_now={now}' for before, now in changes]
    logs.set_level("info")
