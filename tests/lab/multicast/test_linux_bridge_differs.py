"""Where a Linux bridge does not do what the RFC asks of a router, and we do: each kind once, with the RFC's words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.lab.multicast.linux_bridge import LinuxBridge
from tests.lab.multicast.twins import CONFIG, Twins
from treecast.base.addresses import IPAddress
from treecast.wire.group_membership import LeaveGroup, MembershipQuery, RecordType

IS_IN, IS_EX = RecordType.MODE_IS_INCLUDE, RecordType.MODE_IS_EXCLUDE
TO_IN, TO_EX = RecordType.CHANGE_TO_INCLUDE_MODE, RecordType.CHANGE_TO_EXCLUDE_MODE
ALLOW, BLOCK = RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES
FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["igmp", "mld"])
SOURCES: dict[int, IPAddress] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
FIRST_GROUP: dict[int, IPAddress] = {4: IPv4Address("239.9.0.0"), 6: IPv6Address("ff15::9:0")}
A_LEAVE_S = CONFIG.intervals.last_member_query_time + 0.2


@pytest.fixture(scope="module")
def bridge() -> Iterator[LinuxBridge]:
    made = LinuxBridge(CONFIG)
    yield made
    made.close()


class Story:
    """One group at port 1 with one source: ``decided`` is (what the bridge does, what we do)."""

    def __init__(self, bridge: LinuxBridge, version: int, number: int) -> None:
        self.twins = Twins(CONFIG, bridge)
        self.version = version
        self.source: IPAddress = SOURCES[version]
        self.group: IPAddress = FIRST_GROUP[version] + number

    def report(self, received: RecordType, *sources: IPAddress, port: int = 1, host: int = 1) -> None:
        self.twins.report(port, host, received, self.group, sources)

    def decided(self, source: IPAddress | None = None) -> tuple[bool, bool]:
        asked = source or self.source
        theirs = (1, asked, self.group) in self.twins.bridge.forwarded([(asked, self.group)])
        return theirs, self.twins.filter(1, self.group).accepts(asked)

    def wait(self, duration_s: float) -> None:
        self.twins.pause(time.monotonic() + duration_s)


@FAMILIES
def test_an_older_report_means_any_source_also_where_sources_were_included(bridge: LinuxBridge, version: int) -> None:
    """RFC 9776 section 7.3.2, RFC 9777 section 8.3.2: an older report is "equivalent to" IS_EX ({}). The bridge
    starts the group timer but stays in INCLUDE mode: an IGMPv2 host gets only the sources that others included."""
    story = Story(bridge, version, 1)
    story.report(ALLOW, story.source)
    story.twins.older_report(1, 2, story.group)
    assert story.decided(story.source + 1) == (False, True)


@FAMILIES
def test_an_older_leave_puts_included_sources_in_doubt(bridge: LinuxBridge, version: int) -> None:
    """The same sections: an older leave is TO_IN ({}), and the table says "INCLUDE (A) TO_IN (B): Send Q(G,A-B)",
    so A's timers are lowered to the last-member query time. The bridge lowers the group's timer, which INCLUDE
    mode does not use."""
    story = Story(bridge, version, 2)
    story.report(ALLOW, story.source)
    story.twins.hear(1, 2, LeaveGroup(story.group), version)
    story.wait(A_LEAVE_S)
    assert story.decided() == (True, False)


@FAMILIES
def test_a_block_is_ignored_while_an_older_host_is_present(bridge: LinuxBridge, version: int) -> None:
    """The same sections: in the older compatibility mode the router "ignores" BLOCK, and the source list of TO_EX,
    for the older host cannot say that it still wants the source. The bridge has no compatibility mode."""
    story = Story(bridge, version, 3)
    story.twins.older_report(1, 1, story.group)
    story.report(BLOCK, story.source, host=2)
    story.wait(A_LEAVE_S)
    assert story.decided() == (False, True)


@FAMILIES
def test_the_sources_of_a_mode_change_are_ignored_while_an_older_host_is_present(
    bridge: LinuxBridge, version: int
) -> None:
    story = Story(bridge, version, 4)
    story.twins.older_report(1, 1, story.group)
    story.report(TO_EX, story.source, host=2)
    story.wait(A_LEAVE_S)
    assert story.decided() == (False, True)


@FAMILIES
def test_a_source_query_of_another_router_lowers_the_source_s_timer(bridge: LinuxBridge, version: int) -> None:
    """RFC 9776 section 6.6.1: "When a router sends or receives a query with a clear Suppress Router-Side Processing
    flag, it must update its timers to reflect the correct timeout values for the group or sources being queried."
    The bridge ignores queries with sources."""
    story = Story(bridge, version, 5)
    story.report(ALLOW, story.source)
    response = CONFIG.last_member_query_interval
    newest = 3 if version == 4 else 2
    query = MembershipQuery(newest, story.group, response, False, 2, 1, sources=(story.source,))
    story.twins.receive_router(query, version)
    story.wait(A_LEAVE_S)
    assert story.decided() == (True, False)


@FAMILIES
def test_only_the_querier_acts_on_a_doubt(bridge: LinuxBridge, version: int) -> None:
    """RFC 9777 section 7.6.3.2: "When a table action 'Send Q(MA,X)' is encountered by the Querier ... lower source
    timer to LLQT". The bridge lowers it also where another router is the querier and will ask: that router's query
    may be lost, and then the bridge ends what others on the port still want."""
    story = Story(bridge, version, 6)
    newest = 3 if version == 4 else 2
    general = MembershipQuery(newest, type(story.group)(0), 0.6, False, 2, 1)
    story.twins.receive_router(general, version)
    story.report(ALLOW, story.source)
    story.report(BLOCK, story.source)
    story.wait(A_LEAVE_S)
    assert story.decided() == (False, True)
    story.wait(CONFIG.intervals.other_querier_present_interval)  # the bridge asks again, for the next test


@FAMILIES
def test_a_query_for_a_group_elects_its_sender_too(bridge: LinuxBridge, version: int) -> None:
    """RFC 9776 section 6.6.2: a router that receives "a query" with a lower address than its own "ceases to send
    queries". The bridge heeds only general queries, and goes on as a second querier."""
    story = Story(bridge, version, 8)
    story.twins.older_report(1, 1, story.group)
    newest = 3 if version == 4 else 2
    other_group = story.group + 1
    story.twins.receive_router(MembershipQuery(newest, other_group, 0.6, False, 2, 1), version)
    story.twins.hear(1, 1, LeaveGroup(story.group), version)
    story.wait(A_LEAVE_S)
    assert story.decided() == (False, True)


@FAMILIES
def test_a_port_that_excludes_nothing_gets_every_source(bridge: LinuxBridge, version: int) -> None:
    """RFC 9776 section 6.3, EXCLUDE: forward all sources but those whose timers have run out. The bridge keeps a
    second table of (S,G); port 1, which blocked S there, stops to exclude it and is deleted from it, but is not put
    back while port 2 has an entry, so S is lost to port 1 while the bridge's own row for the group says EXCLUDE {}."""
    story = Story(bridge, version, 7)
    story.report(ALLOW, story.source, port=2)
    story.report(IS_EX, story.source)
    story.report(IS_EX)
    assert story.decided() == (False, True)
