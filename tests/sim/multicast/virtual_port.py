"""A router on a port in virtual time: whole frames go in, decoded queries and changes come out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.multicast import IGMP, GroupMembershipRouter, GroupView, MembershipConfig, Output, PortSource, Protocol
from treecast.wire import ethernet, igmp, mld
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
)

ROUTER_MAC = MacAddress(b"\x02\0\0\0\0\xfe")
IS_IN, IS_EX = RecordType.MODE_IS_INCLUDE, RecordType.MODE_IS_EXCLUDE
TO_IN, TO_EX = RecordType.CHANGE_TO_INCLUDE_MODE, RecordType.CHANGE_TO_EXCLUDE_MODE
ALLOW, BLOCK = RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES


def include(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def exclude(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.EXCLUDE, frozenset(sources))


@dataclass(frozen=True, slots=True)
class Sent:
    """A query the router sent, and when."""

    at: float
    query: MembershipQuery


class VirtualPort:
    """``hosts`` are small numbers; so are ``group(n)`` and ``source(n)``."""

    def __init__(self, protocol: Protocol = IGMP, config: MembershipConfig | None = None) -> None:
        self.protocol = protocol
        self.now = Instant(1000.0)
        self.drops = Drops()
        address = IPv4Address("10.0.0.100") if protocol is IGMP else IPv6Address("fe80::64")
        source = PortSource(ROUTER_MAC, address)
        self.router = GroupMembershipRouter(protocol, config or MembershipConfig(), source, self.drops)
        self.sent: list[Sent] = []
        self.changes: list[tuple[float, IPAddress, SourceFilter]] = []

    def group(self, number: int = 1) -> IPAddress:
        if self.protocol is IGMP:
            return IPv4Address("239.1.0.0") + number
        return IPv6Address("ff15::") + number

    def source(self, number: int) -> IPAddress:
        if self.protocol is IGMP:
            return IPv4Address("192.0.2.0") + number
        return IPv6Address("2001:db8::") + number

    def sources(self, numbers: Iterable[int]) -> tuple[IPAddress, ...]:
        return tuple(self.source(number) for number in numbers)

    def host_address(self, host: int) -> IPAddress:
        return IPv4Address("10.0.0.0") + host if self.protocol is IGMP else IPv6Address("fe80::") + host

    def frame(self, message: MembershipMessage, host: int) -> bytes:
        mac = MacAddress(b"\x02\0\0\0\0" + bytes((host,)))
        address = self.host_address(host)
        if isinstance(address, IPv4Address):
            return igmp.message_frame(message, mac, address)
        return mld.message_frame(message, mac, address)

    # Inputs.

    def start(self) -> list[MembershipQuery]:
        return self._note(self.router.start(self.now))

    def started(self) -> VirtualPort:
        """The port after start-up, with nothing noted: hosts have had their time to answer the first query."""
        self.start()
        self.run(60)
        self.sent.clear()
        return self

    def hear(self, message: MembershipMessage, host: int = 1) -> list[MembershipQuery]:
        """A host's or router's message arrives now; returns the queries sent at once."""
        return self.hear_frame(self.frame(message, host))

    def hear_frame(self, frame: bytes) -> list[MembershipQuery]:
        """Bytes arrive now; returns the queries sent at once."""
        return self._note(self.router.receive(self.now, frame))

    def report(
        self, received: RecordType, sources: Iterable[int] = (), *, group: int = 1, host: int = 1
    ) -> list[MembershipQuery]:
        record = GroupRecord(received, self.group(group), self.sources(sources))
        return self.hear(MembershipReport((record,)), host)

    def older_report(self, version: int, *, group: int = 1, host: int = 1) -> list[MembershipQuery]:
        return self.hear(OlderReport(version, self.group(group)), host)

    def leave(self, *, group: int = 1, host: int = 1) -> list[MembershipQuery]:
        return self.hear(LeaveGroup(self.group(group)), host)

    def run(self, duration: float) -> list[Sent]:
        """Let time pass, waking the router exactly when it asked to be; returns the queries of that time."""
        end = Instant(self.now + duration)
        first = len(self.sent)
        while (deadline := self.router.next_deadline()) is not None and deadline <= end:
            assert deadline >= self.now
            self.now = deadline
            self._note(self.router.advance(self.now))
            again = self.router.next_deadline()
            assert again is None or again > self.now, "a timer that is due was not run"
        self.now = end
        return self.sent[first:]

    # The router's state.

    def filter(self, group: int = 1) -> SourceFilter:
        return self.router.filters().get(self.group(group), include())

    def view(self, group: int = 1) -> GroupView:
        return next(view for view in self.router.groups() if view.group == self.group(group))

    def timers(self, group: int = 1) -> dict[IPAddress, float | None]:
        """Seconds left per source; None: excluded."""
        sources = self.view(group).sources
        return {view.source: None if view.expires is None else round(view.expires - self.now, 6) for view in sources}

    def group_timer(self, group: int = 1) -> float | None:
        expires = self.view(group).expires
        return None if expires is None else round(expires - self.now, 6)

    def _note(self, output: Output) -> list[MembershipQuery]:
        queries = [self._decode(frame) for frame in output.frames]
        self.sent += [Sent(self.now, query) for query in queries]
        self.changes += [(self.now, change.group, change.filter) for change in output.changes]
        return queries

    def _decode(self, frame: bytes) -> MembershipQuery:
        received = self.protocol.parse_frame(ethernet.parse(frame))
        assert received.source_mac == ROUTER_MAC
        assert isinstance(received.message, MembershipQuery)
        return received.message


def specific(queries: Sequence[MembershipQuery]) -> list[tuple[tuple[IPAddress, ...], bool]]:
    """Sources and S flag of the queries that name a group."""
    return [(query.sources, query.suppress) for query in queries if not query.is_general]
