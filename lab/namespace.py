"""One network namespace: made, entered, removed.

Namespaces have names under /run/netns, as ``ip netns`` uses them, so that a person can look into a lab that runs
(``ip netns exec NAME ss -u``) and so that the next lab finds what a killed one has left behind.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute, netns

DIRECTORY = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A named network namespace that this process has made and holds open."""

    def __init__(self, name: str) -> None:
        """Makes it; FileExistsError when the name is taken."""
        self.name = name
        _in_a_thread_of_its_own(lambda: _unshare_and_name(name))
        self._fd = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
        self._netlink: IPRoute | None = None
        self._let_bridges_pass_all()

    def _let_bridges_pass_all(self) -> None:
        """Where a container engine has loaded br_netfilter, bridges would drop what is no plain IP packet."""
        with self.enter():
            for switch in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
                switch.write_text("0", encoding="ascii")

    @property
    def fd(self) -> int:
        """An open descriptor of the namespace, for netlink's ``net_ns_fd``."""
        return self._fd

    @contextmanager
    def enter(self) -> Iterator[None]:
        """The calling thread is in the namespace for the length of the block; other threads are not moved.

        Sockets opened and processes started inside stay in the namespace afterwards.
        """
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            netns.setns(self._fd, fork=False)
            try:
                yield
            finally:
                netns.setns(before, fork=False)
        finally:
            os.close(before)

    @property
    def netlink(self) -> IPRoute:
        """A netlink socket of the namespace, opened at the first use."""
        if self._netlink is None:
            with self.enter():
                self._netlink = IPRoute()
        return self._netlink

    def sysctl(self, key: str, value: int | str) -> None:
        """Writes ``net/...`` under /proc/sys as seen from inside."""
        with self.enter():
            Path("/proc/sys", key).write_text(str(value), encoding="ascii")

    def close(self) -> None:
        """Removes the name; the kernel frees the namespace with its last process and socket."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        remove(self.name)


def remove(name: str) -> None:
    """Removes a namespace's name; nothing happens when there is none."""
    if (DIRECTORY / name).exists():
        netns.remove(name)


def names() -> list[str]:
    """The names of all namespaces of this machine, sorted."""
    return sorted(netns.listnetns())


def processes_in(namespaces: list[str]) -> list[int]:
    """The pids of the processes that are in one of these namespaces, this process never among them."""
    wanted = {_inode(DIRECTORY / name) for name in namespaces} - {None}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _inode(Path(f"/proc/{pid}/ns/net")) in wanted]


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:  # the process has ended, the namespace has gone
        return None
    return (status.st_dev, status.st_ino)


def _unshare_and_name(name: str) -> None:
    if _libc.unshare(CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"a network namespace needs root: {os.strerror(error)}")
    netns.attach(name, threading.get_native_id())


def _in_a_thread_of_its_own(work: Callable[[], None]) -> None:
    """Runs ``work`` in a thread that ends with it: unshare(2) moves a thread for good. Raises what it raises."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(work).result()
