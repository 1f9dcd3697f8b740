"""PIM routers at a node: what they joined is known elsewhere within seconds of a restart, before they say it again."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.engine.meshes import two
from tests.sim.multicast.virtual_switch import hello_frame
from treecast.base.addresses import MacAddress
from treecast.base.events import TapFrame
from treecast.multicast import TAP
from treecast.sim.world import SimNode
from treecast.wire import ethernet, pim
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

GROUP = "239.1.1.1"
ROUTER, UPSTREAM = IPv4Address("10.0.0.200"), IPv4Address("10.0.0.250")
MAC = MacAddress.parse("02:00:00:00:00:c8")


def join(node: SimNode) -> None:
    """A router at the node shows itself and joins the group."""
    asked = PimGroup(IPv4Address(GROUP), 32, joins=(PimSource(UPSTREAM, is_wildcard=True, is_rpt=True),))
    node.raise_event(TapFrame(TAP, ethernet.emit(hello_frame(4, hold_time=105))))
    node.raise_event(TapFrame(TAP, pim.join_prune_frame(PimJoinPrune(ROUTER, UPSTREAM, 210, (asked,)), MAC)))


def test_what_a_router_joined_is_known_elsewhere_within_seconds_of_a_restart_and_ends_with_the_router() -> None:
    world, first, second = two()
    first.engine.name_port(TAP, "treecast0")
    join(first)
    world.run_until(lambda: second.subscribes(first, GROUP), 5.0)
    remembered = first.engine.view.pim_routers()
    again = world.restart(first, peer=second)
    again.engine.name_port(TAP, "treecast0")
    again.carry_out(again.engine.recall_pim(again.now, remembered))
    assert again.engine.view.pim_routers() == remembered
    world.run_until(lambda: again.is_linked(second) and second.subscribes(again, GROUP), 5.0)
    world.run(110.0)
    assert not second.subscribes(again, GROUP)
    assert again.engine.view.pim_routers() == ()


def test_routers_of_an_interface_that_is_no_port_any_more_are_forgotten() -> None:
    world, first, second = two()
    first.engine.name_port(TAP, "treecast0")
    join(first)
    world.run(0.1)
    assert first.engine.view.pim_routers() != ()
    second.engine.name_port(TAP, "eth1")
    second.engine.recall_pim(second.now, first.engine.view.pim_routers())
    assert second.engine.view.pim_routers() == ()
