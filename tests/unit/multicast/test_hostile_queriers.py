"""Any host of a LAN may say that it is the querier: its values count within bounds, or not at all."""

from __future__ import annotations

import pytest

from tests.sim.multicast.virtual_port import TO_EX, VirtualPort, include
from tests.unit.multicast.test_querier import BOTH, LOWER, about, general
from treecast.multicast import MembershipConfig, Protocol
from treecast.wire.group_membership import MembershipQuery


@BOTH
def test_a_querier_that_says_nine_hours_does_not_make_memberships_endless(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port, robustness=7, query_interval=31_744), host=LOWER)
    port.report(TO_EX, host=5)
    assert port.group_timer() == 7 * 600 + 10
    port.run(7 * 600 + 11)
    assert port.filter() == include()


@BOTH
def test_a_querier_slower_than_that_loses_the_duty_before_the_memberships_of_hosts_that_answer_end(
    protocol: Protocol,
) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port, robustness=2, query_interval=31_744), host=LOWER)
    port.report(TO_EX, host=5)
    began = port.now
    assert [sent.at - began for sent in port.run(1_209)] == [2 * 600 + 10 / 2]
    port.report(TO_EX, host=5)
    port.run(200)
    assert port.filter() != include()


@BOTH
@pytest.mark.parametrize("robustness", [1, 2])
def test_a_querier_that_says_one_second_does_not_end_memberships_at_once(protocol: Protocol, robustness: int) -> None:
    port = VirtualPort(protocol).started()
    hasty = MembershipQuery(protocol.newest_version, protocol.general, 0.1, False, robustness, 1)
    port.hear(hasty, host=LOWER)
    port.report(TO_EX, host=5)
    assert port.group_timer() == 2 * 5 + 1
    port.run(10)
    assert port.filter() != include()


@BOTH
@pytest.mark.parametrize(("query_interval", "response_time"), [(1, 0.1), (125, 10), (31_744, 3_072)])
def test_when_a_querier_has_fallen_silent_all_answers_come_before_memberships_end(
    protocol: Protocol, query_interval: float, response_time: float
) -> None:
    port = VirtualPort(protocol).started()
    silent = MembershipQuery(protocol.newest_version, protocol.general, response_time, False, 2, query_interval)
    port.hear(silent, host=LOWER)
    port.report(TO_EX, host=5)  # the earliest answer
    end = port.now + (port.group_timer() or 0.0)
    asked, *_ = port.run(end - port.now)
    assert asked.at + asked.query.max_response_time < end


@BOTH
def test_values_as_low_as_the_node_s_own_are_adopted(protocol: Protocol) -> None:
    config = MembershipConfig(query_interval=2, query_response_interval=0.5, startup_query_interval=2)
    port = VirtualPort(protocol, config).started()
    port.hear(MembershipQuery(protocol.newest_version, protocol.general, 0.1, False, 2, 1), host=LOWER)
    port.report(TO_EX, host=5)
    assert port.group_timer() == 2 * 2 + 0.5


@BOTH
def test_a_querier_that_leaves_hosts_an_hour_to_answer_keeps_memberships_for_no_hour(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    patient = MembershipQuery(protocol.newest_version, protocol.general, 3_072, False, 2, 125)
    port.hear(patient, host=LOWER)
    port.report(TO_EX, host=5)
    assert port.group_timer() == 2 * 125 + 25.5


@BOTH
def test_a_node_that_trusts_no_querier_stays_one_with_its_own_values(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(trust_queriers=False)).started()
    port.report(TO_EX, host=5)
    for _ in range(30):
        port.hear(general(port, robustness=7, query_interval=31_744), host=LOWER)
        port.run(10)
    querier = port.router.querier()
    assert (querier.is_querier, querier.robustness, querier.query_interval) == (True, 2, 125)
    assert len(port.sent) == 2, "300 s"


@BOTH
def test_queries_of_others_lower_no_timer_of_a_node_that_trusts_no_querier(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(trust_queriers=False)).started()
    port.report(TO_EX, host=5)
    port.hear(about(port), host=LOWER)
    assert port.group_timer() == 260
