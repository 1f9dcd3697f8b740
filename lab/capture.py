"""Capturing what an interface carries, with nothing missing at either end."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGUSR1
from types import TracebackType

from lab.process import Process
from lab.waiting import wait_until

START_LIMIT_S = 5.0
FLUSH_LIMIT_S = 10.0
KERNEL_BUFFER_KIB = 32768
_COUNTS = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel")


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """tcpdump's own account: written to the file, seen by the filter, lost for want of buffer."""

    captured: int
    received: int
    dropped: int


class Capture:
    """tcpdump as a context manager: it captures before the block begins and has written all before it is left.

    ``counts`` has tcpdump's account after the block; ``counts.dropped`` is 0 when the file is complete.
    """

    def __init__(self, namespace: str, interface: str, path: Path, filter_: str) -> None:
        self.path = path
        self.counts = CaptureCounts(-1, -1, -1)
        self._namespace = namespace
        # Immediate mode: a packet is read as it comes, not when a block of the ring is full. -Z: files stay root's.
        self._command = (
            *("tcpdump", "-i", interface, "-n", "-p", "-U", "--immediate-mode", "-Z", "root"),
            *("-B", str(KERNEL_BUFFER_KIB), "-w", str(path), *([filter_] if filter_ else [])),
        )
        self._process: Process | None = None

    def __enter__(self) -> Capture:
        self._process = Process(self._namespace, self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            # tcpdump says so after the packet socket is bound and its filter set.
            while "listening on" not in self._process.read_line(START_LIMIT_S):
                pass
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        try:
            wait_until(lambda: self._is_flushed(process), FLUSH_LIMIT_S, f"tcpdump has written {self.path}")
            process.stop(FLUSH_LIMIT_S, SIGINT)
        finally:
            process.kill()

    def _is_flushed(self, process: Process) -> bool:
        """All the filter has let through is in the file, and nothing came since the last time this was asked."""
        before = self.counts
        self.counts = self._read_counts(process)
        return self.counts == before and self.counts.captured + self.counts.dropped >= self.counts.received

    def _read_counts(self, process: Process) -> CaptureCounts:
        """tcpdump prints them on SIGUSR1."""
        process.send_signal(SIGUSR1)
        line = process.read_line(FLUSH_LIMIT_S)
        match = _COUNTS.search(line)
        while match is None:
            line = process.read_line(FLUSH_LIMIT_S)
            match = _COUNTS.search(line)
        return CaptureCounts(*(int(count) for count in match.groups()))
