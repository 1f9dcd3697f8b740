"""Membership on all ports and VLANs of a node: one ``PortMembership`` each, and the routers among them.

A VLAN begins on a port with the first frame of a host, and ends when none has come for a while. Changes are returned
per VLAN, merged over its ports. On a port with a multicast router the node acts as a host too: it reports there
what the other nodes want (``set_proxied``), so that the router sends it (RFC 4541 section 2.1.1, RFC 4605). The hosts
of a port that does not forward are another node's: they count for nothing here, and nothing is reported there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import Random

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import TAP
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter, merged
from treecast.base.problems import Problem
from treecast.base.tables import TableUse
from treecast.base.time import Instant
from treecast.multicast.config import MembershipConfig
from treecast.multicast.group_quota import GroupQuota
from treecast.multicast.pim_downstream import PimJoinView
from treecast.multicast.pim_memory import PimSegment, worth_remembering
from treecast.multicast.port import PortMembership
from treecast.multicast.protocol import NO_ADDRESS, OwnKernel, PortAddresses, Subnets, in_vlan
from treecast.multicast.querier_problems import second_queriers
from treecast.multicast.router_ports import RouterView
from treecast.multicast.segment import Segment
from treecast.multicast.segments import Segments
from treecast.multicast.switch_output import PortFrame, SwitchOutput, VlanChange
from treecast.multicast.view import Output
from treecast.wire import mrd, pim
from treecast.wire.advertised_groups import MAX_SOURCES
from treecast.wire.ethernet import EthernetFrame, VlanTag

UNTAGGED = 0


class SwitchMembership:
    """``start`` once; then ``receive`` each punted IGMP, MLD and PIM frame, and ``advance`` at ``next_deadline``.

    This node sends neither PIM nor Multicast Router Discovery: such a frame with its own MAC is from a program of this
    machine, whose kernel shares the MAC on the TAP.
    """

    def __init__(
        self,
        config: MembershipConfig,
        drops: Drops,
        *,
        mac: MacAddress,
        link_local: IPv6Address,
        rng: Random,
        ipv4: IPv4Address = NO_ADDRESS,
        neighbour: IPv4Address = NO_ADDRESS,
    ) -> None:
        self._config = config
        self._drops = drops
        self._mac = mac
        self._link_local = link_local
        self._addresses = {TAP: PortAddresses(ipv4, link_local, OwnKernel(mac, neighbour))}
        self._rng = rng
        self._quota = GroupQuota(config.max_groups_per_node)
        self._segments = Segments()

    # Inputs.

    def start(self, now: Instant) -> SwitchOutput:
        """The first general queries, untagged, on the TAP."""
        return self._begin(now, TAP, UNTAGGED)[1]

    def add_port(self, now: Instant, port: int, addresses: PortAddresses) -> SwitchOutput:
        """A further port, or new addresses of one: what hosts and routers want stays, and queries go out from there."""
        before = self._addresses.get(port)
        self._addresses[port] = addresses
        if before is None:
            return self._begin(now, port, UNTAGGED)[1]
        if before.link_local == addresses.link_local:
            return self.set_ipv4(now, addresses.ipv4, addresses.kernel, port, addresses.lan)
        output = SwitchOutput()
        for segment in self._segments.of_port(port):
            output += self._take(now, segment, segment.set_link_local(now, addresses.link_local or self._link_local))
        if replace(before, link_local=addresses.link_local) != addresses:
            output += self.set_ipv4(now, addresses.ipv4, addresses.kernel, port, addresses.lan)
        return output

    def set_forwarding(self, now: Instant, port: int, *, forwarding: bool) -> SwitchOutput:
        """Whether this node serves the hosts of a port, or another. Returns what changes, and the VLANs to proxy.

        Hosts that are this node's from now on are queried: there may be some whose reports it did not receive.
        """
        output = self.restart_startup_queries(now, port) if forwarding else SwitchOutput()
        if not self._segments.set_forwarding(port, forwarding=forwarding):
            return output
        for segment in self._segments.of_port(port):
            segment.clear_proxied()
            self._segments.wake(segment)
            proxied_anew = (segment.vlan,) if segment.has_routers and forwarding else ()
            output += SwitchOutput((), self._changes(segment.vlan, segment.known_groups()), proxied_anew)
        return output

    def receive(self, now: Instant, port: int, frame: EthernetFrame) -> SwitchOutput:
        """A punted IGMP, MLD or PIM frame; what is none of them is counted."""
        segment, output = self._begun(now, port, frame.vlan_id or UNTAGGED)
        if segment is None:
            return output
        segment.has_messages = True
        segment.restart_silence_timer(now)
        if pim.is_pim(frame) or mrd.is_mrd(frame):
            return output + self._receive_router(now, segment, frame)
        return output + self._take(now, segment, segment.membership.receive(now, frame))

    def saw(self, now: Instant, port: int, vlan: int) -> SwitchOutput:
        """Any frame of a host begins its VLAN: a listener that has reported before only answers queries."""
        segment = self._segments.get(port, vlan)
        if segment is None:
            return self._begin_on_demand(now, port, vlan)[1]
        segment.restart_silence_timer(now)
        return SwitchOutput()

    def restart_startup_queries(self, now: Instant, port: int) -> SwitchOutput:
        """The start-up queries once more, on all VLANs of a port: there may be hosts that never received one."""
        output = SwitchOutput()
        for segment in self._segments.of_port(port):
            output += self._take(now, segment, segment.membership.start(now))
        return output

    def query_arrivals(self, now: Instant, port: int, vlan: int) -> SwitchOutput:
        """Hosts have come to a port that reported where they were before: as after a change of the topology (RFC 4541
        section 2.1.1), one general query more.
        """
        segment = self._segments.get(port, vlan)
        if segment is None:
            return self._begin_on_demand(now, port, vlan)[1]
        segment.membership.query_arrivals(now)
        self._segments.wake(segment)
        return SwitchOutput()

    def recall_pim(self, now: Instant, port: int, known: PimSegment) -> SwitchOutput:
        """PIM routers of an earlier run of the node."""
        segment, output = self._begun(now, port, known.vlan)
        if segment is None:
            return output
        segment.has_messages = True
        return output + self._shown(segment, *segment.recall_pim(now, known.routers, known.joins))

    def remove_port(self, now: Instant, port: int) -> SwitchOutput:
        """A port is gone, with all hosts behind it."""
        output = SwitchOutput()
        for segment in self._segments.of_port(port):
            output += self._end(segment)
        self._addresses.pop(port, None)
        self._segments.set_forwarding(port, forwarding=True)
        return output

    def set_ipv4(
        self, now: Instant, ipv4: IPv4Address, kernel: OwnKernel | None, port: int = TAP, lan: Subnets = ()
    ) -> SwitchOutput:
        """The IPv4 source of queries and reports, 0.0.0.0 on a TAP that no bridge has, and the own kernel there (see
        ``protocol``). ``lan``: addresses that reports come from when a querier is of their subnet.
        """
        self._addresses[port] = replace(self._addresses[port], ipv4=ipv4, kernel=kernel, lan=lan)
        output = SwitchOutput()
        for segment in self._segments.of_port(port):
            output += self._take(now, segment, segment.set_ipv4(now, ipv4, in_vlan(kernel, segment.vlan), lan))
        return output

    def set_proxied(self, now: Instant, vlan: int, group: IPAddress, wanted: SourceFilter) -> None:
        """Report to the routers of a VLAN what the other nodes together want of a group."""
        for segment in self._segments.forwarding(vlan):
            segment.set_proxied(now, group, wanted)
            self._segments.wake(segment)

    def advance(self, now: Instant) -> SwitchOutput:
        """Run every timer that is due."""
        output = SwitchOutput()
        for segment in self._segments.due(now):
            output += self._take(now, segment, segment.membership.advance(now))
            frames, changed = segment.advance(now)
            self._segments.wake(segment)
            sent = tuple(PortFrame(segment.port, frame) for frame in frames)
            output += SwitchOutput(sent, self._changes(segment.vlan, changed), segments=segment.take_other_routers())
            if segment.is_over:
                output += self._end(segment)
        return output

    def next_deadline(self) -> Instant | None:
        """The time at which to call ``advance`` next; at times earlier than something happens, never later."""
        return self._segments.next_deadline()

    # For the rest of the node.

    def has_routers(self, vlan: int) -> bool:
        return any(segment.has_routers for segment in self._segments.forwarding(vlan))

    def routers(self) -> list[RouterView]:
        """All routers, by port and VLAN."""
        return [view for segment in self._segments for view in segment.router_views()]

    def segments(self) -> list[tuple[int, int, PortMembership]]:
        """Port, VLAN and state of each, in this order."""
        return [(segment.port, segment.vlan, segment.membership) for segment in self._segments]

    def pim_joins(self, port: int, vlan: int, group: IPAddress) -> list[PimJoinView]:
        """The Joins of the PIM routers on a port."""
        segment = self._segments.get(port, vlan)
        return [] if segment is None else segment.pim.views(group)

    def worth_remembering(self, identity: Callable[[int], str]) -> tuple[PimSegment, ...]:
        """The PIM routers for the next start. ``identity``: by which that knows a port again."""
        return tuple(worth_remembering(self._segments, identity))

    def problems(self, shared: Callable[[int], bool], name: Callable[[int], str]) -> Iterator[Problem]:
        """Other queriers on the LANs. ``shared``: a port leads to a LAN; ``name``: of a port."""
        for segment in self._segments:
            if shared(segment.port):
                yield from second_queriers(segment, name(segment.port))

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        yield TableUse(
            "groups of this node's hosts",
            self._quota.taken,
            self._config.max_groups_per_node,
            "find the host that joins so many (treecast groups), or raise --membership max-groups-per-node",
        )
        yield TableUse(
            "VLANs with IGMP or MLD",
            len(self._segments),
            self._config.max_vlans,
            "raise --membership max-vlans, or keep VLANs from the node's ports",
        )

    def filters(self) -> Mapping[tuple[int, IPAddress], SourceFilter]:
        """All source filters of this node's hosts, by VLAN and group, merged over ports."""
        found: dict[tuple[int, IPAddress], SourceFilter] = {}
        for vlan in sorted(self._segments.vlans()):
            ports = self._segments.forwarding(vlan)
            if len(ports) == 1:
                found.update({(vlan, group): wanted for group, wanted in ports[0].filters().items()})
                continue
            for group in {group: None for port in ports for group in port.filters()}:
                found[vlan, group] = self.filter(vlan, group)
        return found

    def group_keys(self) -> list[tuple[int, IPAddress]]:
        """VLAN and group of all that the hosts of this node want, in no order that means anything."""
        return [
            (vlan, group)
            for vlan in self._segments.vlans()
            for port in self._segments.forwarding(vlan)
            for group in port.known_groups()
        ]

    def port_filter(self, port: int, vlan: int, group: IPAddress) -> SourceFilter:
        """The source filter of the hosts on one port, whichever node serves them."""
        segment = self._segments.get(port, vlan)
        return NO_SOURCE if segment is None else segment.filter(group)

    def filter(self, vlan: int, group: IPAddress) -> SourceFilter:
        """The source filter of this node's hosts. No more sources than an advertisement holds are listed."""
        wanted = merged(port.filter(group) for port in self._segments.forwarding(vlan))
        if len(wanted.sources) > MAX_SOURCES:
            kept = frozenset(sorted(wanted.sources, key=int)[:MAX_SOURCES])
            return ANY_SOURCE if wanted.mode is FilterMode.INCLUDE else SourceFilter(FilterMode.EXCLUDE, kept)
        return wanted

    # Consequences.

    def _change(self, vlan: int, group: IPAddress) -> VlanChange:
        ports = {port: segment.filter(group) for port, segment in self._segments.of_vlan(vlan).items()}
        return VlanChange(vlan, group, self.filter(vlan, group), ports)

    def _begun(self, now: Instant, port: int, vlan: int) -> tuple[Segment | None, SwitchOutput]:
        """The segment. Where the table is full, the longest silent VLAN without reports of a group gives way."""
        segment = self._segments.get(port, vlan)
        if segment is not None:
            return segment, SwitchOutput()
        is_full = len(self._segments) >= self._config.max_vlans
        silent = self._segments.longest_without_messages() if is_full else None
        output = SwitchOutput() if silent is None else self._end(silent)
        segment, begun = self._begin_on_demand(now, port, vlan)
        return segment, output + begun

    def _begin_on_demand(self, now: Instant, port: int, vlan: int) -> tuple[Segment | None, SwitchOutput]:
        """A VLAN that hosts use, if there is room for it."""
        if len(self._segments) >= self._config.max_vlans:
            self._drops.count("membership_vlans_full")
            return None, SwitchOutput()
        return self._begin(now, port, vlan)

    def _begin(self, now: Instant, port: int, vlan: int) -> tuple[Segment, SwitchOutput]:
        addresses = self._addresses.get(port, self._addresses[TAP])
        membership = PortMembership(
            self._config,
            self._drops,
            mac=self._mac,
            link_local=addresses.link_local or self._link_local,
            ipv4=addresses.ipv4,
            kernel=in_vlan(addresses.kernel, vlan),
            lan=addresses.lan,
            vlan=VlanTag(vlan) if vlan else None,
            quota=self._quota,
        )
        segment = Segment(now, port, vlan, membership, self._config, self._rng, self._drops, self._quota)
        self._segments.add(segment)
        return segment, self._take(now, segment, membership.start(now))

    def _end(self, segment: Segment) -> SwitchOutput:
        """The segment's groups are given up; what other ports of the VLAN want stays."""
        self._segments.remove(segment)
        groups = list(segment.filters())
        self._quota.release(segment.group_count)
        changes = [self._change(segment.vlan, group) for group in groups]
        touched = tuple((segment.port, segment.vlan, group) for group in groups)
        return SwitchOutput(changes=tuple(changes), touched=touched, segments=((segment.port, segment.vlan),))

    def _take(self, now: Instant, segment: Segment, output: Output) -> SwitchOutput:
        """One port's output as the switch's; queries that were received or sent concern the router side too."""
        are_first = [segment.receive_query(now, query) for query in output.other_queries]
        segment.receive_own_queries(now, output.frames)
        self._segments.wake(segment)
        return SwitchOutput(
            tuple(PortFrame(segment.port, frame) for frame in output.frames),
            self._changes(segment.vlan, [change.group for change in output.changes]),
            (segment.vlan,) if any(are_first) else (),
            tuple((segment.port, segment.vlan, group) for group in output.touched),
            segment.take_other_routers(),
        )

    def _changes(self, vlan: int, groups: Iterable[IPAddress]) -> tuple[VlanChange, ...]:
        return tuple(self._change(vlan, group) for group in groups)

    def _receive_router(self, now: Instant, segment: Segment, frame: EthernetFrame) -> SwitchOutput:
        try:
            shown = pim.parse(frame) if pim.is_pim(frame) else mrd.parse(frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return SwitchOutput()
        return self._shown(segment, *segment.receive_router(now, shown))

    def _shown(self, segment: Segment, is_first: bool, changed: Iterable[IPAddress]) -> SwitchOutput:
        self._segments.wake(segment)
        new, others = (segment.vlan,) if is_first else (), segment.take_other_routers()
        return SwitchOutput((), self._changes(segment.vlan, changed), new, segments=others)
