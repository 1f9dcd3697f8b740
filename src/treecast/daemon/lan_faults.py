"""Faults that keep a LAN from being carried although its port is as ``bridge.json`` has it: interfaces down, unplugged.

A few system calls for each interface, no netlink.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from treecast.adapters.netdevice import IFF_RUNNING, IFF_UP, flags_of, index_of
from treecast.base.problems import Problem
from treecast.base.time import Duration

GRACE: Duration = 3.0
"""``bridge add`` is done by then, and a cable that was put into another socket carries again."""


def lan_down(lan: str, bridge: str = "") -> Iterator[Problem]:
    """``lan``: the interface that leads to the LAN; ``bridge``: what it is in, empty for a packet port."""
    lost = f"so the LAN of {lan} is not carried"
    for name in (bridge, lan) if bridge else (lan,):
        flags = flags_of(name)
        if not index_of(name):
            return  # and that is said already
        if not flags & IFF_UP:
            yield Problem("lan_down", name, f"{name} is down, {lost}: ip link set {name} up", patience=GRACE)
            return
    if not flags & IFF_RUNNING:
        advice = "see to its cable, and to what is at the other end of it"
        yield Problem("lan_down", lan, f"{lan} is unplugged (it has no carrier), {lost}: {advice}", patience=GRACE)


def renamed(directory: Path, before: str, now: str, *options: str) -> Problem:
    """Of an interface that leads to a LAN, which is carried under any name. ``directory``: the node's; ``options``:
    with which the interface was added.
    """
    text = f"{before} is called {now} now; its LAN is carried, but the node's next start and programs look for {before}"
    add = " ".join(("treecast bridge add", str(directory), now, *options))
    adopt = f"{add} has the node remember {now}, and this gives it its old name back"
    command = f"ip link set {now} down && ip link set {now} name {before} && ip link set {before} up"
    return Problem("interface_renamed", now, f"{text}; {adopt}: {command}", patience=GRACE)
