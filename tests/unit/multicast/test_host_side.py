"""Reports beside an older querier: not while hosts answer a query about the group, and repeated after that."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

import pytest

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE
from treecast.base.time import Instant
from treecast.multicast import IGMP, MembershipConfig, host_side
from treecast.multicast.host_side import HostSide
from treecast.multicast.protocol import PortSource
from treecast.wire import ethernet, igmp
from treecast.wire.group_membership import MembershipQuery, OlderReport

ROBUSTNESS = 3
GROUPS: list[IPAddress] = [IPv4Address("239.1.1.1") + number for number in range(3)]


class Wire:
    """A host side, the older querier that it hears, and its reports with the time of each."""

    def __init__(self) -> None:
        source = PortSource(MacAddress(b"\x02\0\0\0\0\x09"), IPv4Address("10.0.0.9"))
        self.side = HostSide(IGMP, MembershipConfig(robustness=ROBUSTNESS), source, Random(1))
        self.now = Instant(100.0)
        self.reports: dict[IPAddress, list[float]] = {}

    def query(self, group: IPAddress, response_time: float) -> None:
        self.side.receive_query(self.now, MembershipQuery(2, group, response_time))

    def run(self, duration: float) -> None:
        end = Instant(self.now + duration)
        while True:
            for frame in self.side.advance(self.now)[0]:
                message = igmp.parse_frame(ethernet.parse(frame)).message
                assert isinstance(message, OlderReport)
                self.reports.setdefault(message.group, []).append(float(self.now))
            due = self.side.next_deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = due


def test_when_the_hosts_have_answered_changes_of_the_group_are_reported_at_once_and_repeated() -> None:
    wire, group = Wire(), GROUPS[0]
    wire.query(group, 1.0)
    wire.run(2.0)
    wire.side.want(wire.now, group, ANY_SOURCE)
    wire.run(10.0)
    assert len(wire.reports[group]) == ROBUSTNESS
    assert wire.reports[group][0] == 102.0


def test_queries_about_so_many_groups_keep_reports_back_and_others_have_room_when_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_side, "MAX_GROUP_QUERIES", 2)
    wire = Wire()
    for group in GROUPS:
        wire.query(group, 5.0)
        wire.side.want(wire.now, group, ANY_SOURCE)
    wire.run(20.0)
    first = [wire.reports[group][0] for group in GROUPS]
    assert first == [105.0, 105.0, 100.0], "beyond the bound a report may silence a host"
    wire.query(GROUPS[2], 5.0)
    wire.side.want(wire.now, GROUPS[2], NO_SOURCE)
    wire.side.want(wire.now, GROUPS[2], ANY_SOURCE)
    wire.run(20.0)
    assert next(at for at in wire.reports[GROUPS[2]] if at >= 120.0) == 125.0
