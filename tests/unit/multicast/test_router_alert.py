"""IGMP without the Router Alert option: taken as common hosts and switches send it, or refused where that is set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.multicast.virtual_port import TO_EX, VirtualPort, exclude, include
from treecast.multicast import IGMP, MembershipConfig
from treecast.wire import ethernet, ipv4
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
)


def without_router_alert(port: VirtualPort, message: MembershipMessage, host: int) -> EthernetFrame:
    frame = ethernet.parse(port.frame(message, host))
    packet = replace(ipv4.parse(frame.payload), options=b"")
    return replace(frame, payload=ipv4.emit(packet))


def messages(port: VirtualPort) -> list[MembershipMessage]:
    """A join in version 3, one in version 2, a leave of it, and a query."""
    joined = MembershipReport((GroupRecord(TO_EX, port.group(1)),))
    query = MembershipQuery(3, port.group(1), 1, False, 2, 125)
    return [joined, OlderReport(2, port.group(2)), LeaveGroup(port.group(2)), query]


def test_joins_leaves_and_queries_without_router_alert_count_like_any() -> None:
    port = VirtualPort(IGMP).started()
    for message in messages(port):
        port.router.receive(port.now, without_router_alert(port, message, 1))
    assert port.filter(1) == exclude()
    assert port.router.counts().queries_received == 1
    port.run(10)
    assert port.filter(2) == include()
    assert port.drops.snapshot() == {}


@pytest.mark.parametrize("alert", [True, False], ids=["with-router-alert", "without"])
def test_router_alert_is_required_where_that_is_set(alert: bool) -> None:
    port = VirtualPort(IGMP, MembershipConfig(require_router_alert=True)).started()
    for message in messages(port):
        frame = port.frame(message, 1) if alert else without_router_alert(port, message, 1)
        port.router.receive(port.now, frame)
    assert port.filter(1) == (exclude() if alert else include())
    assert port.drops.snapshot() == ({} if alert else {"igmp_no_router_alert": 4})


def test_igmpv1_needs_none_even_where_it_is_required() -> None:
    port = VirtualPort(IGMP, MembershipConfig(require_router_alert=True)).started()
    port.older_report(1)
    assert port.filter(1) == exclude()
