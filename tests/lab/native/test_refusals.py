"""Commands that a real data plane refuses: each is named with its reason, the others of the batch are carried out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest

from lab import Lab
from treecast.adapters.native import DataPlane
from treecast.adapters.native_records import emit_commands
from treecast.adapters.noise import NoiseFactory
from treecast.base import commands as c
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import (
    Command,
    CreateTree,
    RemoveTree,
    SetHost,
    SetPortForwarding,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.downstream_commands import AcceptKey
from treecast.base.events import CommandRefusalReason
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.limits import MAX_REMOTE_HOSTS, MAX_ROOT_TREES
from treecast.identity.keys import SigningKey
from treecast.identity.network import new_network

EPOCH, KEY, PEER = TreeEpoch(1), KeyId(1), NodeIndex(2)
NETWORK = new_network("lab", "10.77.0.0/16", None, bytes(32), bytes(32))
MAC = MacAddress.parse("02:00:00:00:00:07")


@pytest.fixture(scope="module")
def plane() -> Iterator[DataPlane]:
    with Lab() as lab:
        machine = lab.machine("n0", lab.switch())
        with machine.enter():
            own = DataPlane(
                node_index=NodeIndex(1),
                network=NETWORK,
                signing_key=SigningKey(bytes(32)),
                interface="tc0",
                mac=MacAddress.parse("02:00:00:00:00:01"),
                mtu=1374,
                underlay_mtu=1500,
                listen=[Endpoint(IPv4Address(machine.underlay_ipv4), 7700)],
                workers=1,
            )
        yield own
        own.stop()


def refused(plane: DataPlane, *commands: Command) -> list[tuple[Command, CommandRefusalReason]]:
    return [(refusal.command, refusal.reason) for refusal in plane.carry_out(commands)]


def test_what_is_not_there_or_cannot_be_costs_itself_only(plane: DataPlane) -> None:
    unknown, no_offer = UseKey(StreamId(9), KEY), AcceptKey(PEER, StreamId(9), KEY, None, b"")
    no_port = SetPortForwarding(3, on=True)
    with_itself = SetTreeMembers(StreamId(1), (NodeIndex(1),), ())
    group = IPv4Address("239.1.1.1")
    commands = (CreateTree(StreamId(1), EPOCH, KEY), unknown, no_offer, no_port, with_itself)
    assert refused(plane, *commands, SetRoute(0, group, None, StreamId(1))) == [
        (unknown, CommandRefusalReason.UNKNOWN),
        (no_offer, CommandRefusalReason.UNKNOWN),
        (no_port, CommandRefusalReason.INVALID),
        (with_itself, CommandRefusalReason.INVALID),
    ]
    assert group in [flow.group for flow, _ in plane.sent_by_flow()], "the last one was carried out"


def test_a_tree_too_many_is_refused_and_what_follows_it_carried_out(plane: DataPlane) -> None:
    trees = [CreateTree(StreamId(number), EPOCH, KEY) for number in range(1, MAX_ROOT_TREES + 2)]
    members = SetTreeMembers(trees[-1].stream, (PEER,), ())
    assert refused(plane, *trees, members, SetHost(0, MAC, PEER)) == [
        (trees[-1], CommandRefusalReason.TABLE_FULL),
        (members, CommandRefusalReason.UNKNOWN),
    ]


def test_records_that_are_no_commands_are_refused_and_carry_out_nothing(plane: DataPlane) -> None:
    rng, group = Random(3), IPv4Address("239.1.1.2")
    assert not refused(plane, CreateTree(StreamId(1), EPOCH, KEY), SetRoute(0, group, None, StreamId(1)))
    records = emit_commands([c.RemoveRoute(0, group, None)], lambda _: 0) + b"\0"
    for broken in (records, records[:-2], b"", b"\xdd\xff\xff\xff\xff", *(rng.randbytes(40) for _ in range(200))):
        try:
            refusals = plane.native.apply(broken, [])
        except ValueError as error:
            assert str(error) == "no array of commands"
        else:
            assert all(reason == "invalid" for _, reason, _ in refusals)
    assert group in [flow.group for flow, _ in plane.sent_by_flow()], "its route is there"


def test_a_command_of_impossible_values_costs_itself_only(plane: DataPlane) -> None:
    endpoint = Endpoint(IPv4Address("192.0.2.1"), 7700)
    unfinished = NoiseFactory(bytes(range(32)), NETWORK).initiate(7)
    impossible: list[Command] = [
        SetHost(65536, MAC, PEER),
        SetHost(0, MAC, NodeIndex(-1)),
        c.SendDatagram(0, Endpoint(IPv6Address("fe80::1%no-number"), 7700), b"x"),
        c.InstallSession("no handshake", 7, PEER, 0, endpoint, 1, confirmed=True),
        c.InstallSession(unfinished, 7, PEER, 0, endpoint, 1, confirmed=True),
        c.InstallSession(unfinished, 8, PEER, 0, endpoint, 1, confirmed=True),
    ]
    allowed = (SetHost(0, MAC, PEER), RemoveTree(StreamId(7)))
    refusals = plane.carry_out([allowed[0], *impossible, allowed[1]])
    assert sorted(map(repr, (refusal.command for refusal in refusals))) == sorted(map(repr, impossible))
    assert {refusal.reason for refusal in refusals} == {CommandRefusalReason.INVALID}


def test_hosts_of_one_turn_are_written_together_with_what_comes_between_in_its_order(plane: DataPlane) -> None:
    """One more than fit is refused; what is removed between makes room."""
    numbers = range(MAX_REMOTE_HOSTS + 1)
    hosts = [SetHost(7, MacAddress(b"\x02\0" + number.to_bytes(4, "big")), PEER) for number in numbers]
    ((late, reason),) = refused(plane, c.ForgetPeer(PEER), *hosts)
    assert isinstance(late, SetHost)
    assert reason == CommandRefusalReason.TABLE_FULL
    first = hosts[0] if hosts[0] != late else hosts[1]
    assert len(refused(plane, c.RemoveHost(7, first.mac), late, first)) == 1
    assert refused(plane, late, c.ForgetPeer(PEER), late, first) in ([], [(late, CommandRefusalReason.TABLE_FULL)])
    assert refused(plane, late, first) == []


def test_routes_of_one_turn_are_set_together_with_what_comes_between_in_its_order(plane: DataPlane) -> None:
    """One more than fit is refused; a route that is removed between makes room, and its tree may be made there, too."""
    tree = CreateTree(StreamId(7), EPOCH, KEY)
    groups = [IPv4Address(0xEF000000 + number) for number in range(MAX_ROOT_TREES)]
    known = [flow for flow, _ in plane.sent_by_flow()]
    routes = [SetRoute(7, group, None, tree.stream) for group in groups]
    late = SetRoute(7, IPv4Address("232.0.0.1"), None, tree.stream)
    begin = [c.RemoveRoute(flow.vlan, flow.group, flow.source) for flow in known]
    between = (tree, SetTreeMembers(tree.stream, (PEER,), ()), c.RemoveRoute(7, groups[0], None))
    assert not refused(plane, *begin, *routes, *between, late)
    assert refused(plane, routes[0]) == [(routes[0], CommandRefusalReason.TABLE_FULL)]
    assert {flow.group for flow, _ in plane.sent_by_flow()} == {late.group, *groups[1:]}
    assert not refused(plane, *(c.RemoveRoute(7, group, None) for group in (late.group, *groups)))
