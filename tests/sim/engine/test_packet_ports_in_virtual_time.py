"""A node with a packet port beside its TAP, in virtual time: whose groups are whose, and who is told."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.engine.meshes import two
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import Inject, SetPortGroup
from treecast.base.events import CommandRefusalReason, HostSeen, TapFrame
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE
from treecast.base.storm_control import NO_LIMITS
from treecast.identity.rights import DEFAULT_RIGHTS
from treecast.multicast import TAP, PortAddresses
from treecast.sim.world import MAY_BRIDGE, SimNode, World
from treecast.wire import ethernet, igmp
from treecast.wire.beacon import BEACON_ETHERTYPE, BeaconState, parse_beacon
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

PACKET = 1
HOST = MacAddress.parse("00:00:5e:00:53:01")
GROUP, OTHER = IPv4Address("239.1.1.1"), IPv4Address("239.1.1.2")
JOIN, LEAVE = RecordType.CHANGE_TO_EXCLUDE_MODE, RecordType.CHANGE_TO_INCLUDE_MODE
ADDRESSES = PortAddresses(IPv4Address("192.168.1.9"), None)


def open_port(world: World, node: SimNode) -> None:
    commands = node.engine.open_packet_port(world.underlay.now, PACKET, ADDRESSES, NO_LIMITS)
    node.forwarder.carry_out(commands)
    assert PACKET in node.forwarder.blocked, "until its election is won"
    world.run(3.0)
    assert PACKET not in node.forwarder.blocked


def say(node: SimNode, kind: RecordType, group: IPv4Address, port: int = PACKET) -> None:
    report = MembershipReport((GroupRecord(kind, group, ()),))
    node.forwarder.raise_event(TapFrame(port, igmp.message_frame(report, HOST, IPv4Address("192.168.1.7"))))


def subscribers(node: SimNode, group: IPAddress) -> list[NodeIndex]:
    return [m.node for m in node.engine.view.members((0, group)) if m.node != node.index]


def test_groups_of_both_ports_are_the_node_s_and_each_port_is_told_its_own() -> None:
    world, first, second = two()
    first.report(str(OTHER))
    world.run(1.0)
    open_port(world, first)
    assert first.forwarder.selective_ports == {TAP}
    say(first, JOIN, GROUP)
    world.run(1.0)
    assert (subscribers(second, GROUP), subscribers(second, OTHER)) == ([first.index], [first.index])
    assert first.forwarder.port_groups == {(TAP, 0, OTHER): ANY_SOURCE, (PACKET, 0, GROUP): ANY_SOURCE}
    say(first, JOIN, OTHER)
    world.run(1.0)
    say(first, LEAVE, OTHER)
    world.run(5.0)
    assert subscribers(second, OTHER) == [first.index], "the TAP's host is still there"
    assert first.forwarder.port_groups == {(TAP, 0, OTHER): ANY_SOURCE, (PACKET, 0, GROUP): ANY_SOURCE}


def test_a_port_that_is_closed_takes_its_groups_and_hosts_along_and_says_so_on_its_lan() -> None:
    world, first, second = two()
    open_port(world, first)
    say(first, JOIN, GROUP)
    world.run(1.0)
    assert [view.port for view in filter(None, first.engine.view.hosts(world.underlay.now)) if view.mac == HOST] == [
        PACKET
    ]
    commands = first.engine.close_packet_port(world.underlay.now, PACKET)
    first.forwarder.carry_out(commands)
    said = [ethernet.parse(c.frame) for c in commands if isinstance(c, Inject) and c.port == PACKET]
    beacons = [parse_beacon(frame.payload).beacon for frame in said if frame.ethertype == BEACON_ETHERTYPE]
    assert [beacon.state for beacon in beacons] == [BeaconState.SILENT]
    world.run(1.0)
    assert subscribers(second, GROUP) == []
    assert first.forwarder.selective_ports == set()
    assert HOST not in {view.mac for view in filter(None, first.engine.view.hosts(world.underlay.now))}
    open_port(world, first)  # and again
    say(first, JOIN, GROUP)
    world.run(1.0)
    assert subscribers(second, GROUP) == [first.index]


def test_what_comes_from_a_port_after_it_was_closed_leaves_no_host_and_no_membership() -> None:
    world, first, second = two()
    open_port(world, first)
    first.forwarder.carry_out(first.engine.close_packet_port(world.underlay.now, PACKET))
    say(first, JOIN, GROUP)
    first.forwarder.raise_event(HostSeen(PACKET, 0, HOST))
    first.forwarder.raise_event(TapFrame(PACKET, bytes(12) + BEACON_ETHERTYPE.to_bytes(2, "big")))
    world.run(1.0)
    assert first.engine.drops.snapshot()["port_closed"] == 3
    assert subscribers(second, GROUP) == []
    for node in (first, second):
        assert HOST not in {view.mac for view in filter(None, node.engine.view.hosts(world.underlay.now))}
    open_port(world, first)
    say(first, JOIN, GROUP)
    world.run(1.0)
    assert subscribers(second, GROUP) == [first.index], "the next port with its number is heard"


def test_while_another_node_carries_the_lan_its_groups_are_not_this_node_s() -> None:
    world, first, second = two()
    second.forwarder.carry_out(second.engine.open_packet_port(world.underlay.now, PACKET, ADDRESSES, NO_LIMITS))
    first.forwarder.carry_out(first.engine.open_packet_port(world.underlay.now, PACKET, ADDRESSES, NO_LIMITS))
    taken = {node.index: 0 for node in (first, second)}

    def run(duration: float) -> None:
        """Runs both, each receiving what the other injects at its packet port; one of them forwards at most."""
        for _ in range(round(duration / 0.01)):
            world.run(0.01)
            for node, other in ((first, second), (second, first)):
                new = node.forwarder.injected[taken[node.index] :]
                taken[node.index] += len(new)
                for frame in new:
                    if ethernet.parse(frame).ethertype == BEACON_ETHERTYPE:
                        other.forwarder.raise_event(TapFrame(PACKET, frame))
            assert PACKET in first.forwarder.blocked | second.forwarder.blocked

    run(5.0)
    assert PACKET not in first.forwarder.blocked
    for node in (first, second):
        say(node, JOIN, GROUP)
    run(1.0)
    assert subscribers(second, GROUP) == [first.index]
    assert subscribers(first, GROUP) == []
    assert HOST not in {view.mac for view in filter(None, second.engine.view.hosts(world.underlay.now))}


def test_a_group_that_the_data_plane_had_no_room_for_is_sent_to_it_again() -> None:
    world, first, _ = two()
    open_port(world, first)
    first.forwarder.refuses = lambda command: (
        CommandRefusalReason.TABLE_FULL if isinstance(command, SetPortGroup) and command.group == GROUP else None
    )
    say(first, JOIN, GROUP)
    world.run(1.0)
    assert (PACKET, 0, GROUP) not in first.forwarder.port_groups
    first.forwarder.refuses = lambda _: None
    world.run(60.0)
    assert first.forwarder.port_groups[PACKET, 0, GROUP] == ANY_SOURCE


def test_a_lan_is_lost_to_a_lower_node_only_while_its_certificate_has_the_role_bridge() -> None:
    world = World(5)
    member = world.add(rights=DEFAULT_RIGHTS)
    node = world.add(peer=member)
    world.run_until(lambda: node.is_linked(member), 20.0)
    open_port(world, member)
    open_port(world, node)

    def carriers() -> set[NodeIndex | None]:
        """Nodes that carry the LAN to the node, in 3 s in which it gets all beacons of the member."""
        found, taken = set(), len(member.forwarder.injected)
        for _ in range(300):
            world.run(0.01)
            new = member.forwarder.injected[taken:]
            taken += len(new)
            for frame in new:
                node.forwarder.raise_event(TapFrame(PACKET, frame))
            found |= {port.forwarder for port in node.engine.view.lans(world.underlay.now)}
        return found

    assert carriers() == {node.index}
    assert node.engine.drops.snapshot()["beacon_without_role"] >= 5
    renewed = world.certify(member.index, member.identity.keys, not_before_s=1, rights=MAY_BRIDGE)
    member.carry_out(member.engine.renew(member.now, renewed))
    assert member.index in carriers()
    assert PACKET in node.forwarder.blocked
