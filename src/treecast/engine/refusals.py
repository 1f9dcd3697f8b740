"""Commands that the data plane has refused go back to the rooms that gave them, which undo them or try again.

Without this the tables of both sides would differ until the node ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.commands import (
    AcceptKey,
    CreateTree,
    InstallSession,
    MakeKey,
    OfferKey,
    SetHost,
    SetPortForwarding,
    SetPortGroup,
    SetPortSelective,
    SetPrefixRoute,
    SetRoute,
    SetStormLimits,
    SetTreeMembers,
    SetUnknownUnicastFlood,
    UseKey,
)
from treecast.base.counters import Drops
from treecast.base.events import CommandRefused, RefusalReason
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.port_groups import PortGroups
from treecast.dataplane.root_trees import RootTrees
from treecast.discovery.discovery import Discovery
from treecast.engine.faults import Faults
from treecast.links.links import Links

OF_PORTS = (SetPortForwarding, SetPortGroup, SetPortSelective, SetStormLimits, SetUnknownUnicastFlood)
"""Their port may have been closed meanwhile."""


class Refusals:
    """One node's. Counted as ``command_refused``."""

    def __init__(
        self,
        links: Links,
        discovery: Discovery,
        root_trees: RootTrees,
        downstream_trees: DownstreamTrees,
        port_groups: PortGroups,
        drops: Drops,
        faults: Faults,
    ) -> None:
        self._links = links
        self._discovery = discovery
        self._root_trees = root_trees
        self._downstream_trees = downstream_trees
        self._port_groups = port_groups
        self._drops = drops
        self._faults = faults

    def take(self, now: Instant, refused: CommandRefused) -> None:
        """A command that was not carried out."""
        command, reason = refused.command, refused.reason
        if isinstance(command, AcceptKey) and reason is RefusalReason.UNKNOWN:
            return  # an offer that came twice, and was judged the first time
        self._drops.count("command_refused")
        is_bug = reason is RefusalReason.INVALID and not isinstance(command, OF_PORTS)
        if is_bug and refused.error is not None:
            self._faults.note(type(command).__name__, refused.error)
        match command:
            case InstallSession():
                self._links.refused(now, command)
            case SetHost():
                self._discovery.refused(now, command)
            case CreateTree() | SetRoute() | SetPrefixRoute() | SetTreeMembers() | MakeKey() | UseKey() | OfferKey():
                self._root_trees.refused(now, command)
            case AcceptKey():
                self._downstream_trees.refused(command, reason)
            case SetPortGroup():
                self._port_groups.refused(now, command)
            case _:
                pass  # of a port that was closed meanwhile, or one datagram or frame that is lost

    def problems(self) -> Iterator[Problem]:
        """Tables that are full."""
        hosts, trees, groups = (
            len(retries) for retries in (self._discovery.retries, self._root_trees.retries, self._port_groups.retries)
        )
        if hosts:
            yield _full("hosts", f"{hosts} hosts of other nodes", "frames for them are flooded or dropped")
        if trees:
            yield _full("trees", f"{trees} groups that hosts here send to", "what is sent to them is dropped")
        if groups:
            yield _full("port groups", f"{groups} groups of ports", "these ports do not get them")


def _full(table: str, what: str, meanwhile: str) -> Problem:
    return Problem(
        "table_full",
        table,
        f"the table of {table} has no room for {what}: {meanwhile} until others leave; find out which node or LAN "
        f"announces so many (treecast hosts, treecast groups)",
    )
