"""A program that runs on a machine of the lab: started in a process group of its own, ended by its pid."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

Argument = str | Path
Stream = Path | int | IO[bytes] | None

READ_BYTES = 65536


class Process:
    """A running program. Its standard input is empty; a stream given as a Path is written to that file."""

    def __init__(
        self,
        namespace: str,
        command: Sequence[Argument],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Starts it. ``ip netns exec`` becomes the program (same pid), with /sys of the namespace mounted.

        ``env`` is added to this process's environment.
        """
        self.command = tuple(str(argument) for argument in command)
        opened = [_open(stream) for stream in (stdout, stderr)]
        self._popen = subprocess.Popen(
            in_namespace(namespace, self.command),
            stdin=stdin if not isinstance(stdin, Path) else subprocess.DEVNULL,
            stdout=opened[0],
            stderr=opened[1],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            process_group=0,
            bufsize=0,
        )
        for mine, stream in zip((stdout, stderr), opened, strict=True):
            if isinstance(mine, Path) and stream is not None and not isinstance(stream, int):
                stream.close()
        self._unread = b""

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number when a signal ended it, None while it runs."""
        return self._popen.poll()

    def read_line(self, limit_s: float) -> str:
        """The next line of stdout (started with ``stdout=PIPE``), without its end.

        TimeoutError when there is none within ``limit_s``, EOFError when stdout has ended.
        """
        stdout = self._popen.stdout
        if stdout is None:
            raise ValueError("started without stdout=PIPE")
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._unread:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no line from {self.command[0]} within {limit_s:g} s")
            more = os.read(stdout.fileno(), READ_BYTES)
            if not more:
                raise EOFError(f"{self.command[0]} ended ({self.wait(limit_s)}) without a further line")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def kernel_waits(self) -> list[str]:
        """Where in the kernel each of its threads waits; "0": it runs. Empty when it has ended."""
        try:
            return sorted(file.read_text() for file in Path(f"/proc/{self.pid}/task").glob("*/wchan"))
        except OSError:
            return []

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program itself, not to its children; nothing happens when it has ended."""
        self._popen.send_signal(number)

    def wait(self, limit_s: float) -> int:
        """The exit code; TimeoutError when it still runs after ``limit_s``."""
        try:
            return self._popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.command[0]} (pid {self.pid}) still runs after {limit_s:g} s") from None

    def stop(self, limit_s: float = 5.0, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end and waits: the exit code."""
        self.send_signal(number)
        return self.wait(limit_s)

    def kill(self) -> None:
        """Ends it and its process group at once, and collects it."""
        with suppress(ProcessLookupError):
            if self.running:
                os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()


def in_namespace(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line that runs ``command`` in a namespace."""
    return ["ip", "netns", "exec", namespace, *command]


def _open(stream: Stream) -> int | IO[bytes] | None:
    return stream.open("ab") if isinstance(stream, Path) else stream
