"""Signals that a running node may be sent: each has its place, and a fault of the process itself still ends it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from treecast.adapters.signals import END_SIGNALS, MEANINGLESS_SIGNALS

FAULT_SIGNALS = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)
"""Signals that stay as they are: the process is broken, and SIGABRT is what a watchdog ends one with that hangs."""
HARMLESS = {
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
"""These signals end no process (signal(7)): it stops, goes on, or takes no notice."""

_IGNORING = """
import ctypes, mmap, os, platform, sys
from treecast.adapters.signals import MEANINGLESS_SIGNALS, ignore_meaningless_signals
ignore_meaningless_signals()
for number in MEANINGLESS_SIGNALS:
    os.kill(os.getpid(), number)
print("here", flush=True)
"""
_BREAKPOINT = """
code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write({"x86_64": bytes.fromhex("cc"), "aarch64": bytes.fromhex("000020d4")}[platform.machine()])
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""


def run(program: str) -> tuple[str, int]:
    """Standard output and exit code of a Python program."""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    return done.stdout, done.returncode


def test_every_signal_that_may_be_sent_has_its_place() -> None:
    placed = [*END_SIGNALS, *MEANINGLESS_SIGNALS, *FAULT_SIGNALS, *HARMLESS, signal.SIGKILL]
    assert sorted(placed) == sorted(signal.valid_signals())


def test_signals_that_mean_nothing_end_no_process() -> None:
    assert run(_IGNORING) == ("here\n", 0)


@pytest.mark.parametrize(
    ("fault", "number"),
    [(_BREAKPOINT, signal.SIGTRAP), ("os.abort()", signal.SIGABRT), ("ctypes.string_at(0)", signal.SIGSEGV)],
)
def test_a_fault_of_the_process_itself_ends_it_all_the_same(fault: str, number: int) -> None:
    assert run(_IGNORING + fault) == ("here\n", -number)
