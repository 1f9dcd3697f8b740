"""Nodes whose underlays cannot reach each other, and nodes between them: sessions by routes, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence

from treecast.base.events import HostSeen
from treecast.links.standing import Standing
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"
HYBRID_WITHIN_S = 20.0
"""An exchange has begun within 3 s; the handshake after it waits for one at the addresses, 10 s, which ends before."""


def apart(world: World, one: SimNode, other: SimNode) -> None:
    """Nothing goes from one to the other, nor back."""
    world.underlay.cut(one.endpoint, other.endpoint)
    world.underlay.cut(other.endpoint, one.endpoint)


def chain(count: int, seed: int = 7) -> tuple[World, list[SimNode]]:
    """Nodes of which each reaches the one before and the one after it, and no other."""
    world = World(seed)
    nodes = [world.add()]
    for _ in range(count - 1):
        new = world.add()
        for other in nodes[:-1]:
            apart(world, new, other)
        new.add_static_peer(nodes[-1])
        nodes.append(new)
    return world, nodes


def all_see_all(nodes: Sequence[SimNode]) -> bool:
    return all(len(node.peers()) == len(nodes) - 1 for node in nodes)


def via(node: SimNode, other: SimNode) -> str | None:
    """The neighbour by which a node reaches another; empty: its path; None: it does not."""
    for known in node.engine.view.known(node.now):
        if known.node == other.index and known.standing is Standing.UP:
            return known.via
    return None


def delivered(node: SimNode) -> list[object]:
    taken, node.forwarder.delivered = node.forwarder.delivered, []
    return taken


def test_two_nodes_that_cannot_reach_each_other_meet_by_the_one_between() -> None:
    world, (one, two, three) = chain(3)
    took = world.run_until(lambda: all_see_all((one, two, three)), 15.0)
    assert took > 3.0, "not before their addresses had their time"
    assert (via(one, three), via(three, one)) == ("n2", "n2")
    assert (via(one, two), via(two, one), via(two, three)) == ("", "", "")
    assert one.forwarder.node_routes == {three.index: two.index}
    assert two.forwarder.node_routes == {}
    world.run(300)
    assert (via(one, three), via(three, one)) == ("n2", "n2"), "also with the next sessions, and those after them"


def test_frames_to_hosts_and_groups_of_a_node_without_a_path_arrive_once() -> None:
    world, nodes = chain(3)
    one, two, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    for node in nodes:
        node.report(GROUP)
    world.run_until(lambda: one.subscribes(three, GROUP) and one.subscribes(two, GROUP), 10.0)
    for number in range(60):  # until long after a member that takes no key would be mute
        one.send(GROUP, number)
        world.run(1.0)
    assert delivered(three) == delivered(two) == list(range(60))
    assert {problem.kind for problem in one.engine.problems(one.now)} == {"certificate_ends"}
    mac = three.identity.certificate.mac
    frame = mac.packed + one.identity.certificate.mac.packed + b"\x12\x34" + bytes(50)
    three.raise_event(HostSeen(0, 0, mac))
    world.run_until(lambda: (0, mac.packed) in one.forwarder.hosts, 10.0)
    one.forwarder.send_frame(frame)
    world.run(1.0)
    assert delivered(three) == [frame]


def test_a_node_without_a_path_is_no_neighbour() -> None:
    world, nodes = chain(3)
    one, two, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run(60)
    neighbours = [tuple(node.engine.view.footprint().broadcast.neighbours) for node in nodes]
    assert neighbours == [(two.index,), (one.index, three.index), (two.index,)]
    assert all("control_without_link" not in node.engine.view.drops() for node in nodes)


def test_four_in_a_row_reach_each_other_by_routes_of_several_links() -> None:
    world, nodes = chain(4)
    world.run_until(lambda: all_see_all(nodes), 30.0)
    one, two, three, four = nodes
    assert (via(one, four), via(four, one)) == ("n2", "n3")
    assert two.forwarder.node_routes == {four.index: three.index}
    four.report(GROUP)
    world.run_until(lambda: one.subscribes(four, GROUP), 10.0)
    one.send(GROUP, "frame")
    world.run(1.0)
    assert delivered(four) == ["frame"]
    for node in nodes:
        assert node.forwarder.drops["forward_hop_limit"] == node.forwarder.drops["forward_own"] == 0


def test_a_path_that_answers_takes_the_place_of_the_route() -> None:
    world, nodes = chain(3)
    one, _, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run(20)
    world.underlay.heal()
    links = one.peers()
    world.run_until(lambda: via(one, three) == via(three, one) == "", 30.0)
    assert one.peers() == links
    assert one.forwarder.node_routes == three.forwarder.node_routes == {}
    world.run(300)
    assert via(one, three) == ""


def test_a_path_that_breaks_is_followed_by_a_route_before_the_link_is_lost() -> None:
    world = World(3)
    one = world.add()
    two, three = world.add(peer=one), world.add(peer=one)
    nodes = (one, two, three)
    world.run_until(lambda: all_see_all(nodes), 20.0)
    world.run(30)
    one.report(GROUP)
    world.run_until(lambda: three.subscribes(one, GROUP), 10.0)
    apart(world, one, three)
    for _ in range(200):
        world.run(0.1)
        assert all_see_all(nodes)
    assert (via(one, three), via(three, one)) == ("n2", "n2")
    delivered(one)
    three.send(GROUP, "frame")
    world.run(1.0)
    assert delivered(one) == ["frame"]


def test_where_the_next_hop_ends_another_one_takes_its_place() -> None:
    world = World(11)
    one = world.add()
    between = [world.add(peer=one), world.add(peer=one)]
    far = world.add(peer=between[0])
    apart(world, one, far)
    nodes = (one, *between, far)
    world.run_until(lambda: all_see_all(nodes), 20.0)
    world.run(10)
    first = next(node for node in between if node.engine.view.name(node.index) == via(one, far))
    first.stop()
    left = tuple(node for node in nodes if node is not first)
    world.run_until(lambda: all(len(node.peers()) == 2 for node in left), 15.0)
    (other,) = [node for node in between if node is not first]
    assert via(one, far) == via(far, one) == other.engine.view.name(other.index)


def test_a_node_between_that_starts_again_heals_and_one_that_ends_is_said_in_one_sentence() -> None:
    world, nodes = chain(3)
    one, two, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run(30)
    again = world.restart(two, peer=one)
    again.add_static_peer(three)
    world.run_until(lambda: all_see_all((one, again, three)), 40.0)
    assert (via(one, three), via(three, one)) == ("n2", "n2")
    again.stop()
    world.run_until(lambda: one.peers() == three.peers() == [], 12.0)
    world.run(13)
    (problem,) = [problem for problem in one.engine.problems(one.now) if problem.kind != "certificate_ends"]
    assert (problem.kind, problem.subject) == ("node_unreachable", "n2")
    assert "; its hosts and groups, and n3 behind it, are out of reach: check that it runs" in problem.text
    assert one.forwarder.node_routes == {}


def test_a_node_that_starts_again_behind_a_route_is_linked_again() -> None:
    world, nodes = chain(3)
    one, two, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run(30)
    again = world.restart(three, peer=two)
    world.run_until(lambda: all_see_all((one, two, again)), 30.0)
    assert via(one, again) == "n2"


def is_hybrid(node: SimNode, other: SimNode) -> bool:
    return any(known.hybrid for known in node.engine.view.known(node.now) if known.node == other.index)


def test_the_session_of_a_route_becomes_hybrid_and_so_does_that_after_a_path_that_breaks() -> None:
    world, nodes = chain(3)
    one, _, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run_until(lambda: is_hybrid(one, three) and is_hybrid(three, one), HYBRID_WITHIN_S)
    assert (via(one, three), via(three, one)) == ("n2", "n2")
    world.underlay.heal()
    world.run_until(lambda: via(one, three) == via(three, one) == "", 30.0)
    world.run_until(lambda: is_hybrid(one, three) and is_hybrid(three, one), HYBRID_WITHIN_S)
    apart(world, one, three)
    world.run_until(lambda: (via(one, three), via(three, one)) == ("n2", "n2"), 10.0)
    world.run_until(lambda: is_hybrid(one, three) and is_hybrid(three, one), HYBRID_WITHIN_S)
    for node in nodes:
        assert not {reason for reason in node.engine.view.drops() if reason.startswith("kem_")}
        assert not node.forwarder.drops["session_auth"]
