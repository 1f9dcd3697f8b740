"""Who wants which group, on all ports and VLANs of a node: one ``PortMembership`` each, and the routers among them.

A VLAN begins with its first frame on a port and ends when nothing is heard of it any more. Changes are told per VLAN,
merged over its ports. On a port with a multicast router the node speaks as a host too: it reports there what the
other nodes want (``want_remote``), so that the router sends it (RFC 4541 section 2.1.1, RFC 4605).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from random import Random

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter, merged
from treecast.base.time import Instant, earliest
from treecast.multicast.config import MembershipConfig
from treecast.multicast.port import PortMembership
from treecast.multicast.protocol import NO_ADDRESS
from treecast.multicast.room import GroupRoom
from treecast.multicast.router_ports import RouterView
from treecast.multicast.segment import Segment
from treecast.multicast.view import Output
from treecast.wire import mrd, pim
from treecast.wire.advertisement import MAX_SOURCES
from treecast.wire.ethernet import EthernetFrame, VlanTag

UNTAGGED = 0
TAP = 0


@dataclass(frozen=True, slots=True)
class PortFrame:
    """A whole Ethernet frame to send on a port."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class VlanChange:
    """What all hosts of a VLAN together want of a group from now on; NO_SOURCE: nobody does."""

    vlan: int
    group: IPAddress
    filter: SourceFilter


@dataclass(frozen=True, slots=True)
class SwitchOutput:
    """What a turn came to, in order. ``new_routers``: VLANs in which a router appeared: it has to be told by
    ``want_remote`` what the other nodes want.
    """

    frames: tuple[PortFrame, ...] = ()
    changes: tuple[VlanChange, ...] = ()
    new_routers: tuple[int, ...] = ()

    def __add__(self, other: SwitchOutput) -> SwitchOutput:
        routers = self.new_routers + other.new_routers
        return SwitchOutput(self.frames + other.frames, self.changes + other.changes, routers)


class SwitchMembership:
    """``start`` once; then ``receive`` each punted IGMP, MLD and PIM frame, and ``advance`` at ``next_deadline``."""

    def __init__(
        self,
        config: MembershipConfig,
        drops: Drops,
        *,
        mac: MacAddress,
        link_local: IPv6Address | None,
        rng: Random,
        ipv4: IPv4Address = NO_ADDRESS,
    ) -> None:
        self._config = config
        self._drops = drops
        self._mac = mac
        self._link_local = link_local
        self._ipv4 = ipv4
        self._rng = rng
        self._room = GroupRoom(config.max_groups_per_node)
        self._segments: dict[tuple[int, int], Segment] = {}
        self._by_vlan: dict[int, list[PortMembership]] = {}

    # Inputs.

    def start(self, now: Instant, ports: Iterable[int] = (TAP,)) -> SwitchOutput:
        """The first general queries, untagged, on these ports."""
        output = SwitchOutput()
        for port in ports:
            output += self._begin(now, port, UNTAGGED)
        return output

    def receive(self, now: Instant, port: int, frame: EthernetFrame) -> SwitchOutput:
        """A punted IGMP, MLD or PIM frame; what is none of them is counted."""
        vlan = frame.vlan_id or UNTAGGED
        output = SwitchOutput()
        segment = self._segments.get((port, vlan))
        if segment is None:
            if len(self._segments) >= self._config.max_vlans:
                self._drops.count("membership_vlans_full")
                return SwitchOutput()
            output = self._begin(now, port, vlan)
            segment = self._segments[port, vlan]
        segment.heard(now)
        if pim.is_pim(frame) or mrd.is_mrd(frame):
            return output + self._receive_router(now, segment, frame)
        return output + self._take(now, segment, segment.membership.receive(now, frame))

    def ask_again(self, now: Instant, port: int) -> SwitchOutput:
        """The start-up queries once more, on all VLANs of a port: there may be hosts that never heard one."""
        output = SwitchOutput()
        for segment in list(self._segments.values()):
            if segment.port == port:
                output += self._take(now, segment, segment.membership.start(now))
        return output

    def remove_port(self, now: Instant, port: int) -> SwitchOutput:
        """A port is gone, with all hosts behind it."""
        output = SwitchOutput()
        for key in [key for key in self._segments if key[0] == port]:
            output += self._end(self._segments[key])
        return output

    def set_ipv4(self, now: Instant, ipv4: IPv4Address) -> SwitchOutput:
        """The IPv4 source of queries and reports; 0.0.0.0 on a TAP that no bridge has (see ``protocol``)."""
        self._ipv4 = ipv4
        output = SwitchOutput()
        for segment in self._segments.values():
            output += self._take(now, segment, segment.set_ipv4(now, self._mac, ipv4))
        return output

    def want_remote(self, now: Instant, vlan: int, group: IPAddress, wanted: SourceFilter) -> None:
        """What the other nodes together want of a group: the routers of the VLAN are to know."""
        for segment in self._segments.values():
            if segment.vlan == vlan:
                segment.want_remote(now, group, wanted)

    def advance(self, now: Instant) -> SwitchOutput:
        """Run every timer that is due."""
        output = SwitchOutput()
        for segment in list(self._segments.values()):
            deadline = segment.next_deadline()
            if deadline is None or deadline > now:
                continue
            output += self._take(now, segment, segment.membership.advance(now))
            frames = segment.advance(now)
            output += SwitchOutput(tuple(PortFrame(segment.port, frame) for frame in frames))
            if segment.is_over:
                output += self._end(segment)
        return output

    def next_deadline(self) -> Instant | None:
        """When to call ``advance`` next; at times earlier than something happens, never later."""
        return earliest(*(segment.next_deadline() for segment in self._segments.values()))

    # What the rest of the node reads.

    def has_routers(self, vlan: int) -> bool:
        return any(segment.has_routers for segment in self._segments.values() if segment.vlan == vlan)

    def routers(self) -> list[RouterView]:
        """All routers, by port and VLAN."""
        return [view for key in sorted(self._segments) for view in self._segments[key].router_views()]

    def segments(self) -> list[tuple[int, int, PortMembership]]:
        """Port, VLAN and state of each, in this order."""
        return [(port, vlan, self._segments[port, vlan].membership) for port, vlan in sorted(self._segments)]

    def filters(self) -> Mapping[tuple[int, IPAddress], SourceFilter]:
        """What the hosts of this node want, by VLAN and group, merged over ports."""
        found: dict[tuple[int, IPAddress], SourceFilter] = {}
        for vlan, ports in sorted(self._by_vlan.items()):
            if len(ports) == 1:
                found.update({(vlan, group): wanted for group, wanted in ports[0].filters().items()})
                continue
            for group in {group for port in ports for group in port.filters()}:
                found[vlan, group] = self.filter(vlan, group)
        return found

    def filter(self, vlan: int, group: IPAddress) -> SourceFilter:
        """What the hosts of this node want of one group. No more sources than an advertisement holds are listed."""
        wanted = merged(port.filter(group) for port in self._by_vlan.get(vlan, ()))
        if len(wanted.sources) > MAX_SOURCES:
            kept = frozenset(sorted(wanted.sources, key=int)[:MAX_SOURCES])
            return ANY_SOURCE if wanted.mode is FilterMode.INCLUDE else SourceFilter(FilterMode.EXCLUDE, kept)
        return wanted

    # Consequences.

    def _begin(self, now: Instant, port: int, vlan: int) -> SwitchOutput:
        membership = PortMembership(
            self._config,
            self._drops,
            mac=self._mac,
            link_local=self._link_local,
            ipv4=self._ipv4,
            vlan=VlanTag(vlan) if vlan else None,
            room=self._room,
        )
        segment = Segment(now, port, vlan, membership, self._config, self._rng, self._drops)
        self._segments[port, vlan] = segment
        self._by_vlan.setdefault(vlan, []).append(membership)
        return self._take(now, segment, membership.start(now))

    def _end(self, segment: Segment) -> SwitchOutput:
        """The segment's groups are given up; what other ports of the VLAN want stays."""
        del self._segments[segment.port, segment.vlan]
        self._by_vlan[segment.vlan].remove(segment.membership)
        groups = list(segment.membership.filters())
        self._room.give_back(len(groups))
        changes = [VlanChange(segment.vlan, group, self.filter(segment.vlan, group)) for group in groups]
        if not self._by_vlan[segment.vlan]:
            del self._by_vlan[segment.vlan]
        return SwitchOutput(changes=tuple(changes))

    def _take(self, now: Instant, segment: Segment, output: Output) -> SwitchOutput:
        """One port's output as the switch's; queries that were heard or sent concern the router side too."""
        new_router = False
        for query in output.heard:
            new_router |= segment.hear_query(now, query)
        segment.hear_own(now, output.frames)
        return SwitchOutput(
            tuple(PortFrame(segment.port, frame) for frame in output.frames),
            tuple(self._changes(segment.vlan, [change.group for change in output.changes])),
            (segment.vlan,) if new_router else (),
        )

    def _changes(self, vlan: int, groups: Iterable[IPAddress]) -> Iterable[VlanChange]:
        return (VlanChange(vlan, group, self.filter(vlan, group)) for group in groups)

    def _receive_router(self, now: Instant, segment: Segment, frame: EthernetFrame) -> SwitchOutput:
        seen_by = "pim" if pim.is_pim(frame) else "mrd"
        try:
            shown = pim.parse_hello(frame) if seen_by == "pim" else mrd.parse(frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return SwitchOutput()
        if frame.source == self._mac:
            self._drops.count("multicast_router_is_this_node")
            return SwitchOutput()
        is_first = segment.hear_router(now, shown.source, seen_by, shown.hold_time)
        return SwitchOutput(new_routers=(segment.vlan,) if is_first else ())
