"""Nodes of the simulator, linked; what they say of an identity on two machines, and what a hostile one publishes."""

from __future__ import annotations

from ipaddress import IPv4Address

from treecast.base.membership import ANY_SOURCE, NO_SOURCE
from treecast.base.problems import Problem
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import Content, Kind


def publish(node: SimNode, kind: Kind, key: bytes, content: Content | None) -> None:
    """Advertise what a node of this version would not, at once."""
    node.engine.rooms.broadcast.put(node.now, kind, key, content)
    node.carry_out(node.engine.turn(node.now, []))


def list_group(node: SimNode, group: str, *, wants: bool) -> None:
    """Advertise at once that the node wants the group, or that it does not, as often as a member likes."""
    node.engine.rooms.broadcast.put_group((0, IPv4Address(group)), ANY_SOURCE if wants else NO_SOURCE)
    node.carry_out(node.engine.turn(node.now, []))


def twice(node: SimNode) -> list[Problem]:
    return [problem for problem in node.engine.problems(node.now) if problem.kind == "identity_twice"]


def is_twice(node: SimNode) -> bool:
    return bool(twice(node))


def must_end(node: SimNode) -> bool:
    return node.engine.must_end(node.now) is not None


def two() -> tuple[World, SimNode, SimNode]:
    world = World(5)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 1 for node in world.nodes.values()), 20.0)
    return world, first, second


def mesh(world: World, not_before_s: int = 0) -> tuple[SimNode, SimNode, SimNode]:
    first = world.add(not_before_s=not_before_s)
    second, third = (world.add(peer=first, not_before_s=not_before_s) for _ in range(2))
    nodes = (first, second, third)
    world.run_until(lambda: all(len(node.peers()) == 2 for node in nodes), 20)
    world.run(40)
    return nodes
