"""Commands that a real data plane refuses: each is named with its reason, the others of the batch are carried out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from lab import Lab
from lab.planes import NETWORK_ID
from treecast.adapters.native import DataPlane
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import (
    AcceptKey,
    Command,
    CreateTree,
    SetHost,
    SetPortForwarding,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.events import RefusalReason
from treecast.base.ids import KeyId, NetworkId, NodeIndex, TreeEpoch, TreeId
from treecast.dataplane.root_trees import MAX_TREES

EPOCH, KEY, PEER = TreeEpoch(1), KeyId(1), NodeIndex(2)
MAC = MacAddress.parse("02:00:00:00:00:07")


@pytest.fixture(scope="module")
def plane() -> Iterator[DataPlane]:
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        with machine.enter():
            own = DataPlane(
                node_index=NodeIndex(1),
                network_id=NetworkId(NETWORK_ID),
                interface="tc0",
                mac=MacAddress.parse("02:00:00:00:00:01"),
                mtu=1374,
                underlay_mtu=1500,
                listen=[Endpoint(IPv4Address(machine.underlay_ipv4), 7700)],
                workers=1,
            )
        yield own
        own.stop()


def refused(plane: DataPlane, *commands: Command) -> list[tuple[Command, RefusalReason]]:
    return [(refusal.command, refusal.reason) for refusal in plane.carry_out(commands)]


def test_what_is_not_there_or_cannot_be_costs_itself_only(plane: DataPlane) -> None:
    unknown, no_offer = UseKey(TreeId(9), KEY), AcceptKey(PEER, TreeId(9), EPOCH, KEY, b"")
    no_port = SetPortForwarding(3, on=True)
    with_itself = SetTreeMembers(TreeId(1), (NodeIndex(1),), ())
    group = IPv4Address("239.1.1.1")
    commands = (CreateTree(TreeId(1), EPOCH, KEY), unknown, no_offer, no_port, with_itself)
    assert refused(plane, *commands, SetRoute(0, group, None, TreeId(1))) == [
        (unknown, RefusalReason.UNKNOWN),
        (no_offer, RefusalReason.UNKNOWN),
        (no_port, RefusalReason.INVALID),
        (with_itself, RefusalReason.INVALID),
    ]
    assert [flow.group for flow, _ in plane.sent_by_flow()] == [group], "the last one was carried out"


def test_a_tree_too_many_is_refused_and_what_follows_it_carried_out(plane: DataPlane) -> None:
    trees = [CreateTree(TreeId(number), EPOCH, KEY) for number in range(1, MAX_TREES + 2)]
    members = SetTreeMembers(trees[-1].tree_id, (PEER,), ())
    assert refused(plane, *trees, members, SetHost(0, MAC, PEER)) == [
        (trees[-1], RefusalReason.TABLE_FULL),
        (members, RefusalReason.UNKNOWN),
    ]
