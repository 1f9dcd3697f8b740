"""Lines for a descriptor that may refuse them, or that nobody reads: written by a thread of their own.

Whoever writes a line never waits and never gets an error. Lines wait in order, to a limit, and are written when that
is possible again; those beyond the limit are lost, and counted.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from treecast.adapters import clock
from treecast.adapters.account import Account
from treecast.adapters.privileges import drop_capabilities, take_account
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

MAX_WAITING_BYTES = 1_000_000
MAX_WRITE_BYTES = 65_536
RETRY_PAUSE: Duration = 1.0
UNREAD_AFTER: Duration = 3.0
LOST_FOR: Duration = 60.0
"""The problem goes on for so long after the last line was lost."""

_ELSEWHERE = "start the node again, with its output to a file or a program that stays"
_NO_SPACE = "free some space there: what waits is written then"
_ADVICE = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EPIPE: f"the program that read it has ended: {_ELSEWHERE}",
    errno.EIO: f"its terminal or its disk is gone: {_ELSEWHERE}",
}


class LineWriter:
    """``what``: the lines and where they go, for people. ``name``: of the stream."""

    def __init__(self, descriptor: int, name: str, what: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._what = what
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin anew in a process that was forked: the thread and what waits are those of the process before."""
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._waits_since: Instant | None = None
        self._error: OSError | None = None
        self._failures = 0
        self._lost = 0
        self._lost_taken = 0
        self._lost_at: Instant | None = None
        self._thread: threading.Thread | None = None
        self.account: Account | None = None
        """The account that the thread is to be of; None: the same as now."""

    def write(self, line: str) -> None:
        """Put one line behind those that wait. Any thread."""
        data = f"{line}\n".encode(errors="backslashreplace")
        now = clock.monotonic()
        with self._changed:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                self._lost += 1
                self._lost_at = now
                return
            if not self._waiting:
                self._waits_since = now
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def flush(self, limit: Duration) -> bool:
        """Wait until all is written, while some is within each ``limit``, and no longer than until the next failure."""
        with self._changed:
            failures = self._failures
            self._changed.notify_all()
            waiting_bytes, deadline = self._waiting_bytes, clock.monotonic() + limit
            while self._waiting and self._failures == failures:
                if self._waiting_bytes < waiting_bytes:
                    waiting_bytes, deadline = self._waiting_bytes, clock.monotonic() + limit
                left = deadline - clock.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return not self._waiting

    def take_lost(self) -> int:
        """How many lines were lost since the last call."""
        with self._changed:
            lost = self._lost - self._lost_taken
            self._lost_taken = self._lost
            return lost

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Lines are not written, or some were lost of late."""
        with self._changed:
            text = self._trouble(now)
        if text is not None:
            yield Problem("log_unwritable", self._name, text)

    def _trouble(self, now: Instant) -> str | None:
        state = f"lines that wait: {len(self._waiting)}, lost: {self._lost}"
        if self._error is not None:
            reason = os.strerror(self._error.errno or 0).lower()
            advice = _ADVICE.get(self._error.errno or 0, _ELSEWHERE)
            return f"{self._what} cannot be written ({reason}; {state}): {advice}"
        if self._waits_since is not None and now - self._waits_since >= UNREAD_AFTER:
            return (
                f"nobody reads {self._what} ({state}): let its reader go on (Ctrl-Q in a terminal, the end of a "
                f"pager's page), or {_ELSEWHERE}"
            )
        if self._lost_at is not None and now - self._lost_at < LOST_FOR:
            return f"{self._what} was longer than could be written ({state}): choose a higher treecast log-level"
        return None

    def _start(self) -> None:
        thread = threading.Thread(target=self._write_for_ever, name=f"treecast-{self._name}", daemon=True)
        with suppress(RuntimeError):  # no room for a thread now: the next line tries again
            thread.start()
            self._thread = thread

    def _write_for_ever(self) -> None:
        with suppress(OSError):  # the process may have privileges yet; the descriptor is open
            if self.account is not None:
                take_account(self.account)
            drop_capabilities()
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                data = self._next()
            try:
                written = os.write(self._descriptor, data)
            except BlockingIOError:  # somebody has made it so: it counts as unread
                _wait_until_writable(self._descriptor)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._failures += 1
                    self._changed.notify_all()
                    self._changed.wait(RETRY_PAUSE)
            else:
                self._written(written)

    def _next(self) -> bytes:
        """The lines that go in one write."""
        lines, size = [self._waiting[0]], len(self._waiting[0])
        for line in islice(self._waiting, 1, None):
            size += len(line)
            if size > MAX_WRITE_BYTES:
                break
            lines.append(line)
        return b"".join(lines)

    def _written(self, size: int) -> None:
        with self._changed:
            self._error = None
            self._waiting_bytes -= size
            while size:
                line = self._waiting.popleft()
                if len(line) > size:
                    self._waiting.appendleft(line[size:])
                size -= min(size, len(line))
            self._waits_since = clock.monotonic() if self._waiting else None
            self._changed.notify_all()


def _wait_until_writable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll(RETRY_PAUSE * 1000)
