"""Nodes between others that carry nothing for these, some of it, or end: another one takes their place.

Their own links are healthy, and they lead there as LINKS say, the shortest way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from tests.sim.engine.test_node_routes_in_virtual_time import all_see_all, apart, chain, via
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.sim.datagrams import Forward, SessionDatagram
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"
INTERVAL_S = 0.05
SELDOM_S = 0.25
"""The interval for minutes in which nothing may happen: a node that is taken again costs seconds; 1.0 is looked for."""
CHANGED_S = 3.0
"""The promise of SECURITY.md and of docs/protocol.md section 4."""
COUNTED_S = 6.0
"""Two turns of probes of which the answers count what came, and a review."""


@dataclass
class Between:
    """Two nodes, and two between them; all for the one goes by ``evil``."""

    world: World
    one: SimNode
    evil: SimNode
    other: SimNode
    far: SimNode
    sent: int = field(default=0)

    @property
    def ends(self) -> tuple[SimNode, SimNode]:
        return self.one, self.far

    def swallow(self, which: Callable[[NodeIndex, object], bool]) -> None:
        """The node between sends on nothing of the two ends of which this is true, by destination."""
        both = {node.index for node in self.ends}

        def swallows(datagram: object) -> bool:
            forward = datagram.body if isinstance(datagram, SessionDatagram) else None
            if not isinstance(forward, Forward) or {forward.source, forward.destination} != both:
                return False
            return which(forward.destination, forward.inner)

        self.world.underlay.swallow(self.evil.endpoint, swallows)

    def next_hops(self) -> set[str | None]:
        return {via(self.one, self.far), via(self.far, self.one)}

    def gap(self, seconds: float, senders: int = 2, interval: float = INTERVAL_S) -> float:
        """The longest time for which an end got nothing of what the other one sends all the time."""
        counts, since, longest = (
            [len(node.forwarder.delivered) for node in self.ends],
            [self.world.underlay.now] * 2,
            0.0,
        )
        for _ in range(round(seconds / interval)):
            for node in self.ends[:senders]:
                node.send(GROUP, "frame")
            self.world.run(interval)
            for number, node in enumerate(self.ends):
                if len(node.forwarder.delivered) > counts[number]:
                    counts[number], since[number] = len(node.forwarder.delivered), self.world.underlay.now
                if number >= 2 - senders:
                    longest = max(longest, self.world.underlay.now - since[number])
        return longest

    def problems(self) -> list[Problem]:
        found = [problem for node in self.ends for problem in node.engine.problems(node.now)]
        return [problem for problem in found if problem.kind == "node_route_unanswered"]


def between(seed: int, loss: float = 0.0) -> Between:
    world = World(seed, loss=loss)
    one = world.add()
    world.run(seed * 0.37)  # each reviews its sessions at another time of a second
    two = [world.add(peer=one), world.add(peer=one)]
    world.run(seed * 0.37 % 1.0)
    far = world.add(peer=two[0])
    far.add_static_peer(two[1])
    apart(world, one, far)
    nodes = (one, *two, far)
    world.run_until(lambda: all_see_all(nodes), 60.0)
    world.run(40)
    for node in (one, far):
        node.report(GROUP)
    world.run_until(lambda: one.subscribes(far, GROUP) and far.subscribes(one, GROUP), 20.0)
    evil = next(node for node in two if node.engine.view.name(node.index) == via(one, far))
    assert via(far, one) == evil.engine.view.name(evil.index)
    found = Between(world, one, evil, next(node for node in two if node is not evil), far)
    assert found.gap(2.0 + seed * 0.37) < 1.0
    return found


def name(node: SimNode) -> str:
    return node.engine.view.name(node.index)


@pytest.mark.parametrize("seed", range(1, 9))
def test_what_went_by_a_node_between_that_ends_goes_by_another_within_three_seconds(seed: int) -> None:
    net = between(seed)
    net.evil.stop()
    assert net.gap(20.0) <= CHANGED_S
    assert net.next_hops() == {name(net.other)}
    assert net.problems() == [], "that it has ended is said, and nothing of ways"


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_node_between_that_sends_on_nothing_is_passed_over_within_three_seconds_and_named(seed: int) -> None:
    net = between(seed)
    net.swallow(lambda destination, inner: True)
    assert net.gap(20.0) <= CHANGED_S
    assert net.next_hops() == {name(net.other)}
    problems = net.problems()
    assert {problem.subject for problem in problems} == {name(net.evil)}
    start = f"what goes to {name(net.far)} by way of {name(net.evil)} was not answered any more"
    assert any(problem.text.startswith(start) for problem in problems)
    assert net.gap(600.0, interval=SELDOM_S) < 1.0, "it is not taken again while the other one does"
    assert net.problems() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_node_between_that_sends_on_nothing_in_one_direction_is_passed_over(seed: int) -> None:
    net = between(seed)
    net.swallow(lambda destination, inner: destination == net.far.index)
    assert net.gap(20.0) <= COUNTED_S
    assert via(net.one, net.far) == name(net.other)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_node_between_that_sends_on_probes_and_no_frames_is_passed_over_and_named(seed: int) -> None:
    net = between(seed)
    net.swallow(lambda destination, inner: isinstance(inner, SessionDatagram) and isinstance(inner.body, tuple))
    assert net.gap(20.0) <= COUNTED_S
    assert net.next_hops() == {name(net.other)}
    assert all("was lost, " in problem.text for problem in net.problems()) and net.problems()
    assert net.gap(300.0, interval=SELDOM_S) < 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_node_between_that_loses_half_is_passed_over(seed: int) -> None:
    net, rng = between(seed), Random(seed)
    net.swallow(lambda destination, inner: rng.random() < 0.5)
    net.gap(8.0)
    assert net.next_hops() == {name(net.other)}
    assert net.gap(300.0, interval=SELDOM_S) < 1.0


def test_a_first_handshake_goes_by_another_node_where_the_nearest_one_sends_on_none() -> None:
    net = between(3)
    net.swallow(lambda destination, inner: True)
    one, far = net.ends
    again = net.world.restart(far, peer=net.evil)
    again.add_static_peer(net.other)
    apart(net.world, one, again)
    net.far = again
    net.world.run_until(lambda: net.next_hops() == {name(net.other)}, 20.0)


def swallow_forwards(world: World, node: SimNode, meanwhile: Callable[[], bool] = lambda: True) -> None:
    """The node sends on nothing of others."""

    def swallows(datagram: object) -> bool:
        return meanwhile() and isinstance(datagram, SessionDatagram) and isinstance(datagram.body, Forward)

    world.underlay.swallow(node.endpoint, swallows)


def test_where_all_fall_silent_the_node_is_looked_for_by_each_of_them() -> None:
    net, hostile = between(4), {"evil", "other"}
    swallow_forwards(net.world, net.evil, lambda: "evil" in hostile)
    swallow_forwards(net.world, net.other, lambda: "other" in hostile)
    net.world.run(20.0)
    assert net.next_hops() == {None}
    assert net.problems() == [], "nobody is named where none is better"
    hostile.discard("other")
    net.world.run_until(lambda: net.next_hops() == {name(net.other)}, 15.0)
    hostile.add("other")
    hostile.discard("evil")
    net.world.run_until(lambda: net.next_hops() == {name(net.evil)}, 30.0)


def test_a_node_between_that_ends_while_the_other_one_is_passed_over_costs_three_seconds_too() -> None:
    """The other one has been well again since."""
    net, hostile = between(6), {"evil"}
    swallow_forwards(net.world, net.evil, lambda: bool(hostile))
    net.gap(6.0)
    assert net.next_hops() == {name(net.other)}
    hostile.clear()
    net.gap(3.0)
    net.other.stop()
    assert net.gap(15.0) <= CHANGED_S
    assert net.next_hops() == {name(net.evil)}


def test_without_another_neighbour_the_one_that_fell_silent_is_tried_on() -> None:
    world, nodes = chain(3)
    one, two, three = nodes
    world.run_until(lambda: all_see_all(nodes), 15.0)
    world.run(20)
    swallow_forwards(world, two)
    world.run(5.0)
    assert (via(one, three), via(three, one)) == ("n2", "n2")
    world.run(30.0)
    assert via(one, three) is None
    world.underlay.swallow(two.endpoint, lambda datagram: False)
    world.run_until(lambda: all_see_all(nodes), 15.0)


@pytest.mark.parametrize("senders", [0, 1, 2])
@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_an_underlay_that_loses_some_changes_few_routes(loss: float, senders: int) -> None:
    net = between(8, loss)
    before, changes = net.next_hops(), 0
    for _ in range(60):
        net.gap(5.0, senders)
        changes += net.next_hops() != before
        before = net.next_hops()
    assert changes <= 4
