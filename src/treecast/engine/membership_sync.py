"""Membership sync: filters of hosts on their way to other nodes, trees and ports; and back to multicast routers.

Decides nothing: ``multicast`` has what each port and all of them want, ``topology`` what the other nodes do.
"""

from __future__ import annotations

from collections.abc import Iterable

from treecast.base.commands import Command, Inject
from treecast.base.time import Instant
from treecast.engine.changes import LocalHostChange, MemberChange, SegmentChange
from treecast.engine.rooms import Rooms
from treecast.multicast import PimSegment, SwitchOutput
from treecast.wire.advertised_prefixes import GroupPrefixContent, group_prefix_key
from treecast.wire.advertisement import Kind


class MembershipSync:
    """Carries memberships between the rooms of a node. Methods append to ``commands``; the caller empties it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.commands: list[Command] = []

    def start(self, now: Instant) -> None:
        """Advertise the prefixes of groups that this node gets, and send the first queries."""
        for key in self._rooms.prefixes:
            self._rooms.broadcast.put(now, Kind.GROUP_PREFIX, group_prefix_key(key), GroupPrefixContent())
        self.take(now, self._rooms.membership.start(now))

    def take(self, now: Instant, output: SwitchOutput) -> None:
        """Carry the output of a turn of the membership to other rooms."""
        self.commands += [Inject(sent.port, sent.frame) for sent in output.frames]
        for change in output.changes:
            group = (change.vlan, change.group)
            self._rooms.broadcast.put_group(group, change.filter)
            self._rooms.downstream_trees.want(now, group, change.filter)
            self._rooms.port_groups.want_all(group, change.ports)
            self._rooms.changes.add(MemberChange(group, self._rooms.me))
        for vlan in output.new_routers:
            self._rooms.topology.report_vlan(vlan)
        for port, vlan, address in output.touched:
            self._rooms.changes.add(LocalHostChange(port, (vlan, address)))
        for port, vlan in output.segments:
            self._rooms.changes.add(SegmentChange(port, vlan))

    def recall_pim(self, now: Instant, remembered: Iterable[PimSegment]) -> None:
        """PIM routers as an earlier run of the node knew them; those of ports that are not there wait for these."""
        absent = []
        for known in remembered:
            port = self._rooms.ports.identified(known.port)
            if port is None:
                absent.append(known)
            else:
                self.take(now, self._rooms.membership.recall_pim(now, port, known))
        self._rooms.absent_pim.put(now, absent)

    def identify_port(self, now: Instant, port: int, identity: str) -> None:
        """The port is there, perhaps again: what its PIM routers joined counts."""
        self._rooms.ports.identify(port, identity)
        self.recall_pim(now, self._rooms.absent_pim.take(identity))

    def remove_port(self, now: Instant, port: int) -> None:
        """The port is gone. Its PIM routers count again if it comes back before their hold times end."""
        known = self._rooms.membership.worth_remembering(self._rooms.ports.identity)
        self._rooms.absent_pim.put(now, (one for one in known if one.port == self._rooms.ports.identity(port)))
        self.take(now, self._rooms.membership.remove_port(now, port))
        self._rooms.ports.remove(port)

    def proxy(self, now: Instant) -> None:
        """Multicast routers learn what the other nodes want of the groups for which that has changed (RFC 4605)."""
        for vlan, group in self._rooms.topology.take_reports():
            if self._rooms.membership.has_routers(vlan):
                self._rooms.membership.set_proxied(now, vlan, group, self._rooms.topology.wanted((vlan, group)))
