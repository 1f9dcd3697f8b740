"""A full table of trees: whose trees make room, and that it comes to rest."""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.dataplane.test_root_trees_bounds import NOW, flow
from treecast.base.commands import CreateTree, RemoveTree
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.dataplane import root_trees
from treecast.dataplane.root_trees import RootTrees
from treecast.dataplane.unused_trees import UnusedTrees

HOSTILE, ACCOMPLICE, HONEST = NodeIndex(2), NodeIndex(3), NodeIndex(4)


class Root:
    """A root with room for so many trees, and the flows that have one."""

    def __init__(self, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(root_trees, "MAX_ROOT_TREES", most)
        self.drops = Drops()
        self.trees = RootTrees(TreeEpoch(1), self.drops, Random(1))
        self.flows: dict[StreamId, Flow | None] = {}

    def want(self, number: int, *members: NodeIndex) -> None:
        self.trees.want(NOW, flow(number), members)
        created = [one.stream for one in self._take(CreateTree)]
        self.flows.update(dict.fromkeys(created, flow(number)))

    def _take(self, kind: type[CreateTree]) -> list[CreateTree]:
        commands, self.trees.commands = self.trees.commands, []
        for command in commands:
            if isinstance(command, RemoveTree):
                del self.flows[command.stream]
        return [command for command in commands if isinstance(command, kind)]

    def have(self, *numbers: int) -> bool:
        return {flow(number) for number in numbers} <= set(self.flows.values())


def test_members_that_fill_the_table_together_leave_room_for_who_has_few(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(10, monkeypatch)
    for number in range(12):
        root.want(number, HOSTILE, ACCOMPLICE)
    for number in range(20, 23):
        root.want(number, HONEST)
    assert root.have(20, 21, 22)
    assert len(root.flows) == 10
    assert root.drops.snapshot()["tree_table_full"] == 5


def test_a_tree_that_is_used_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(4, monkeypatch)
    for number in range(4):
        root.want(number, HOSTILE)
    for stream in list(root.flows):
        root.trees.used(NOW, stream)
    root.want(9, HONEST)
    assert root.have(0, 1, 2, 3) and not root.have(9)


def test_a_member_takes_no_place_of_one_that_has_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(4, monkeypatch)
    for number in range(2):
        root.want(number, HOSTILE)
        root.want(10 + number, HONEST)
    root.want(5, HOSTILE)
    root.want(15, HONEST)
    assert root.have(0, 1, 10, 11)
    for _ in range(10):  # those that were refused are tried again, and refused again
        due = root.trees.next_deadline()
        assert due is not None
        root.trees.advance(due)
    assert not root.trees.commands


def test_the_broadcast_tree_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(1, monkeypatch)
    root.trees.want(NOW, None, [HOSTILE])
    root.trees.commands.clear()
    root.want(1, HONEST)
    assert not root.have(1)


def test_what_is_kept_of_unused_trees_is_those_and_nothing_else() -> None:
    rng, unused = Random(1), UnusedTrees()
    wanted: dict[Flow, set[NodeIndex]] = {}
    for _ in range(2_000):
        one = flow(rng.randrange(30))
        if rng.random() < 0.4:
            unused.remove(one)
            wanted.pop(one, None)
        else:
            wanted[one] = {NodeIndex(rng.randrange(5)) for _ in range(rng.randrange(4))}
            unused.put(one, wanted[one])
        assert len(unused) == sum(bool(members) for members in wanted.values())
        given = unused.to_evict([NodeIndex(99)])
        assert given is None or wanted[given]
