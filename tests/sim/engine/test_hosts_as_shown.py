"""The host table as people see it: what can be reached of it, and this machine's own addresses."""

from __future__ import annotations

from ipaddress import IPv4Interface

from treecast.api.records import Host
from treecast.daemon.host_answers import host_answers
from treecast.sim.world import SimNode, World


def shown(world: World, node: SimNode, *lan: str) -> dict[str, Host]:
    """The hosts that the node shows, by their address in the overlay."""
    hosts = host_answers(node.engine.view, [IPv4Interface(own) for own in lan], world.underlay.now)
    return {host.ip[0]: host for host in hosts if host is not None}


def test_hosts_of_a_node_without_a_link_are_marked_until_it_is_forgotten_or_back() -> None:
    world = World(seed=5)
    first = world.add()
    second = world.add(peer=first)
    third = world.add(peer=first)
    world.run_until(lambda: len(shown(world, first)) == 3, 20.0)
    world.run_until(lambda: not any(host.unreachable for host in shown(world, first).values()), 20.0)
    second.stop()
    world.run_until(lambda: shown(world, first)["10.77.0.2"].unreachable != "", 30.0)
    assert shown(world, first)["10.77.0.2"].unreachable == "no link to n2"
    assert shown(world, first)["10.77.0.3"].unreachable == ""
    assert shown(world, third)["10.77.0.3"].unreachable == ""
    world.restart(second, peer=first)
    world.run_until(lambda: shown(world, first)["10.77.0.2"].unreachable == "", 30.0)


def test_the_node_itself_is_shown_with_its_addresses_on_the_lan() -> None:
    world = World(seed=5)
    node = world.add()
    own = shown(world, node, "192.168.1.5/24", "10.99.1.254/16")["10.77.0.1"]
    assert (own.ip, own.own) == (["10.77.0.1", "192.168.1.5", "10.99.1.254"], True)
    assert shown(world, node)["10.77.0.1"].ip == ["10.77.0.1"]
