"""One port in one VLAN: what its hosts and routers want, and what the node reports to the routers as a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from random import Random

from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.membership import SourceFilter, merged
from treecast.base.time import Duration, Instant, after, earliest
from treecast.multicast.config import MembershipConfig
from treecast.multicast.group_quota import GroupQuota
from treecast.multicast.host_side import HostSide
from treecast.multicast.pim_downstream import PimDownstream, PimJoinView
from treecast.multicast.port import PortMembership
from treecast.multicast.protocol import OwnKernel, Subnets
from treecast.multicast.router import GroupMembershipRouter
from treecast.multicast.router_ports import RouterPort, RouterView
from treecast.multicast.view import Output
from treecast.wire import ethernet, pim
from treecast.wire.group_membership import MembershipQuery, ReceivedMessage
from treecast.wire.mrd import MulticastRouterAdvertisement
from treecast.wire.pim import PimHello, PimJoinPrune

SILENCE: Duration = 130.0
"""The shortest: frames of hosts that are known already are shown once in 60 s (``base.events.HostSeen``)."""


class Segment:
    """A tagged VLAN without a frame of a host for a Group Membership Interval, and without groups, is over.

    ``has_messages``: a message of a host or router came, not only other frames. ``quiet_at``: when it has been silent.
    """

    def __init__(
        self,
        now: Instant,
        port: int,
        vlan: int,
        membership: PortMembership,
        config: MembershipConfig,
        rng: Random,
        drops: Drops,
        quota: GroupQuota,
    ) -> None:
        self.port = port
        self.vlan = vlan
        self.membership = membership
        self.pim = PimDownstream(config, quota, drops)
        self.is_over = False
        self.has_messages = False
        self._config = config
        self._rng = rng
        self._routers = RouterPort(drops)
        self._host_sides: dict[int, HostSide] = {}
        self._shown: object = None
        self.restart_silence_timer(now)

    def restart_silence_timer(self, now: Instant) -> None:
        """A frame came."""
        self.quiet_at = after(now, max(self._config.intervals.group_membership_interval, SILENCE))

    def filter(self, group: IPAddress) -> SourceFilter:
        """The source filter of hosts and PIM routers together."""
        return merged((self.membership.filter(group), self.pim.filter(group)))

    def filters(self) -> Mapping[IPAddress, SourceFilter]:
        """The source filter of each group: what its hosts want, then what only routers do."""
        by_routers = {group: self.filter(group) for group in self.pim.known_groups()}
        return {**self.membership.filters(), **by_routers}

    def known_groups(self) -> Iterable[IPAddress]:
        """The groups of ``filters``, unsorted."""
        return dict.fromkeys((*self.membership.known_groups(), *self.pim.known_groups()))

    @property
    def group_count(self) -> int:
        """How many groups of the node's quota are taken."""
        return sum(1 for groups in (self.membership.known_groups(), self.pim.known_groups()) for _ in groups)

    @property
    def has_routers(self) -> bool:
        return bool(self._host_sides)

    def router_views(self) -> list[RouterView]:
        return self._routers.views(self.port, self.vlan)

    def pim_routers(self) -> list[tuple[IPAddress, Instant]]:
        """The PIM routers, each with the end of its hold time."""
        return [(view.address, view.expires) for view in self.router_views() if view.seen_by == "pim"]

    def take_other_routers(self) -> tuple[tuple[int, int], ...]:
        """Port and VLAN, where queriers or routers are others than at the last call."""
        queriers = tuple(router.elected() for router in self.membership.routers())
        present = (queriers, self._routers.known())
        before, self._shown = self._shown, present
        return ((self.port, self.vlan),) if present != before else ()

    def receive_query(self, now: Instant, received: ReceivedMessage) -> bool:
        """Another router's query: its sender is a router, and wants an answer. True when it is the first one."""
        if not isinstance(received.message, MembershipQuery):
            return False
        version = received.source.version
        hold_time = self._router(version).querier_intervals().other_querier_present_interval
        self._routers.note(now, received.source, "query", hold_time)
        is_first = self._follow_routers()
        if version in self._host_sides:
            side = self._host_sides[version]
            if not side.source.is_own_kernel(received.source_mac):
                side.note_querier(received.source)
            side.receive_query(now, received.message)
        return is_first

    def receive_own_queries(self, now: Instant, frames: Iterable[bytes]) -> None:
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
                        side.receive_query(now, message)

    def receive_router(
        self, now: Instant, shown: PimHello | PimJoinPrune | MulticastRouterAdvertisement
    ) -> tuple[bool, list[IPAddress]]:
        """A router showed itself: whether it is the first one here, and the groups whose filter is another one now."""
        changed: list[IPAddress] = []
        match shown:
            case PimJoinPrune():
                if not self._routers.knows(shown.source, "pim"):  # its Hello came before this node was on the port
                    self._routers.note(now, shown.source, "pim", pim.DEFAULT_HOLD_TIME)
                alone = self._routers.count(shown.source.version, "pim") < 2
                changed = self.pim.receive(now, shown, alone=alone)
            case PimHello():
                self._routers.note(now, shown.source, "pim", shown.hold_time)
                self._end_joins_without_router(now)
                changed = self.pim.advance(now)
            case MulticastRouterAdvertisement():
                self._routers.note(now, shown.source, "mrd", shown.hold_time)
        return self._follow_routers(), changed

    def recall_pim(
        self, now: Instant, routers: Iterable[tuple[IPAddress, Instant]], joins: Iterable[PimJoinView]
    ) -> tuple[bool, list[IPAddress]]:
        """PIM routers of an earlier run, each until its hold time ends, and their Joins. As ``receive_router``."""
        for address, expires in routers:
            if expires > now and not self._routers.knows(address, "pim"):
                self._routers.note(now, address, "pim", expires - now)
        changed = self.pim.recall(now, joins)
        self._end_joins_without_router(now)
        return self._follow_routers(), list(dict.fromkeys((*changed, *self.pim.advance(now))))

    def set_proxied(self, now: Instant, group: IPAddress, wanted: SourceFilter) -> None:
        side = self._host_sides.get(group.version)
        if side is not None:
            side.want(now, group, wanted)

    def clear_proxied(self) -> None:
        """Ends reports: nothing of other nodes is reported to the routers any more, until it is set again."""
        self._host_sides.clear()
        self._follow_routers()

    def set_ipv4(self, now: Instant, ipv4: IPv4Address, kernel: OwnKernel | None, lan: Subnets) -> Output:
        output = self.membership.set_ipv4(now, ipv4, kernel, lan)
        self._report_from_own_source()
        return output

    def set_link_local(self, now: Instant, link_local: IPv6Address) -> Output:
        """MLD is queried and reported from there. The interface may have been down meanwhile: IGMP is queried too."""
        output = self.membership.set_link_local(now, link_local)
        self._report_from_own_source()
        return output

    def advance(self, now: Instant) -> tuple[list[bytes], list[IPAddress]]:
        """Routers that fell silent are forgotten. The reports that are due, and the groups whose filter changed."""
        self._routers.advance(now)
        self._follow_routers()
        self._end_joins_without_router(now)
        changed = self.pim.advance(now)
        if self.quiet_at <= now:
            self.is_over = bool(self.vlan) and not self._host_sides and not self.group_count
            self.restart_silence_timer(now)
        frames: list[bytes] = []
        for version, side in self._host_sides.items():
            reports, suppressing = side.advance(now)
            frames += reports
            for group in suppressing:
                self._router(version).keep(now, group)
        return frames, changed

    def _report_from_own_source(self) -> None:
        for router in self.membership.routers():
            side = self._host_sides.get(router.protocol.ip_version)
            if side is not None:
                side.source = router.source

    def _end_joins_without_router(self, now: Instant) -> None:
        for version in (4, 6) if self.pim.has_joins else ():
            if not self._routers.count(version, "pim"):
                self.pim.end(now, version)

    def next_deadline(self) -> Instant | None:
        sides = (side.next_deadline() for side in self._host_sides.values())
        quiet_at = self.quiet_at if self.vlan else None
        pim_at = self.pim.next_deadline()
        return earliest(self.membership.next_deadline(), self._routers.next_deadline(), pim_at, quiet_at, *sides)

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
