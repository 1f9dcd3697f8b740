"""Groups of each port of this node, as the data plane has them while there are more ports than the TAP.

Alone, the TAP gets every group that comes to this node, for who else should. Beside a packet port each gets what
its own hosts want.
"""

from __future__ import annotations

from collections.abc import Mapping

from treecast.base.commands import Command, SetPortGroup, SetPortSelective
from treecast.base.flows import GroupKey
from treecast.base.ids import TAP
from treecast.base.membership import NO_SOURCE, SourceFilter
from treecast.base.retries import Retries
from treecast.base.time import Instant


class PortGroups:
    """The filters that the data plane has. Methods append to ``commands``; the caller empties it."""

    def __init__(self, *, tap_gets_all: bool = False) -> None:
        """``tap_gets_all``: also beside packet ports, for a router there wants groups by prefixes."""
        self._tap_gets_all = tap_gets_all
        self._installed: dict[int, dict[GroupKey, SourceFilter]] = {}
        self._refused: dict[tuple[int, GroupKey], SourceFilter] = {}
        self.retries: Retries[tuple[int, GroupKey]] = Retries()
        self.commands: list[Command] = []

    def ports(self) -> list[int]:
        """The ports whose changes the data plane gets: none, or the TAP and all packet ports."""
        return sorted(self._installed)

    def open(self, port: int, of_the_tap: Mapping[GroupKey, SourceFilter]) -> None:
        """A packet port is there. ``of_the_tap``: what the hosts on the TAP want."""
        if not self._installed:
            self._installed[TAP] = {}
            for group, wanted in of_the_tap.items():
                self.want(TAP, group, wanted)
            if not self._tap_gets_all:
                self.commands.append(SetPortSelective(TAP, on=True))  # not before: a stream that runs goes on
        self._installed.setdefault(port, {})

    def close(self, port: int) -> None:
        """A packet port is gone, and the data plane has forgotten its groups."""
        self._installed.pop(port, None)
        if set(self._installed) == {TAP}:
            self.commands.append(SetPortSelective(TAP, on=False))
            for group in list(self._installed[TAP]):
                self.want(TAP, group, NO_SOURCE)
            del self._installed[TAP]

    def want_all(self, group: GroupKey, wanted: Mapping[int, SourceFilter]) -> None:
        """The hosts on each port have another filter of a group from now on; those on others want nothing."""
        for port in self.ports():
            self.want(port, group, wanted.get(port, NO_SOURCE))

    def want(self, port: int, group: GroupKey, wanted: SourceFilter) -> None:
        """The hosts on a port have another filter of a group from now on."""
        installed = self._installed[port]
        if self._refused.pop((port, group), None) is not None:
            self.retries.discard((port, group))
        if installed.get(group, NO_SOURCE) == wanted:
            return
        if wanted.wants_nothing:
            del installed[group]
        else:
            installed[group] = wanted
        self.commands.append(SetPortGroup(port, *group, wanted))

    def refused(self, now: Instant, command: SetPortGroup) -> None:
        """The data plane's table is full: the port goes without the group until it is not."""
        group = (command.vlan, command.group)
        installed = self._installed.get(command.port, {})
        if installed.get(group) == command.filter:
            del installed[group]
            self._refused[command.port, group] = command.filter
            self.retries.add(now, (command.port, group))

    def advance(self, now: Instant) -> None:
        """Try again what was refused."""
        for port, group in self.retries.take(now):
            wanted = self._refused.pop((port, group))
            if port in self._installed:
                self.want(port, group, wanted)
