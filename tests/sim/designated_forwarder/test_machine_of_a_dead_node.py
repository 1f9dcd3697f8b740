"""The machine of a bridged node that died without a word, in virtual time: it is reached behind who took its LAN over.

::

     n1's machine --+--- LAN ---+
      (its node     |           |
       dies)       n1          n2           n3 (no LAN)
                    +---- overlay ----------+
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.sim.designated_forwarder.test_switch_mode_in_virtual_time import SharedLan, three
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.events import TapFrame
from treecast.discovery.orphaned_machine import ATTEMPTS
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.world import SimNode, World
from treecast.wire import arp, ethernet
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame

NOBODY = MacAddress(bytes(6))
ELSEWHERE = IPv4Address("10.77.9.9")
FOUND_WITHIN_S = 9.0
"""A link is dead after 7 to 8 s; then the LAN is asked, and all nodes learn of the answer."""


class MachineOf:
    """The machine of a node on its LAN: it answers for its address of the overlay whether its node runs or not."""

    def __init__(self, node: SimNode, lan: SharedLan, carrier: SimNode) -> None:
        self.mac = MacAddress(b"\x00\x00\x5e\x00\x54" + bytes([node.index]))
        interface = node.identity.certificate.ipv4
        assert interface is not None
        self.ipv4 = interface.ip
        self.own = node.identity.certificate.mac
        self._lan, self._carrier = lan, carrier
        self._read = len(carrier.forwarder.injected)
        self.asked = 0
        self.lives = True

    def run(self, duration: float) -> None:
        for _ in range(round(duration / 0.05)):
            self._lan.run(0.05)
            new = self._carrier.forwarder.injected[self._read :]
            self._read += len(new)
            for frame in map(ethernet.parse, new):
                if frame.ethertype == 0x0806 and arp.parse(frame.payload).target_ip == self.ipv4:
                    self.asked += 1
                    if not self.lives:
                        continue
                    self._carrier.forwarder.raise_event(TapFrame(0, self.says(arp.parse(frame.payload))))

    def says(self, asked: ArpPacket) -> bytes:
        return arp.reply_frame(asked, self.mac)

    def sends(self, to: SimNode) -> bytes:
        """A frame of the machine to that of another node."""
        other = to.identity.certificate.mac
        packet = ArpPacket(ArpOperation.REPLY, self.mac, self.ipv4, other, ELSEWHERE)
        return ethernet.emit(EthernetFrame(other, self.mac, 0x0806, arp.emit(packet)))


def announced_at(node: SimNode, machine: MachineOf, since: int = 0) -> list[MacAddress]:
    """The MACs that this node has shown its own hosts for the machine's address."""
    frames = [ethernet.parse(wire) for wire in node.forwarder.injected[since:]]
    packets = [arp.parse(frame.payload) for frame in frames if frame.ethertype == 0x0806]
    return [packet.sender_mac for packet in packets if packet.sender_ip == machine.ipv4 == packet.target_ip]


def sent_as_it(machine: MachineOf, carrier: SimNode, receiver: SimNode) -> int:
    """How many of the machine's frames the receiver takes, of one that comes through the carrier."""
    before = len(receiver.forwarder.delivered)
    carrier.forwarder.send_frame(machine.sends(receiver))
    machine.run(0.2)
    return sum(frame == machine.sends(receiver) for frame in receiver.forwarder.delivered[before:])


def carried() -> tuple[World, SimNode, SimNode, SimNode, SharedLan, MachineOf]:
    """The first node carries the LAN."""
    world, first, second, third = three()
    lan = SharedLan(world, first, second)
    lan.run(4.0)
    machine = MachineOf(first, lan, second)
    lan.seen(machine.mac)
    machine.run(1.0)
    assert (first.forwarder.blocked, second.forwarder.blocked) == (set(), {0})
    assert third.engine.view.host_with(0, machine.ipv4) == machine.own
    return world, first, second, third, lan, machine


def test_it_is_found_as_soon_as_its_node_is_known_to_be_dead_and_the_hosts_elsewhere_are_told() -> None:
    _, first, second, third, _, machine = carried()
    first.stop()
    machine.run(4.0)
    assert second.forwarder.blocked == set()
    assert sent_as_it(machine, second, third) == 0, "its node may live"
    assert announced_at(third, machine) == []
    machine.run(FOUND_WITHIN_S - 4.0)
    assert machine.asked == 1
    assert announced_at(third, machine) == [machine.mac]
    assert third.engine.view.host_with(0, machine.ipv4) == machine.mac
    assert third.forwarder.hosts[(0, machine.mac.packed)] == second.index
    assert sent_as_it(machine, second, third) == 1
    machine.run(120.0)
    assert announced_at(third, machine) == [machine.mac], "they are told once"
    assert third.engine.view.host_with(0, machine.ipv4) == machine.mac, "the node is forgotten, its machine is not"
    assert sent_as_it(machine, second, third) == 1


def test_it_is_its_nodes_again_when_that_is_back() -> None:
    world, first, second, third, _, machine = carried()
    first.stop()
    machine.run(FOUND_WITHIN_S)
    assert third.engine.view.host_with(0, machine.ipv4) == machine.mac
    back = world.restart(first, peer=third)
    machine.run(1.0)
    assert third.is_linked(back)
    assert third.engine.view.host_with(0, machine.ipv4) == machine.own, "it carries no LAN yet: its TAP is its own"
    assert sent_as_it(machine, second, third) == 0
    lan = SharedLan(world, back, second)
    before = len(third.forwarder.delivered)
    lan.run(16.0)
    assert (back.forwarder.blocked, second.forwarder.blocked) == (set(), {0})
    assert third.engine.view.host_with(0, machine.ipv4) == machine.own
    frames = [ethernet.parse(wire) for wire in third.forwarder.delivered[before:] if isinstance(wire, bytes)]
    shown = [arp.parse(frame.payload) for frame in frames if frame.ethertype == 0x0806]
    assert [packet.sender_mac for packet in shown if packet.sender_ip == machine.ipv4][-1] == machine.own


def test_a_link_that_was_cut_leaves_the_machine_its_nodes() -> None:
    world, first, second, third, _, machine = carried()
    for other in (first, second):
        world.underlay.cut(third.endpoint, other.endpoint)
        world.underlay.cut(other.endpoint, third.endpoint)
    machine.run(FOUND_WITHIN_S)
    assert not third.is_linked(first)
    assert third.engine.view.host_with(0, machine.ipv4) is None, "the question goes to all nodes"
    world.underlay.heal()
    world.run_until(lambda: third.is_linked(first), 20.0)
    assert third.engine.view.host_with(0, machine.ipv4) == machine.own
    assert machine.asked == 0
    assert announced_at(third, machine) == [machine.own]


def test_a_node_that_others_bring_news_of_lives_though_no_way_leads_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world, first, _, third, _, machine = carried()
    monkeypatch.setattr(ModelForwarder, "_receive_forward", lambda *_, **__: None)  # n2 sends nothing on
    world.underlay.cut(third.endpoint, first.endpoint)
    world.underlay.cut(first.endpoint, third.endpoint)
    world.run_until(lambda: not third.is_linked(first), 12.0)
    assert third.engine.view.host_with(0, machine.ipv4) is None
    world.run_until(lambda: third.engine.view.host_with(0, machine.ipv4) == machine.own, 25.0)
    assert not third.is_linked(first)


@pytest.mark.parametrize(("node_lives", "machine_lives"), [(True, True), (False, True), (False, False)])
def test_another_bridge_is_its_machine_for_nobody_while_one_of_the_two_lives(
    *, node_lives: bool, machine_lives: bool
) -> None:
    world, first, _, third, _, machine = carried()
    fourth = world.add(peer=third)
    world.run_until(lambda: len(fourth.peers()) == 3, 20.0)
    machine.lives = machine_lives
    if not node_lives:
        first.stop()
        machine.run(FOUND_WITHIN_S + ATTEMPTS)
    assert machine.asked == (0 if node_lives else 1 if machine_lives else ATTEMPTS)
    false = MacAddress.parse("00:00:5e:00:53:66")
    packet = ArpPacket(ArpOperation.REQUEST, false, machine.ipv4, NOBODY, ELSEWHERE)
    said = ethernet.emit(EthernetFrame(BROADCAST_MAC, false, 0x0806, arp.emit(packet)))
    fourth.forwarder.raise_event(TapFrame(0, said))
    machine.run(1.0)
    believed = machine.own if node_lives else machine.mac if machine_lives else false
    assert third.engine.view.host_with(0, machine.ipv4) == believed
    assert announced_at(third, machine)[-1:] == ([] if node_lives else [believed])
