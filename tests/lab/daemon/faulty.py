"""``treecast`` with bugs of the test's choice: ``python faulty.py BUG[,BUG] VERB ...``.

Each bug is in one place, where a real one could be: what is below it is the real thing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

from treecast.adapters import interface
from treecast.adapters.native import DataPlane
from treecast.base.events import Event, TapFrame
from treecast.base.time import Instant
from treecast.cli.main import main
from treecast.daemon import answers
from treecast.dataplane.root_trees import RootTrees
from treecast.engine.reception import Reception


class UnforeseenError(RuntimeError):
    """An error that no code expects."""


def _forgetful(*_: object) -> NoReturn:
    """Cannot say which hosts there are."""
    raise UnforeseenError("the hosts")


def put(owner: object, name: str, value: object) -> None:
    """Puts a value in the place of the program's own."""
    setattr(owner, name, value)


def _frames() -> None:
    """Every frame of a host raises."""
    take = Reception.take

    def deaf(reception: Reception, now: Instant, event: Event) -> None:
        if isinstance(event, TapFrame):
            raise UnforeseenError("a frame")
        take(reception, now, event)

    put(Reception, "take", deaf)


def _answers() -> None:
    put(answers, "host_answers", _forgetful)


def _turns() -> None:
    def advance(_: RootTrees, now: Instant) -> NoReturn:
        raise UnforeseenError(f"at {now}")

    put(RootTrees, "advance", advance)


def _worker() -> None:
    """A worker finds at SIGUSR1 that what it waits with is something else."""
    start = DataPlane.start

    def begin(plane: DataPlane) -> None:
        before = _epolls()
        start(plane)
        first = min(_epolls() - before)
        signal.signal(signal.SIGUSR1, lambda *_: os.dup2(os.open(os.devnull, os.O_RDONLY), first))

    put(DataPlane, "start", begin)


def _epolls() -> set[int]:
    return {int(link.name) for link in Path("/proc/self/fd").iterdir() if _target(link) == "anon_inode:[eventpoll]"}


def _target(link: Path) -> str:
    with suppress(OSError):  # of the directory's own listing
        return str(link.readlink())
    return ""


def _netlink() -> None:
    """Two dumps of addresses in the running node are interrupted."""
    left = [NetlinkDumpInterrupted(), NetlinkDumpInterrupted()]

    class Interrupted(IPRoute):  # type: ignore[misc]
        def get_addr(self) -> object:
            if left and threading.current_thread() is not threading.main_thread():
                raise left.pop()
            return IPRoute.__getattr__(self, "get_addr")()

    put(interface, "IPRoute", Interrupted)


def _names() -> None:
    """A name cannot be put in the letters of the DNS."""
    resolve = socket.getaddrinfo

    def refused(host: str, *arguments: Any, **more: Any) -> object:
        if host == "idna.example":
            raise UnicodeError("label empty or too long")
        return resolve(host, *arguments, **more)

    put(socket, "getaddrinfo", refused)


BUGS: dict[str, Callable[[], None]] = {
    "frames": _frames,
    "answers": _answers,
    "turns": _turns,
    "worker": _worker,
    "netlink": _netlink,
    "names": _names,
}

if __name__ == "__main__":
    for bug in filter(None, sys.argv[1].split(",")):
        BUGS[bug]()
    del sys.argv[1]
    main()
