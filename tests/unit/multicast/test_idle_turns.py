"""The work of a turn for VLANs, groups and queries of which nothing is due: counted, at 100 and at 1,000 of them."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.multicast.virtual_switch import VirtualSwitch
from tests.unit.counting import steps_of
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.multicast import MembershipConfig
from treecast.wire.group_membership import RecordType
from treecast.wire.pim import PimSource

GROUP = IPv4Address("239.1.0.0")
SIZES = (100, 1_000)
LONG_S = 60.0


def idle_turn(switch: VirtualSwitch) -> None:
    """Makes the engine's calls of one turn."""
    switch.note(switch.switch.advance(switch.now))
    assert switch.switch.next_deadline() is not None


def with_vlans(count: int) -> VirtualSwitch:
    """Each has a group; the start-up queries are over."""
    switch = VirtualSwitch(MembershipConfig(max_vlans=2_000))
    for vlan in range(1, count + 1):
        switch.report(GROUP, RecordType.CHANGE_TO_EXCLUDE_MODE, vlan=vlan)
    switch.run(LONG_S)
    return switch


def with_queried_groups(count: int) -> VirtualSwitch:
    """A router has queried for each of many groups that other nodes want, and answers are due within a minute."""
    switch = VirtualSwitch()
    switch.hello(4, hold_time=0xFFFF)
    for number in range(1, count + 1):
        switch.set_proxied(GROUP + number, ANY_SOURCE)
    switch.run(LONG_S)
    for number in range(1, count + 1):
        switch.query(GROUP + number, response=3_000)
    return switch


def with_joins(count: int) -> VirtualSwitch:
    """PIM routers have joined many groups."""
    switch = VirtualSwitch()
    switch.hello(4, hold_time=0xFFFF)
    for number in range(1, count + 1):
        switch.join_prune(GROUP + number, joins=[PimSource(IPv4Address("192.0.2.1"))], hold_time=3_600)
    switch.run(LONG_S)
    return switch


def test_an_idle_turn_touches_as_much_at_1000_vlans_as_at_100() -> None:
    few, many = (steps_of(idle_turn, with_vlans(count)) for count in SIZES)
    assert many <= few * 1.1


def test_a_report_of_one_vlan_touches_as_much_among_1000_as_among_100() -> None:
    def one_report(switch: VirtualSwitch) -> None:
        switch.report(GROUP + 1, RecordType.CHANGE_TO_EXCLUDE_MODE, vlan=7)
        switch.set_proxied(GROUP + 1, ANY_SOURCE, vlan=7)
        assert not switch.switch.has_routers(7)
        assert switch.changes[-1] == (7, GROUP + 1, ANY_SOURCE)

    few, many = (steps_of(one_report, with_vlans(count)) for count in SIZES)
    assert many <= few * 1.1


def test_a_turn_touches_no_query_whose_answer_waits() -> None:
    few, many = (steps_of(idle_turn, with_queried_groups(count)) for count in SIZES)
    assert many <= few * 1.1


def test_a_query_touches_no_other_query_whose_answer_waits() -> None:
    def one_query(switch: VirtualSwitch) -> None:
        switch.query(GROUP + 1, response=3_000)

    few, many = (steps_of(one_query, with_queried_groups(count)) for count in SIZES)
    assert many <= few * 1.1


def test_a_turn_touches_no_join_that_has_time_left() -> None:
    few, many = (steps_of(idle_turn, with_joins(count)) for count in SIZES)
    assert many <= few * 1.1


def test_a_timer_that_raises_costs_other_vlans_nothing() -> None:
    """A bug in one VLAN's work ends the turn; what was due in the others is done in the next one."""
    switch = with_vlans(3)
    (_, _, first), *_ = switch.switch.segments()
    deadline = switch.switch.next_deadline()
    assert deadline is not None
    switch.now = Instant(deadline + LONG_S)
    advance = first.advance
    first.advance = _raise  # type: ignore[method-assign,assignment]
    for _ in range(2):
        try:
            switch.note(switch.switch.advance(switch.now))
        except ZeroDivisionError:
            first.advance = advance  # type: ignore[method-assign]
    queried = {said.vlan for said in switch.said if said.at == switch.now}
    assert queried == {0, 1, 2, 3}


def _raise(now: Instant) -> object:
    raise ZeroDivisionError
