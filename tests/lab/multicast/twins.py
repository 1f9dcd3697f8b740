"""The same hosts in front of a Linux bridge and of our state machines: one ``PortMembership`` per port.

Time is real: each frame reaches both at (nearly) one instant, which ours is told. A comparison asks the bridge with
frames, and ours for its answer in a window around that time: where ours changes within the window, a timer is about
to run out, and either answer is right.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from lab.waiting import pause_until
from tests.lab.multicast.linux_bridge import PORTS, LinuxBridge, Question
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.membership import NO_SOURCE, SourceFilter
from treecast.base.time import Instant
from treecast.multicast import MembershipConfig, Output, PortMembership
from treecast.wire import igmp, mld
from treecast.wire.group_membership import GroupRecord, MembershipMessage, MembershipReport, OlderReport, RecordType

TICK_S = 0.5
CONFIG = MembershipConfig(
    query_interval=1,
    query_response_interval=0.6,
    startup_query_interval=1,
    last_member_query_interval=0.55,
    fast_leave=False,
)
"""A membership lives 2.6 s, a leave takes 1.1 s: whole ticks and 0.1 s. Hosts act on the tick, so our timers run out
0.1 s after a tick, the kernel's up to an eighth of their length later (its timer wheel), and all is at rest when both
are compared, late in the tick."""

SLACK_S = 0.04
"""Both hear a frame at nearly the same time; the machine is shared."""

ROUTER_MAC = MacAddress(b"\x02\0\0\0\2\0")
LINK_LOCAL = IPv6Address("fe80::2:1")


class Twins:
    """Both sides. ``config`` has the intervals of both; neither side leaves early by host tracking."""

    def __init__(self, config: MembershipConfig, bridge: LinuxBridge) -> None:
        self.bridge = bridge
        self.drops = Drops()
        self.ours = {port: PortMembership(config, self.drops, mac=ROUTER_MAC, link_local=LINK_LOCAL) for port in PORTS}
        self._history: dict[tuple[int, IPAddress], list[tuple[Instant, SourceFilter]]] = {}
        self._run_until = Instant(0.0)
        for port in PORTS:
            self._note(port, _now(), self.ours[port].start(_now()))

    # Frames to both.

    def report(
        self, port: int, host: int, received: RecordType, group: IPAddress, sources: Iterable[IPAddress]
    ) -> None:
        self.hear(port, host, MembershipReport((GroupRecord(received, group, tuple(sources)),)), group.version)

    def older_report(self, port: int, host: int, group: IPAddress) -> None:
        self.hear(port, host, OlderReport(2 if group.version == 4 else 1, group), group.version)

    def hear(self, port: int, host: int, message: MembershipMessage, ip_version: int) -> None:
        """A host's message at its port."""
        frame = _frame(message, ip_version, 16 * port + host)
        now = self._up_to_now()
        self.bridge.hear(port, frame)
        self._note(port, now, self.ours[port].receive(now, frame))

    def receive_router(self, message: MembershipMessage, ip_version: int, router: int = 1) -> None:
        """A query of another router, behind the sender's port: a bridge floods it, so that every port hears it."""
        frame = _frame(message, ip_version, router)
        now = self._up_to_now()
        self.bridge.hear(0, frame)
        for port in PORTS:
            self._note(port, now, self.ours[port].receive(now, frame))

    # Answers of both.

    def differences(self, flows: list[tuple[IPAddress, IPAddress]]) -> list[tuple[Question, bool]]:
        """Where the bridge and ours disagree now, with the bridge's answer."""
        before = Instant(_now() - SLACK_S)
        forwarded = self.bridge.forwarded(flows)
        after = Instant(_now() + SLACK_S)
        self._run(after)
        found = []
        for port in PORTS:
            for source, group in flows:
                ours = {wanted.accepts(source) for wanted in self._filters(port, group, before, after)}
                theirs = (port, source, group) in forwarded
                if theirs not in ours:
                    found.append(((port, source, group), theirs))
        return found

    def filter(self, port: int, group: IPAddress) -> SourceFilter:
        self._up_to_now()
        return self.ours[port].filters().get(group, NO_SOURCE)

    def pause(self, until: float) -> None:
        """Let real time pass."""
        pause_until(until)

    def _filters(self, port: int, group: IPAddress, before: Instant, after: Instant) -> list[SourceFilter]:
        """Every filter that was in force within the window."""
        history = self._history.get((port, group), [])
        started = [wanted for at, wanted in history if at <= before]
        return [started[-1] if started else NO_SOURCE, *(w for at, w in history if before < at <= after)]

    def _up_to_now(self) -> Instant:
        """The time now, but never before the end of the last comparison's window."""
        now = max(_now(), self._run_until)
        self._run(now)
        return now

    def _run(self, until: Instant) -> None:
        self._run_until = until
        for port, membership in self.ours.items():
            while (deadline := membership.next_deadline()) is not None and deadline <= until:
                self._note(port, deadline, membership.advance(deadline))

    def _note(self, port: int, now: Instant, output: Output) -> None:
        for change in output.changes:
            history = self._history.setdefault((port, change.group), [])
            history.append((now, change.filter))
            del history[:-8]


def _frame(message: MembershipMessage, ip_version: int, number: int) -> bytes:
    mac = MacAddress(b"\x02\0\0\0\3" + bytes((number,)))
    if ip_version == 4:
        return igmp.message_frame(message, mac, IPv4Address("10.0.0.0") + number)
    return mld.message_frame(message, mac, IPv6Address("fe80::") + number)


def _now() -> Instant:
    return Instant(time.monotonic())
