"""Commands that the data plane has refused go back to the rooms that gave them, which undo them or try again.

Without this the tables of both sides would differ until the node ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

from treecast.base.commands import (
    Command,
    CreateTree,
    InstallSession,
    MakeKey,
    OfferKey,
    OfferTree,
    SetHost,
    SetPortGroup,
    SetPrefixRoute,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.downstream_commands import AcceptKey, AcceptTree
from treecast.base.events import CommandRefusalReason, CommandRefused
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.engine.faults import Faults
from treecast.engine.following import Following
from treecast.engine.rooms import Rooms

OF_PORTS = tuple(command for command in get_args(Command) if "port" in command.__struct_fields__)
"""Their port may have been closed meanwhile."""


class CommandRefusals:
    """Carries refused commands back to their rooms. Counted as ``command_refused``."""

    def __init__(self, rooms: Rooms, following: Following, faults: Faults) -> None:
        self._rooms = rooms
        self._following = following
        self._faults = faults

    def take(self, now: Instant, refused: CommandRefused) -> None:
        """A command that was not carried out."""
        command, reason = refused.command, refused.reason
        if isinstance(command, AcceptKey | AcceptTree) and reason is CommandRefusalReason.UNKNOWN:
            self._offer_is_gone(command)
            return
        self._rooms.drops.count("command_refused")
        is_bug = reason is CommandRefusalReason.INVALID and not isinstance(command, OF_PORTS)
        if is_bug and refused.error is not None:
            self._faults.note(type(command).__name__, refused.error)
        match command:
            case InstallSession():
                self._following.links(now, self._rooms.links.refused(now, command))
            case SetHost():
                self._rooms.discovery.refused(now, command)
            case (
                CreateTree()
                | SetRoute()
                | SetPrefixRoute()
                | SetTreeMembers()
                | MakeKey()
                | UseKey()
                | OfferKey()
                | OfferTree()
            ):
                self._rooms.root_trees.refused(now, command)
            case AcceptKey():
                self._rooms.downstream_trees.refused(command, reason)
            case AcceptTree():
                self._rooms.tree_states.refused(command, reason)
            case SetPortGroup():
                self._rooms.port_groups.refused(now, command)
            case _:
                pass  # of a port that was closed meanwhile, or one datagram or frame that is lost

    def _offer_is_gone(self, command: AcceptKey | AcceptTree) -> None:
        """One that came twice was judged the first time; one of a root that has begun anew since is no more."""
        if isinstance(command, AcceptKey):
            self._rooms.downstream_trees.refused(command, CommandRefusalReason.UNKNOWN)

    def problems(self) -> Iterator[Problem]:
        """Tables that are full."""
        rooms = self._rooms
        tried_again = (rooms.discovery.retries, rooms.root_trees.refused_trees.retries, rooms.port_groups.retries)
        hosts, trees, groups = (len(retries) for retries in tried_again)
        if hosts:
            what = f"{hosts} hosts of other nodes{self._most_hosts()}"
            yield _full("hosts", what, "frames for them are flooded or dropped")
        if trees:
            what = f"trees of {trees} groups and sources that other nodes want{self._most()}"
            yield _full("trees", what, "frames that hosts here send to them are dropped")
        if groups:
            what = f"{groups} groups of ports{self._most_groups()}"
            yield _full("port groups", what, "these ports do not get them")

    def _most(self) -> str:
        """The node that wants most groups, in words."""
        found = self._rooms.topology.table.with_most()
        return "" if found is None else f" ({self._rooms.nodes.name(found[0])} wants most: {found[1]})"

    def _most_hosts(self) -> str:
        """The other node with most hosts, in words."""
        found = self._rooms.discovery.with_most_hosts()
        return "" if found is None else f" ({self._rooms.nodes.name(found[0])} has most: {found[1]})"

    def _most_groups(self) -> str:
        """The port with most groups for which there is no room, in words."""
        ports = Counter(port for port, _ in self._rooms.port_groups.retries)
        ((port, count),) = ports.most_common(1)
        return f" ({self._rooms.ports.name(port)} has most: {count})"


def _full(table: str, what: str, meanwhile: str) -> Problem:
    return Problem(
        "table_full",
        table,
        f"the table of {table} has no room for {what}: {meanwhile} until others leave; find out which node or LAN "
        f"announces so many (treecast hosts, treecast groups)",
    )
