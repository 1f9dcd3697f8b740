"""A small process that gives the node's interface back what it has lost: addresses, routes.

The daemon gives up its capabilities at its start, so it cannot. This process keeps one, CAP_NET_ADMIN; it reads nothing
but the kernel's events about this interface, and ends with the daemon, however that ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from treecast.adapters import clock
from treecast.adapters.account import Account
from treecast.adapters.bridge import put_back_on_bridge
from treecast.adapters.interface import Interface, Settings
from treecast.adapters.interface_events import InterfaceEvents
from treecast.adapters.netdevice import index_of, name_of
from treecast.adapters.privileges import CAP_NET_ADMIN, keep_only
from treecast.adapters.put_back import PutBack
from treecast.adapters.signals import END_SIGNALS
from treecast.adapters.sysfs import ipv6_is_off, master_of
from treecast.base.errors import OperatorError
from treecast.base.time import Duration, Instant
from treecast.daemon import logs
from treecast.daemon.log_lines import Log

SETTLE_TIME: Duration = 0.2
"""Others may be in the middle of a change: a bridge takes addresses over, a script replaces them."""
MOST_PATIENCE: Duration = 64.0
LOOK_INTERVAL: Duration = 2.0
"""The interval of looks for IPv6 where somebody has switched it off: one file is read."""
FORGIVEN_AFTER: Duration = 120.0
"""A program that takes away again and again what is given back gets it back ever later."""
_HIGHEST_DESCRIPTOR = 2**16


class InterfaceKeeper:
    """Started by a thread that has CAP_NET_ADMIN, while the process has no other."""

    def __init__(
        self,
        interface: str,
        settings: Settings,
        directory: Path,
        account: Account | None,
        log: Log,
    ) -> None:
        """``directory``: the node's, whose ``bridge.json`` has what a bridge has of the interface's; ``account``: whose
        process it is to be, or None: the same as now.
        """
        reader, self._writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _keep_in_child(reader, account, lambda: keep(interface, settings, directory, reader, log), log)
        os.close(reader)

    def is_running(self) -> bool:
        """False once it has ended, which it does by itself only when the interface is gone, or on a fault."""
        if self._pid:
            with suppress(ChildProcessError):
                if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                    return True
            self._pid = 0
        return False

    def close(self) -> None:
        """End it."""
        os.close(self._writer)
        if self._pid:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0


def _keep_in_child(reader: int, account: Account | None, work: Callable[[], None], log: Log) -> None:
    """Runs the keeper, and never returns: what the daemon has open or would do at its end is not this process's."""
    status = 1
    gc.disable()  # to look at all that the daemon has made would make all of it this process's own memory
    try:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the pipe ends it; what the daemon ignores is ignored here, too
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.closerange(3, reader)
        os.closerange(reader + 1, _HIGHEST_DESCRIPTOR)
        with suppress(OSError):
            Path("/proc/self/comm").write_text("treecast-keeper", encoding="ascii")
        keep_only(CAP_NET_ADMIN, account)
        work()
        status = 0
    except Exception:  # a process of its own ends here: nobody above it could log what failed
        log.exception("the keeper of the interface has failed")
    finally:
        logs.flush()
        os._exit(status)


def keep(interface: str, settings: Settings, directory: Path, until: int, log: Log) -> None:
    """Waits until the descriptor ``until`` is readable, or the interface is gone."""
    index = index_of(interface)
    events = InterfaceEvents(index)
    patience = Patience()
    due: Instant | None = clock.monotonic()  # something may have happened before the first event is read
    routes_lost = False
    without_ipv6 = ""  # the interface, or its bridge, while IPv6 is off on it: no event reports when it is on again
    while True:
        timeout = None if due is None else max(due - clock.monotonic(), 0.0)
        if without_ipv6:
            timeout = LOOK_INTERVAL if timeout is None else min(timeout, LOOK_INTERVAL)
        ready, _, _ = select.select([until, events.fileno()], [], [], timeout)
        if until in ready:
            return
        now = clock.monotonic()
        if events.fileno() in ready:
            event = events.read()
            routes_lost |= event.down
            if event.changed and due is None:
                due = patience.next_attempt(now)
        if without_ipv6 and due is None and not ipv6_is_off(without_ipv6):
            due = now
        if due is None or now < due:
            continue
        due = None
        name = name_of(index)
        if not name:
            return
        master = master_of(name) or ""
        events.follow_master(index_of(master))
        without_ipv6 = (master or name) if settings.ipv6 is not None and ipv6_is_off(master or name) else ""
        try:
            put_back: PutBack | None = Interface(name).put_back(settings, routes=routes_lost)
            if put_back is None:
                put_back = put_back_on_bridge(directory, name, routes=routes_lost)
        except OperatorError as error:
            log.warning("what the interface has lost is not put back", interface=name, reason=str(error))
            due = patience.attempted(now)
            continue
        if put_back is not None:
            routes_lost = False
            if put_back:
                patience.attempted(now)
                log.warning(put_back.in_words(), interface=put_back.interface)


class Patience:
    """The time at which to act next: soon, and ever later while it is of no use."""

    def __init__(self) -> None:
        self._wait: Duration = SETTLE_TIME
        self._last: Instant | None = None

    def next_attempt(self, now: Instant) -> Instant:
        if self._last is None or now - self._last > FORGIVEN_AFTER:
            self._wait = SETTLE_TIME
            return Instant(now + self._wait)
        return Instant(max(now + SETTLE_TIME, self._last + self._wait))

    def attempted(self, now: Instant) -> Instant:
        """Something was done now: the next attempt, if needed, no earlier than that."""
        self._last = now
        self._wait = min(self._wait * 2, MOST_PATIENCE)
        return Instant(now + self._wait)
