"""PIM routers at a node: what they joined is known elsewhere within seconds of a restart, before they say it again."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.engine.meshes import two
from tests.sim.multicast.virtual_switch import hello_frame
from treecast.base.addresses import MacAddress
from treecast.base.events import TapFrame
from treecast.base.storm_control import NO_LIMITS
from treecast.multicast import TAP, PimSegment, PortAddresses
from treecast.sim.world import SimNode, World
from treecast.wire import ethernet, pim
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

GROUP = "239.1.1.1"
PACKET, ADDRESSES = 1, PortAddresses(IPv4Address("192.168.1.9"), None)
LAN = "lan 02:00:00:00:00:01"
ROUTER, UPSTREAM = IPv4Address("10.0.0.200"), IPv4Address("10.0.0.250")
MAC = MacAddress.parse("02:00:00:00:00:c8")


def identify(node: SimNode, identity: str, port: int = TAP) -> None:
    node.carry_out(node.engine.identify_port(node.now, port, identity))


def remembered(world: World, node: SimNode) -> tuple[PimSegment, ...]:
    return node.engine.view.pim_routers(world.underlay.now)


def join(node: SimNode, port: int = TAP) -> None:
    """A router at the node shows itself and joins the group."""
    asked = PimGroup(IPv4Address(GROUP), 32, joins=(PimSource(UPSTREAM, is_wildcard=True, is_rpt=True),))
    node.raise_event(TapFrame(port, ethernet.emit(hello_frame(4, hold_time=105))))
    node.raise_event(TapFrame(port, pim.join_prune_frame(PimJoinPrune(ROUTER, UPSTREAM, 210, (asked,)), MAC)))


def test_what_a_router_joined_is_known_elsewhere_within_seconds_of_a_restart_and_ends_with_the_router() -> None:
    world, first, second = two()
    identify(first, "own")
    join(first)
    world.run_until(lambda: second.subscribes(first, GROUP), 5.0)
    known = remembered(world, first)
    again = world.restart(first, peer=second)
    identify(again, "own")
    again.carry_out(again.engine.recall_pim(again.now, known))
    assert remembered(world, again) == known
    world.run_until(lambda: again.is_linked(second) and second.subscribes(again, GROUP), 5.0)
    world.run(110.0)
    assert not second.subscribes(again, GROUP)
    assert remembered(world, again) == ()


def test_what_routers_joined_on_a_port_that_is_not_there_waits_for_it_until_their_hold_times_end() -> None:
    world, first, second = two()
    identify(first, LAN)
    join(first)
    world.run(0.1)
    known = remembered(world, first)
    assert [(one.port, len(one.joins)) for one in known] == [(LAN, 1)]
    second.carry_out(second.engine.recall_pim(second.now, known))
    world.run(30.0)
    assert remembered(world, second) == known, "the next start may find the port"
    assert not first.subscribes(second, GROUP)
    identify(second, "own")
    assert remembered(world, second) == known, "another port"
    identify(second, LAN)
    world.run(1.0)
    assert first.subscribes(second, GROUP)
    assert remembered(world, second) == known
    again = world.restart(second, peer=first)
    again.carry_out(again.engine.recall_pim(again.now, known))
    world.run(100.0)
    assert remembered(world, again) == (), "the router said nothing any more"
    identify(again, LAN)
    world.run(1.0)
    assert not first.subscribes(again, GROUP)


def test_what_routers_joined_on_a_packet_port_counts_again_when_it_is_opened_again() -> None:
    world, first, second = two()
    for _ in range(2):
        first.carry_out(first.engine.open_packet_port(world.underlay.now, PACKET, ADDRESSES, NO_LIMITS))
        world.run(3.0)
        identify(first, "packet eth1", PACKET)
        if not remembered(world, first):
            join(first, PACKET)
        world.run_until(lambda: second.subscribes(first, GROUP), 5.0)
        known = remembered(world, first)
        first.carry_out(first.engine.close_packet_port(world.underlay.now, PACKET))
        world.run_until(lambda: not second.subscribes(first, GROUP), 5.0)
        assert remembered(world, first) == known
    world.run(110.0)
    assert remembered(world, first) == ()
