"""Names of a lab's things, and removing those whose lab was killed.

Namespaces and directories of a lab begin with ``tcPID.START-``: the owner's pid, and the clock tick it was started at
(proc_pid_stat(5), field 22), so that a pid that was used again is not taken for the owner.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from lab import namespace
from lab.waiting import wait_until

OWNED = re.compile(r"tc(?P<pid>\d+)\.(?P<start>\d+)-")
KILL_LIMIT_S = 5.0
_serials = itertools.count()


def new_prefix() -> str:
    """A prefix for one lab of this process: ``tcPID.START-N``."""
    return f"tc{os.getpid()}.{_start_tick(os.getpid())}-{next(_serials)}"


def remove_leftovers() -> list[str]:
    """Removes namespaces, their processes and directories of labs whose owner is dead: the namespaces' names."""
    left = [name for name in namespace.names() if _is_orphan(name)]
    kill_all_in(left)
    for name in left:
        with suppress(FileNotFoundError):  # another lab that starts now was quicker
            namespace.remove(name)
    for directory in Path(tempfile.gettempdir()).iterdir():
        if _is_orphan(directory.name):
            shutil.rmtree(directory, ignore_errors=True)
    return left


def kill_all_in(namespaces: list[str]) -> None:
    """Ends every process that is in one of these namespaces, and waits until none is."""
    present = [name for name in namespaces if (namespace.DIRECTORY / name).exists()]

    def all_ended() -> bool:
        pids = namespace.processes_in(present)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    if present:
        wait_until(all_ended, KILL_LIMIT_S, f"the processes in {', '.join(present)} have ended")


def _is_orphan(name: str) -> bool:
    owned = OWNED.match(name)
    return owned is not None and _start_tick(int(owned["pid"])) != int(owned["start"])


def _start_tick(pid: int) -> int:
    """The start of the process, in clock ticks since boot; -1 when there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])
