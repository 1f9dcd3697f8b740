"""Lines that cannot be written, or that nobody reads, keep nobody waiting: they wait themselves, to a limit."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.waiting import wait_until
from treecast.adapters import clock
from treecast.adapters.standard_streams import lead_nowhere
from treecast.base.time import Instant
from treecast.daemon.line_writer import LOST_FOR, MAX_WAITING_BYTES, UNREAD_AFTER, LineWriter

LIMIT_S = 10.0


def _writer(descriptor: int) -> LineWriter:
    return LineWriter(descriptor, "stderr", "the log (stderr)")


def _problem(writer: LineWriter, later: float = 0.0) -> str:
    """The text of its only problem; empty for none."""
    texts = [problem.text for problem in writer.problems(Instant(clock.monotonic() + later))]
    assert len(texts) <= 1
    return "".join(texts)


def _write_the_rest_nowhere(writer: LineWriter, descriptor: int) -> None:
    """Makes it write nowhere before the descriptor is closed: a later try would go to the next file of that number."""
    lead_nowhere(descriptor)
    wait_until(lambda: writer.flush(0.1), LIMIT_S)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):
            os.close(descriptor)


def test_lines_are_written_in_their_order(pipe: tuple[int, int]) -> None:
    writer = _writer(pipe[1])
    for number in range(1000):
        writer.write(f"{number}")
    assert writer.flush(LIMIT_S)
    assert os.read(pipe[0], 65_536).decode().split() == [str(number) for number in range(1000)]
    assert (_problem(writer, UNREAD_AFTER), writer.take_lost()) == ("", 0)


def test_a_line_with_half_a_surrogate_is_written(pipe: tuple[int, int]) -> None:
    writer = _writer(pipe[1])
    writer.write(os.fsdecode(b"n\xff"))
    assert writer.flush(LIMIT_S)
    assert os.read(pipe[0], 100) == b"n\\udcff\n"


def test_a_full_disk_is_a_problem_with_what_to_do() -> None:
    with Path("/dev/full").open("wb") as full:
        writer = _writer(full.fileno())
        writer.write("one")
        assert not writer.flush(LIMIT_S)
        text = _problem(writer)
        _write_the_rest_nowhere(writer, full.fileno())
    assert "no space left on device" in text
    assert "free some space" in text
    assert "wait: 1, lost: 0" in text


def test_a_pipe_whose_reader_has_ended_is_a_problem_with_what_to_do(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    writer = _writer(pipe[1])
    writer.write("one")
    assert not writer.flush(LIMIT_S)
    assert "broken pipe" in _problem(writer)
    assert "start the node again" in _problem(writer)
    _write_the_rest_nowhere(writer, pipe[1])


def test_a_terminal_that_is_gone_is_a_problem_with_what_to_do() -> None:
    master, terminal = os.openpty()
    os.close(master)
    writer = _writer(terminal)
    writer.write("one")
    assert not writer.flush(LIMIT_S)
    assert "its terminal or its disk is gone" in _problem(writer)
    _write_the_rest_nowhere(writer, terminal)
    os.close(terminal)


def test_lines_that_nobody_reads_wait_and_are_written_when_somebody_does(pipe: tuple[int, int]) -> None:
    size = fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    writer, line = _writer(pipe[1]), "x" * 99
    for _ in range(2 * size // 100):
        writer.write(line)
    assert not writer.flush(0.1)
    assert _problem(writer) == ""
    assert "nobody reads the log (stderr)" in _problem(writer, UNREAD_AFTER)
    got = b""
    while got.count(b"\n") < 2 * size // 100:
        got += os.read(pipe[0], 65_536)
    assert writer.flush(LIMIT_S)
    assert set(got.decode().split()) == {line}
    assert (_problem(writer, UNREAD_AFTER), writer.take_lost()) == ("", 0)


def test_a_stream_that_another_program_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe[1], False)
    writer = _writer(pipe[1])
    for number in range(2000):
        writer.write(f"{number}")
    got = b""
    while got.count(b"\n") < 2000:
        got += os.read(pipe[0], 65_536)
    assert got.decode().split() == [str(number) for number in range(2000)]


def test_lines_beyond_the_limit_are_lost_and_counted(pipe: tuple[int, int]) -> None:
    writer, line = _writer(pipe[1]), "x" * 9_999
    fit = MAX_WAITING_BYTES // 10_000
    for _ in range(fit + 50):
        writer.write(line)
    lost = writer.take_lost()
    assert 50 - 65_536 // 10_000 - 1 <= lost <= 50
    assert writer.take_lost() == 0
    assert f"lost: {lost}" in _problem(writer, UNREAD_AFTER)
    left = (fit + 50 - lost) * 10_000
    while left:
        left -= len(os.read(pipe[0], 65_536))
    assert writer.flush(LIMIT_S)
    assert "longer than could be written" in _problem(writer)
    assert _problem(writer, LOST_FOR) == ""


def test_what_a_full_disk_refused_is_written_whole_when_there_is_room_again(tmp_path: Path) -> None:
    with _largest_file(100), (tmp_path / "log").open("ab", buffering=0) as file:
        writer = _writer(file.fileno())
        for number in range(30):
            writer.write(f"line {number:2}")
        assert not writer.flush(LIMIT_S)
        assert os.strerror(errno.EFBIG).lower() in _problem(writer)
        with _largest_file(resource.RLIM_INFINITY):
            wait_until(lambda: writer.flush(0.1), LIMIT_S)
        assert _problem(writer, UNREAD_AFTER) == ""
    assert (tmp_path / "log").read_text() == "".join(f"line {number:2}\n" for number in range(30))


def test_a_forked_process_writes_its_own_lines_only(pipe: tuple[int, int]) -> None:
    reader, end = os.pipe()
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    writer = _writer(end)
    writer.write("x" * 9_000)  # its thread waits in the kernel
    pid = os.fork()
    if pid == 0:
        writer.begin_anew()
        os.dup2(pipe[1], end)
        writer.write("of the child")
        os._exit(0 if writer.flush(LIMIT_S) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(pipe[0], 100) == b"of the child\n"
    left = 9_001
    while left:
        left -= len(os.read(reader, 65_536))
    for descriptor in (reader, end):
        os.close(descriptor)


def test_the_thread_that_writes_has_no_capabilities(pipe: tuple[int, int]) -> None:
    writer = _writer(pipe[1])
    writer.write("one")
    assert writer.flush(LIMIT_S)
    (thread,) = [thread for thread in threading.enumerate() if thread is writer._thread]
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text(encoding="ascii")
    assert "CapEff:\t0000000000000000" in status


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Limits files to this many bytes: more is refused, as a full disk refuses it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, was)
