"""Both protocols of one port behind one face: IPv4 groups by IGMP, IPv6 groups by MLD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.membership import SourceFilter
from treecast.base.time import Instant, earliest
from treecast.multicast.config import MembershipConfig
from treecast.multicast.group_quota import GroupQuota
from treecast.multicast.protocol import IGMP, MLD, NO_ADDRESS, OwnKernel, PortSource, Subnets
from treecast.multicast.router import GroupMembershipRouter
from treecast.multicast.view import GroupView, Output
from treecast.wire import ethernet
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag


class PortMembership:
    """The IGMP and MLD routers of a port."""

    def __init__(
        self,
        config: MembershipConfig,
        drops: Drops,
        *,
        mac: MacAddress,
        link_local: IPv6Address,
        ipv4: IPv4Address = NO_ADDRESS,
        vlan: VlanTag | None = None,
        quota: GroupQuota | None = None,
        kernel: OwnKernel | None = None,
        lan: Subnets = (),
    ) -> None:
        self._drops = drops
        self.igmp = GroupMembershipRouter(IGMP, config, PortSource(mac, ipv4, vlan, kernel, lan), drops, quota)
        self.mld = GroupMembershipRouter(MLD, config, PortSource(mac, link_local, vlan, kernel), drops, quota)

    def start(self, now: Instant) -> Output:
        """The first general queries of both."""
        output = Output()
        for router in self.routers():
            output += router.start(now)
        return output

    def query_arrivals(self, now: Instant) -> None:
        """One general query more of both, soon."""
        for router in self.routers():
            router.query_arrivals(now)

    def receive(self, now: Instant, frame: bytes | EthernetFrame) -> Output:
        """A punted IGMP or MLD frame; any other is counted."""
        try:
            parsed = ethernet.parse(frame) if isinstance(frame, bytes) else frame
        except MalformedError as error:
            self._drops.count(error.reason)
            return Output()
        if parsed.ethertype == EtherType.IPV4:
            return self.igmp.receive(now, parsed)
        if parsed.ethertype == EtherType.IPV6:
            return self.mld.receive(now, parsed)
        self._drops.count("membership_wrong_ethertype")
        return Output()

    def advance(self, now: Instant) -> Output:
        """The timers of both."""
        output = Output()
        for router in self.routers():
            output += router.advance(now)
        return output

    def next_deadline(self) -> Instant | None:
        return earliest(*(router.next_deadline() for router in self.routers()))

    def filters(self) -> Mapping[IPAddress, SourceFilter]:
        """All source filters of the port: IPv4 groups, then IPv6 groups, each in the order of their addresses."""
        merged: dict[IPAddress, SourceFilter] = {}
        for router in self.routers():
            merged.update(router.filters())
        return merged

    def known_groups(self) -> list[IPAddress]:
        """The groups of ``filters``, unsorted."""
        return [group for router in self.routers() for group in router.known_groups()]

    def filter(self, group: IPAddress) -> SourceFilter:
        """The port's source filter of one group."""
        return self._router_of(group).filter(group)

    def set_ipv4(self, now: Instant, ipv4: IPv4Address, kernel: OwnKernel | None, lan: Subnets) -> Output:
        """The IPv4 source of the port's own frames, the kernel there, and what reports may come from, are these now."""
        self.mld.source = replace(self.mld.source, kernel=kernel)
        return self.igmp.set_source(now, replace(self.igmp.source, address=ipv4, kernel=kernel, lan=lan))

    def set_link_local(self, now: Instant, link_local: IPv6Address) -> Output:
        """The IPv6 source of own frames is another one. Both protocols query, IGMP without a new election."""
        self.igmp.query_arrivals(now)
        return self.mld.set_source(now, replace(self.mld.source, address=link_local)) + self.igmp.advance(now)

    def groups(self) -> tuple[GroupView, ...]:
        return tuple(view for router in self.routers() for view in router.groups())

    def view(self, group: IPAddress) -> GroupView | None:
        """One of them; None when nothing is known of it."""
        return self._router_of(group).view(group)

    def routers(self) -> tuple[GroupMembershipRouter, ...]:
        """IGMP's, then MLD's."""
        return (self.igmp, self.mld)

    def _router_of(self, group: IPAddress) -> GroupMembershipRouter:
        return self.igmp if group.version == 4 else self.mld
