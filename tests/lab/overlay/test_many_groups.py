"""Ten thousand groups behind one node: all nodes learn of them. ``make soak`` measures joins of others meanwhile."""

from __future__ import annotations

import socket
import statistics
from ipaddress import IPv4Address

import pytest

from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from lab.waiting import wait_until
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import ANSWER_LIMIT_S, wait_members, wait_received
from treecast.api.client import fetch_groups
from treecast.base.addresses import MacAddress
from treecast.wire import igmp
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

pytestmark = pytest.mark.alone

GROUPS = 10_000
RECORDS = 100
"""Records in a report."""
FIRST = IPv4Address("239.100.0.0")
HOST = MacAddress(bytes.fromhex("02aa00000001"))
STREAM, PORT = "239.20.5.5", 5007
LEARNED_LIMIT_S = 40.0
JOIN_LIMIT_MS = 200.0
"""A join takes 50 ms alone; here two cores also carry ten thousand joins to three nodes."""
LEAST_BYTES, MOST_BYTES = 10, 500
"""Bytes on the wire for one group and one other node, of a chunk with many and its acknowledgement."""


def report(node: TreecastNode, kind: RecordType) -> None:
    """A host on the node's TAP joins or leaves all groups, some in each report."""
    source = IPv4Address(node.ipv4) + 5000
    with node.machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with own:
        own.bind((INTERFACE, 0))
        for first in range(0, GROUPS, RECORDS):
            records = tuple(GroupRecord(kind, FIRST + first + number) for number in range(RECORDS))
            own.send(igmp.message_frame(MembershipReport(records), HOST, source))


def known(node: TreecastNode) -> int:
    rows = fetch_groups(node.directory, ANSWER_LIMIT_S)
    return sum(
        row.members != [] and FIRST <= IPv4Address(row.group) < FIRST + GROUPS for row in rows if ":" not in row.group
    )


def test_ten_thousand_groups_are_learned_by_all_in_few_bytes_and_forgotten(overlay: OverlayFactory) -> None:
    root, many, other = overlay(3).nodes
    before = many.machine.counters().tx_bytes
    report(many, RecordType.CHANGE_TO_EXCLUDE_MODE)
    wait_until(lambda: known(other) == GROUPS, LEARNED_LIMIT_S, "all is known", poll_s=0.5)
    sent = (many.machine.counters().tx_bytes - before) / GROUPS / 2
    print(f"\n{GROUPS} groups: {sent:.0f} bytes each to each")
    assert LEAST_BYTES < sent < MOST_BYTES
    report(many, RecordType.CHANGE_TO_INCLUDE_MODE)
    wait_until(lambda: known(root) == 0, LEARNED_LIMIT_S, "all have left", poll_s=0.5)


@pytest.mark.soak
def test_joins_of_ten_thousand_groups_slow_nobody_down(overlay: OverlayFactory) -> None:
    root, many, other = overlay(3).nodes
    stream = Sender(root.machine, STREAM, PORT, interface=INTERFACE, rate_pps=1000)
    report(many, RecordType.CHANGE_TO_EXCLUDE_MODE)
    joins_ms: list[float] = []
    while len(joins_ms) < 10:
        receiver = Receiver(other.machine, STREAM, PORT, interface=INTERFACE)
        wait_received(receiver, 1)
        joins_ms.append(receiver.stop().join_ns / 1e6)
        wait_members(root, STREAM, set(), LEARNED_LIMIT_S)
    stream.stop()
    print(f"\njoins meanwhile: median {statistics.median(joins_ms):.1f}, most {max(joins_ms):.1f} ms")
    assert statistics.median(joins_ms) <= JOIN_LIMIT_MS
