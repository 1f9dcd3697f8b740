"""Which targets are tried, and when: the timers against the obvious version, a scan of all targets."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.memory import Remembered
from treecast.links.target import Target
from treecast.links.targets import Targets

ME = NodeIndex(3)
nodes = st.integers(1, 5).map(NodeIndex)
endpoints = st.integers(0, 5).map(lambda n: (Endpoint(IPv4Address(f"192.0.2.{n}"), 7700),) if n else ())
"""None, or one of five."""
names = st.sampled_from(["a", "b"])


def scanned(targets: Targets) -> dict[Target, Instant]:
    """Targets with an address, no link, no attempt; a configured one that is a learned node by now is that one."""
    every = [*targets.learned(), *targets.configured(), *targets.recalled()]
    return {
        target: target.next_try
        for target in every
        if target.endpoints
        and not target.is_tried
        and not targets.is_reached(target)
        and (target.name is None or target.node not in {other.node for other in targets.learned()})
    }


class TimersAgainstAScan(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.linked: set[NodeIndex] = set()
        self.targets = Targets(ME, self.linked.__contains__, lambda node, _: node in self.linked, lambda *_: False)
        self.tried: list[Target] = []
        self.now = Instant(0.0)

    @rule(name=names, where=endpoints)
    def configure(self, name: str, where: tuple[Endpoint, ...]) -> None:
        self.targets.configure(self.now, name, where)

    @rule(node=nodes, where=endpoints)
    def learn(self, node: NodeIndex, where: tuple[Endpoint, ...]) -> None:
        self.targets.learn(self.now, node, where, f"n{node}")

    @rule(node=nodes)
    def forget(self, node: NodeIndex) -> None:
        self.give_up(self.targets.forget(node))

    @rule(node=nodes, where=endpoints)
    def recall(self, node: NodeIndex, where: tuple[Endpoint, ...]) -> None:
        self.give_up(self.targets.drop_recalled(node))
        self.targets.recall(self.now, [Remembered(node, f"n{node}", where, 0)])

    @rule(node=nodes)
    def drop_recalled(self, node: NodeIndex) -> None:
        self.give_up(self.targets.drop_recalled(node))

    @rule(step=st.floats(0.0, 20.0))
    def due(self, step: float) -> None:
        self.now = Instant(self.now + step)
        expected = {target for target, at in scanned(self.targets).items() if at <= self.now}
        due = self.targets.due(self.now)
        assert set(due) == expected
        assert len(due) == len(expected)
        for target in due:
            target.is_tried = True
            target.begun(self.now)
            self.tried.append(target)

    @rule(node=nodes, pause=st.sampled_from([0.0, 5.0]))
    def succeed(self, node: NodeIndex, pause: float) -> None:
        """The oldest attempt comes to an end: a link, with the node that is there."""
        if not self.tried:
            return
        target = self.tried[0]
        self.give_up(target)
        if target.name is not None:
            target.node = node
        reached = target.node
        if reached is not None:
            self.linked.add(reached)
            self.targets.link_up(self.now, reached)
            self.targets.plan_all(reached)

    @rule(pause=st.sampled_from([0.0, 2.0]))
    def fail(self, pause: float) -> None:
        if self.tried:
            self.tried[0].gave_up(self.now)
            self.tried[0].next_try = max(self.tried[0].next_try, Instant(self.now + pause))
            self.give_up(self.tried[0])

    @rule(node=nodes, pause=st.sampled_from([0.0, 5.0]))
    def lose(self, node: NodeIndex, pause: float) -> None:
        if node in self.linked:
            self.linked.discard(node)
            self.targets.pause(node, Instant(self.now + pause))
            self.targets.link_down(self.now, node, left=False)

    def give_up(self, target: Target | None) -> None:
        if target is not None and target in self.tried:
            self.tried.remove(target)
            target.is_tried = False
            self.targets.plan(target)

    @invariant()
    def those_apart_are_the_learned_ones_without_a_link(self) -> None:
        apart = [target for target in self.targets.learned() if not self.targets.is_reached(target)]
        assert list(self.targets.apart()) == apart

    @invariant()
    def the_next_is_that_of_the_scan(self) -> None:
        assert self.targets.next_deadline() == min(scanned(self.targets).values(), default=None)


TestTimersAgainstAScan = TimersAgainstAScan.TestCase
TestTimersAgainstAScan.settings = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
