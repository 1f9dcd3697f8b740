"""A multicast router on one node's LAN hears, as from a host, what the hosts of the other nodes want."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.multicast.virtual_switch import hello_frame
from treecast.base.events import TapFrame
from treecast.base.membership import FilterMode
from treecast.sim.world import SimNode, World
from treecast.wire import ethernet, igmp, ipv4
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

GROUP, OTHER_GROUP, SOURCE = IPv4Address("239.5.5.5"), IPv4Address("239.5.5.6"), IPv4Address("10.77.0.9")
TO_EX, TO_IN = RecordType.CHANGE_TO_EXCLUDE_MODE, RecordType.CHANGE_TO_INCLUDE_MODE
ALLOW = RecordType.ALLOW_NEW_SOURCES


class Lan:
    """The LAN of a node, with the reports that it sends there as a host."""

    def __init__(self, world: World, node: SimNode) -> None:
        self._world = world
        self._node = node

    def router_says_hello(self) -> None:
        hello = TapFrame(0, ethernet.emit(hello_frame(4, 105)))
        self._node.forwarder.carry_out(self._node.engine.turn(self._world.underlay.now, [hello]))

    def run(self, duration: float) -> list[GroupRecord]:
        """The records of the reports that are new since the last call, repetitions left out."""
        self._world.run(duration)
        frames = [ethernet.parse(data) for data in self._node.forwarder.injected]
        self._node.forwarder.injected.clear()
        messages = [igmp.parse_frame(frame).message for frame in frames if frame.payload[9] == ipv4.PROTOCOL_IGMP]
        reports = [message for message in messages if isinstance(message, MembershipReport)]
        return list(dict.fromkeys(record for report in reports for record in report.records))


def test_a_router_hears_what_other_nodes_want_as_it_begins_changes_and_ends() -> None:
    world = World(21)
    nodes = [world.add()]
    nodes += [world.add(peer=nodes[0]) for _ in range(2)]
    world.run_until(lambda: all(len(node.peers()) == 2 for node in nodes), 20.0)
    world.run(10.0)  # from here on the hosts count as tracked: a leave takes effect at once
    lan = Lan(world, nodes[0])
    nodes[1].report(str(GROUP), FilterMode.INCLUDE, (str(SOURCE),))
    nodes[0].report(str(OTHER_GROUP))
    assert lan.run(2) == [], "nobody there who would listen"
    lan.router_says_hello()
    assert lan.run(2) == [GroupRecord(ALLOW, GROUP, (SOURCE,))], "of its own hosts the router knows"
    nodes[2].report(str(GROUP))
    assert lan.run(2) == [GroupRecord(TO_EX, GROUP)]
    nodes[2].leave(str(GROUP))
    assert lan.run(2) == [GroupRecord(TO_IN, GROUP, (SOURCE,))]
    nodes[1].stop()
    ended = lan.run(75)  # as long as what a silent node advertised is believed
    assert GroupRecord(RecordType.BLOCK_OLD_SOURCES, GROUP, (SOURCE,)) in ended
