"""VLANs of a node's hosts: their listeners are queried when any frame shows the VLAN, and after a restart."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.engine.meshes import two
from treecast.base.addresses import MacAddress
from treecast.base.commands import Inject
from treecast.base.events import HostSeen, TapFrame
from treecast.base.lan import BridgedLan
from treecast.base.storm_control import NO_LIMITS
from treecast.multicast import TAP
from treecast.sim.world import SimNode, World
from treecast.wire import arp, ethernet
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag

HOST = MacAddress.parse("00:00:5e:00:53:01")
LAN = BridgedLan(MacAddress.parse("00:00:5e:00:53:99"), (), NO_LIMITS)
VLAN = 7
BROADCAST, NOBODY = MacAddress(b"\xff" * 6), MacAddress(bytes(6))


def bridge(world: World, node: SimNode) -> None:
    node.carry_out(node.engine.enter_switch_mode(world.underlay.now, TAP, LAN))
    world.run(5.0)
    assert TAP not in node.forwarder.blocked


def request(sender: MacAddress) -> bytes:
    packet = ArpPacket(ArpOperation.REQUEST, sender, IPv4Address("10.7.0.2"), NOBODY, IPv4Address("10.7.0.99"))
    frame = EthernetFrame(BROADCAST, sender, EtherType.ARP, arp.emit(packet), VlanTag(VLAN))
    return ethernet.emit(frame)


def test_a_vlan_is_queried_at_the_first_frame_of_a_host_in_it_whatever_that_is() -> None:
    for event in (HostSeen(TAP, VLAN, HOST), TapFrame(TAP, request(HOST))):
        _, first, _ = two()
        commands = first.engine.turn(first.now, [event])
        queried = [ethernet.parse(command.frame) for command in commands if isinstance(command, Inject)]
        assert {(frame.vlan_id, str(frame.destination)) for frame in queried} == {
            (VLAN, "01:00:5e:00:00:01"),
            (VLAN, "33:33:00:00:00:01"),
        }
        assert first.engine.view.vlans() == (VLAN,)


def test_what_another_node_sends_into_a_vlan_of_a_shared_lan_begins_none() -> None:
    world, first, second = two()
    bridge(world, first)
    other = second.identity.certificate.mac
    first.engine.turn(first.now, [HostSeen(TAP, VLAN, other), TapFrame(TAP, request(other))])
    assert first.engine.view.vlans() == ()


def test_vlans_of_an_earlier_run_are_queried_and_end_when_nobody_is_there() -> None:
    world, first, _ = two()
    commands = first.engine.recall_vlans(first.now, (VLAN, 9))
    queried = [ethernet.parse(command.frame) for command in commands if isinstance(command, Inject)]
    assert {frame.vlan_id for frame in queried} == {VLAN, 9}
    first.carry_out(commands)
    first.raise_event(HostSeen(TAP, VLAN, HOST))
    world.run(200.0)
    first.raise_event(HostSeen(TAP, VLAN, HOST))
    world.run(200.0)
    assert first.engine.view.vlans() == (VLAN,)
