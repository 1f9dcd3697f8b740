"""A stream goes on, datagram for datagram, while what its receiver's node wants of the group changes round it."""

from __future__ import annotations

import socket
from functools import partial
from ipaddress import IPv4Address, ip_address

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from tests.lab.overlay.asking import LIMIT_S, drops, grown, wait_received
from tests.lab.overlay.kernel_drops import kernel_drops
from treecast.api.client import fetch_groups
from treecast.base.addresses import MacAddress
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType
from treecast.wire.igmp import message_frame

GROUP, PORT = ip_address("239.69.0.1"), 5012
RATE_PPS = 8000
CHANGES = 60
BESIDE, BESIDE_MAC = IPv4Address("10.77.0.199"), MacAddress.parse("02:00:00:00:00:99")
"""Another host behind the receiver's node, whose reports alone are there."""


def test_a_source_loses_nothing_while_its_receiver_s_node_goes_from_all_sources_to_this_one_and_back(
    mesh: Overlay,
) -> None:
    """The kernel of n1 includes the source all the time; a host beside it excludes none, or wants nothing, in turn."""
    root, node = mesh[0], mesh[1]
    receiver = Receiver(node.machine, str(GROUP), PORT, interface=INTERFACE, sources=(root.ipv4,))
    wait_until(lambda: sources_of(mesh) == {root.ipv4}, LIMIT_S, "n0 knows that n1 includes it")
    stream = Sender(root.machine, str(GROUP), PORT, interface=INTERFACE, rate_pps=RATE_PPS, batch=1)
    wait_received(receiver, 1)
    with node.machine.enter():
        beside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        beside.bind((INTERFACE, 0))
    on_the_way = mesh.nodes[:2]
    before = [drops(node) | kernel_drops(node.machine) for node in on_the_way]
    with beside:
        for _ in range(CHANGES // 2):
            for kind, expected in (
                (RecordType.CHANGE_TO_EXCLUDE_MODE, {"*"}),
                (RecordType.CHANGE_TO_INCLUDE_MODE, {root.ipv4}),
            ):
                report = MembershipReport((GroupRecord(kind, GROUP),))
                beside.send(message_frame(report, BESIDE_MAC, BESIDE))
                wait_until(partial(has_sources, mesh, expected), LIMIT_S, "n0 knows", poll_s=0.005)
    sent, got = stream.stop(), receiver.stop()
    after = [drops(node) | kernel_drops(node.machine) for node in on_the_way]
    dropped = [grown(*both) for both in zip(before, after, strict=True)]
    account = f"{CHANGES} changes beside {sent.sent} datagrams: {got.lost} lost, {got.duplicated} twice; {dropped}"
    print(f"\n{account}; {got.socket_drops} refused by the receiver's buffer")
    assert (got.lost, got.duplicated) == (0, 0), account


def has_sources(mesh: Overlay, expected: set[str]) -> bool:
    return sources_of(mesh) == expected


def sources_of(mesh: Overlay) -> set[str]:
    """The sources from which n1 wants the group, as n0 knows it; ``*`` for any."""
    rows = [row for row in fetch_groups(mesh[0].directory) if row.group == str(GROUP)]
    return {row.source for row in rows if "n1" in [member.node for member in row.members]}
