"""The level of the log changes while lines are written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from treecast.daemon import logs


def _written(streams: pytest.CaptureFixture[str]) -> list[str]:
    assert logs.flush()
    return streams.readouterr().err.splitlines()


def test_lines_below_the_present_level_are_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    log = logs.configure("info")
    log.debug("one")
    log.info("two")
    logs.set_level("debug")
    log.debug("three")
    logs.set_level("error")
    log.warning("four")
    log.error("five")
    assert [line.rsplit("event=", 1)[1] for line in _written(capfd)] == ["two", "three", "five"]
    assert logs.present_level() == "error"
    logs.set_level("info")


def test_a_change_of_the_level_is_a_line_whichever_way_it_goes(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    for level in ("error", "debug", "warning", "warning"):
        logs.change_level(level)
        assert logs.present_level() == level
    lines = [line.split("event=", 1)[1] for line in _written(capfd)]
    changes = [("info", "error"), ("error", "debug"), ("debug", "warning"), ("warning", "warning")]
    assert lines == [f'"log level changed" level_before={before} level_now={now}' for before, now in changes]
    logs.set_level("info")


_ENDS = """
from treecast.daemon import logs
log = logs.configure("info")
try:
    for number in range(3000):
        log.info(f"line {number}")
    raise ValueError("a crash")
finally:
    logs.finish()
"""


def test_the_last_lines_are_written_before_a_crash_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", _ENDS], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    lines = done.stderr.splitlines()
    assert [line.rsplit(" ", 1)[1].rstrip('"') for line in lines[:3000]] == [str(number) for number in range(3000)]
    assert (done.returncode, lines[-1]) == (1, "ValueError: a crash")


@pytest.mark.parametrize("end", ["unread", "no reader"])
def test_a_process_ends_though_nobody_reads_its_last_lines(end: str) -> None:
    reader, writer = os.pipe()
    if end == "no reader":
        os.close(reader)
    done = subprocess.run([sys.executable, "-c", _ENDS], stderr=writer, check=False, timeout=60)
    os.close(writer)
    if end == "unread":
        os.close(reader)
    assert done.returncode == 1


_TROUBLE = """
import sys
from pathlib import Path
from treecast.adapters import clock
from treecast.base.counters import Drops
from treecast.daemon import logs
from treecast.daemon.line_writer import UNREAD_AFTER
ready, log = logs.writer_of_ready(), logs.configure("info")
ready.write("x" * 200_000)
log.info("x" * 200_000)
later = clock.monotonic() + UNREAD_AFTER
problems = [*ready.problems(later), *logs.problems(Drops(), later)]
Path(sys.argv[1]).write_text(" ".join(sorted({problem.subject for problem in problems})))
"""


@pytest.mark.parametrize(("is_one", "said"), [(True, "stderr"), (False, "stderr stdout")])
def test_one_pipe_for_both_streams_that_nobody_reads_is_one_problem(is_one: bool, said: str, tmp_path: Path) -> None:
    """Two pipes are two."""
    ends = [os.pipe(), os.pipe()]
    (_, out), (_, err) = (ends[0], ends[0]) if is_one else ends
    found = tmp_path / "found"
    subprocess.run([sys.executable, "-c", _TROUBLE, found], stdout=out, stderr=err, check=True, timeout=60)
    for end in (end for pair in ends for end in pair):
        os.close(end)
    assert found.read_text() == said
