"""Whole nodes on one LAN, in virtual time: who subscribes, who claims the LAN's hosts, and how fast that changes hands.

::

     host H ---+--- LAN ---+
               |           |
              n1          n2           n3 (no LAN)
               +---- overlay ----------+
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv4Interface

from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.base.events import HostSeen, TapFrame
from treecast.base.ids import NodeIndex
from treecast.base.keep_local import KEEP_ALL, KEEP_NOTHING
from treecast.base.lan import BridgedLan
from treecast.base.storm_control import LAN_LIMITS
from treecast.sim.world import SimNode, World
from treecast.wire import arp, ethernet, igmp
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.beacon import is_beacon
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

HOST = MacAddress.parse("00:00:5e:00:53:01")
FAR_HOST = MacAddress.parse("00:00:5e:00:53:77")
NOBODY = MacAddress(bytes(6))
GROUP = IPv4Address("239.1.1.1")
LAN_IPV4 = IPv4Interface("192.0.2.54/24")
STEP = 0.005


class SharedLan:
    """A LAN that carries each node's injected frames to the others; ``hosts_say`` reaches all."""

    def __init__(self, world: World, *nodes: SimNode) -> None:
        self._world = world
        self._nodes = nodes
        self._taken = {node.index: len(node.forwarder.injected) for node in nodes}
        for node in nodes:
            mac = MacAddress(b"\x00\x00\x5e\x00\x54" + bytes([node.index]))
            node.forwarder.carry_out(
                node.engine.enter_switch_mode(world.underlay.now, 0, BridgedLan(mac, (LAN_IPV4,), LAN_LIMITS))
            )
            node.forwarder.raise_event(HostSeen(0, 0, mac))  # a turn, after which its timer runs

    def run(self, duration: float) -> None:
        for _ in range(round(duration / STEP)):
            self._world.run(STEP)
            for node in self._nodes:
                new = node.forwarder.injected[self._taken[node.index] :]
                self._taken[node.index] += len(new)
                for frame in new if not node.stopped else ():
                    self.hosts_say(frame, without=node)

    def hosts_say(self, frame: bytes, without: SimNode | None = None) -> None:
        for node in self._nodes:
            if node is not without and not node.stopped:
                node.forwarder.raise_event(TapFrame(0, frame))

    def seen(self, mac: MacAddress) -> None:
        for node in self._nodes:
            node.forwarder.raise_event(HostSeen(0, 0, mac))


def three() -> tuple[World, SimNode, SimNode, SimNode]:
    world = World(5)
    first = world.add()
    second, third = world.add(peer=first), world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 2 for node in world.nodes.values()), 20.0)
    return world, first, second, third


def join() -> bytes:
    record = GroupRecord(RecordType.CHANGE_TO_EXCLUDE_MODE, GROUP, ())
    return igmp.message_frame(MembershipReport((record,)), source_mac=HOST, source=IPv4Address("10.99.0.1"))


def subscribers(node: SimNode) -> list[NodeIndex]:
    return [m.node for m in node.engine.view.members((0, GROUP)) if m.node != node.index]


def test_one_node_carries_the_lan_and_the_other_takes_over_with_its_groups_and_hosts_within_3_s() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    assert first.forwarder.blocked == second.forwarder.blocked == {0}
    lan.run(4.0)
    assert (first.forwarder.blocked, second.forwarder.blocked) == (set(), {0})
    lan.hosts_say(join())
    lan.seen(HOST)
    lan.run(1.0)
    assert subscribers(third) == [first.index]
    assert third.forwarder.hosts[(0, HOST.packed)] == first.index
    first.stop()
    lan.run(3.0)
    assert second.forwarder.blocked == set()
    assert second.index in subscribers(third)
    assert third.forwarder.hosts[(0, HOST.packed)] == second.index


def test_a_lower_node_that_comes_later_gets_the_groups_and_the_hosts_and_the_other_gives_them_up() -> None:
    world, first, second, third = three()
    alone = SharedLan(world, second)
    alone.run(3.0)
    alone.hosts_say(join())
    alone.seen(HOST)
    alone.run(1.0)
    assert subscribers(third) == [second.index]
    lan = SharedLan(world, first, second)
    lan.hosts_say(join())
    lan.seen(HOST)
    lan.run(11.0)
    assert (first.forwarder.blocked, second.forwarder.blocked) == ({0}, set())
    lan.run(3.0)
    assert (first.forwarder.blocked, second.forwarder.blocked) == (set(), {0})
    assert subscribers(third) == [first.index]
    assert third.forwarder.hosts[(0, HOST.packed)] == first.index


def test_hosts_of_other_nodes_that_were_heard_through_the_forwarder_are_not_claimed() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    third.forwarder.raise_event(HostSeen(0, 0, FAR_HOST))
    lan.run(4.0)
    assert first.forwarder.hosts[(0, FAR_HOST.packed)] == third.index
    second.forwarder.raise_event(HostSeen(0, 0, FAR_HOST))  # its frame came through n1 and over the LAN
    lan.run(1.0)
    first.stop()
    lan.run(4.0)
    assert second.forwarder.blocked == set()
    assert second.forwarder.hosts[(0, FAR_HOST.packed)] == third.index


def test_queries_and_reports_of_the_other_node_are_no_hosts() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    lan.run(40.0)
    assert second.engine.drops.snapshot()["membership_of_a_node"] > 0
    for node in (first, second):
        assert {segment.routers for segment in node.engine.view.segments()} == {()}
    assert subscribers(third) == []


def test_a_blocked_node_asks_the_hosts_and_answers_nothing() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    third.forwarder.raise_event(HostSeen(0, 0, FAR_HOST))
    lan.run(4.0)
    before = len(second.forwarder.injected)
    question = ArpPacket(ArpOperation.REQUEST, HOST, IPv4Address("10.99.0.1"), NOBODY, IPv4Address("10.77.0.3"))
    lan.hosts_say(ethernet.emit(EthernetFrame(BROADCAST_MAC, HOST, 0x0806, arp.emit(question))))
    lan.run(40.0)
    kinds = Counter(frame[12:14].hex() for frame in second.forwarder.injected[before:])
    assert kinds.keys() == {"88b5", "0800", "86dd"}
    assert 78 <= kinds["88b5"] <= 82
    assert kinds["0800"] - kinds["88b5"] < 3 and kinds["86dd"] < 3  # general queries


def asked_from(node: SimNode, since: int) -> set[IPAddress]:
    """The sources of its IGMP queries."""
    frames = [ethernet.parse(wire) for wire in node.forwarder.injected[since:]]
    return {igmp.parse_frame(frame).source for frame in frames if frame.ethertype == 0x0800 and not is_beacon(frame)}


def test_a_node_asks_the_lan_from_the_machines_address_there_and_follows_its_change() -> None:
    world, first, *_ = three()
    before = len(first.forwarder.injected)
    SharedLan(world, first).run(1.0)
    for_its_own_kernel = IPv4Address(0)
    assert asked_from(first, before) == {LAN_IPV4.ip, for_its_own_kernel}
    before = len(first.forwarder.injected)
    moved = IPv4Interface("192.0.2.99/24")
    first.forwarder.carry_out(
        first.engine.enter_switch_mode(world.underlay.now, 0, BridgedLan(HOST, (moved,), LAN_LIMITS))
    )
    assert asked_from(first, before) == {moved.ip, for_its_own_kernel}


def test_a_node_without_links_does_not_carry_the_lan() -> None:
    world = World(6)
    node = world.add()
    lan = SharedLan(world, node)
    lan.run(5.0)
    assert node.forwarder.blocked == {0}
    other = world.add(peer=node)
    world.run_until(lambda: bool(node.peers()), 20.0)
    lan.run(1.0)
    assert node.forwarder.blocked == set()
    assert other.forwarder.blocked == set()  # it shares no LAN


def test_a_port_that_is_its_nodes_own_again_forwards_and_has_its_own_host() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    lan.run(4.0)
    lan.hosts_say(join())
    lan.run(1.0)
    assert second.forwarder.kept == {0: KEEP_ALL}
    second.forwarder.carry_out(second.engine.leave_switch_mode(world.underlay.now, 0))
    lan.run(1.0)
    assert second.forwarder.blocked == set()
    assert second.forwarder.kept == {0: KEEP_NOTHING}
    assert second.engine.view.lans(world.underlay.now) == ()
    own = second.identity.certificate.mac
    assert third.forwarder.hosts[(0, own.packed)] == second.index


def test_who_claims_a_bridged_machine_does_not_get_its_addresses_of_the_overlay() -> None:
    world, first, second, third = three()
    lan = SharedLan(world, first)
    lan.run(4.0)
    mac, own = MacAddress(b"\x00\x00\x5e\x00\x54" + bytes([first.index])), first.identity.certificate.mac
    interface = first.identity.certificate.ipv4
    assert interface is not None
    lan.seen(mac)
    lan.run(1.0)
    assert second.forwarder.hosts[(0, mac.packed)] == second.forwarder.hosts[(0, own.packed)] == first.index
    second.forwarder.raise_event(HostSeen(0, 0, mac))
    second.forwarder.raise_event(HostSeen(0, 0, own))
    said = EthernetFrame(
        BROADCAST_MAC, mac, 0x0806, arp.emit(ArpPacket(ArpOperation.REPLY, mac, interface.ip, mac, interface.ip))
    )
    second.forwarder.raise_event(TapFrame(0, ethernet.emit(said)))
    lan.run(1.0)
    assert third.forwarder.hosts[(0, mac.packed)] == second.index, "a host of a LAN may move"
    assert third.forwarder.hosts[(0, own.packed)] == first.index
    assert second.engine.drops.snapshot()["address_of_a_node"] > 0
    first.forwarder.send_frame(ethernet.emit(said))
    lan.run(1.0)
    (frame,) = (ethernet.parse(one) for one in third.forwarder.delivered if isinstance(one, bytes))
    assert (frame.source, arp.parse(frame.payload).sender_mac) == (own, own)
