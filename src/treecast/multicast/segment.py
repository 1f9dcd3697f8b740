"""One port in one VLAN: what its hosts want, which routers are on it, and what the node says to those as a host."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.membership import SourceFilter
from treecast.base.time import Duration, Instant, after, earliest
from treecast.multicast.config import MembershipConfig
from treecast.multicast.host_side import HostSide
from treecast.multicast.port import PortMembership
from treecast.multicast.router import GroupMembershipRouter
from treecast.multicast.router_ports import RouterPort, RouterView
from treecast.multicast.view import Output
from treecast.wire import ethernet
from treecast.wire.group_membership import MembershipQuery, ReceivedMessage


class Segment:
    """A tagged VLAN of which nothing is heard for a Group Membership Interval, and that has no groups, is over."""

    def __init__(
        self,
        now: Instant,
        port: int,
        vlan: int,
        membership: PortMembership,
        config: MembershipConfig,
        rng: Random,
        drops: Drops,
    ) -> None:
        self.port = port
        self.vlan = vlan
        self.membership = membership
        self.is_over = False
        self._config = config
        self._rng = rng
        self._routers = RouterPort(drops)
        self._host_sides: dict[int, HostSide] = {}
        self.heard(now)

    def heard(self, now: Instant) -> None:
        """A frame came."""
        self._quiet_at = after(now, self._config.intervals.group_membership_interval)

    @property
    def has_routers(self) -> bool:
        return bool(self._host_sides)

    def router_views(self) -> list[RouterView]:
        return self._routers.views(self.port, self.vlan)

    def hear_query(self, now: Instant, received: ReceivedMessage) -> bool:
        """Another router's query: its sender is a router, and wants an answer. True when it is the first one."""
        if not isinstance(received.message, MembershipQuery):
            return False
        version = received.source.version
        hold_time = self._router(version).querier_intervals().other_querier_present_interval
        self._routers.hear(now, received.source, "query", hold_time)
        is_first = self._follow_routers()
        if version in self._host_sides:
            self._host_sides[version].hear_query(now, received.message)
        return is_first

    def hear_own(self, now: Instant, frames: Iterable[bytes]) -> None:
        """Our own queries: the routers wait for our answer too, and the port does not bring us what we send."""
        if not self._host_sides:
            return
        for frame in frames:
            parsed = ethernet.parse(frame)
            for router in self.membership.routers():
                side = self._host_sides.get(router.protocol.ip_version)
                if side is not None and parsed.ethertype == router.protocol.ethertype:
                    message = router.protocol.parse_frame(parsed).message
                    if isinstance(message, MembershipQuery):
                        side.hear_query(now, message)

    def hear_router(self, now: Instant, address: IPAddress, seen_by: str, hold_time: Duration) -> bool:
        """A router showed itself. True when it is the first one here."""
        self._routers.hear(now, address, seen_by, hold_time)
        return self._follow_routers()

    def want_remote(self, now: Instant, group: IPAddress, wanted: SourceFilter) -> None:
        side = self._host_sides.get(group.version)
        if side is not None:
            side.want(now, group, wanted)

    def forget_remote(self) -> None:
        """The routers hear no more of what others want, until that is said again."""
        self._host_sides.clear()
        self._follow_routers()

    def set_ipv4(self, now: Instant, mac: MacAddress, ipv4: IPv4Address, *, own_kernel: bool) -> Output:
        output = self.membership.set_ipv4(now, mac, ipv4, own_kernel=own_kernel)
        if 4 in self._host_sides:
            self._host_sides[4].source = self.membership.igmp.source
        return output

    def advance(self, now: Instant) -> list[bytes]:
        """Routers that fell silent are forgotten; the reports that are due."""
        self._routers.advance(now)
        self._follow_routers()
        if self._quiet_at <= now:
            self.is_over = bool(self.vlan) and not self._host_sides and not self.membership.filters()
            self.heard(now)
        return [frame for side in self._host_sides.values() for frame in side.advance(now)]

    def next_deadline(self) -> Instant | None:
        sides = (side.next_deadline() for side in self._host_sides.values())
        quiet_at = self._quiet_at if self.vlan else None
        return earliest(self.membership.next_deadline(), self._routers.next_deadline(), quiet_at, *sides)

    def _router(self, ip_version: int) -> GroupMembershipRouter:
        return self.membership.igmp if ip_version == 4 else self.membership.mld

    def _follow_routers(self) -> bool:
        """A host side for each IP version that has routers; True when one is new."""
        before = set(self._host_sides)
        for router in self.membership.routers():
            version = router.protocol.ip_version
            if not self._routers.has_router(version):
                self._host_sides.pop(version, None)
            elif version not in self._host_sides:
                self._host_sides[version] = HostSide(router.protocol, self._config, router.source, self._rng)
        return bool(set(self._host_sides) - before)
