"""A leaver soon cannot read on, whoever else leaves, and whether it had answered or not."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise
from random import Random

import pytest

from tests.unit.dataplane.answers import take
from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, MakeKey, OfferKey, SetTreeMembers, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.key_commands import AnnounceKey
from treecast.base.time import Duration
from treecast.dataplane.key_times import KEY_OVERLAP, KEY_REST, ROTATION_INTERVAL, ROTATION_LIMIT
from treecast.dataplane.root_trees import RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
TREE, EPOCH = StreamId(1), TreeEpoch(1)


class Root(DrivenRoot):
    """A tree in use, its members, and the keys that were used, each with its time."""

    def __init__(self, size: int) -> None:
        super().__init__(RootTrees(EPOCH, Drops(), Random(1)))
        self.members = [NodeIndex(number) for number in range(2, 2 + size)]
        self.silent: set[NodeIndex] = set()
        self.offers = 0
        self.made: list[tuple[Duration, KeyId]] = []
        self.used: list[tuple[Duration, KeyId]] = []
        self.announced: list[Duration] = []
        self.ends: dict[KeyId, list[tuple[Duration, Duration]]] = {}
        """The times of each key's offers, and the times at which the key before is over for who takes them."""
        self.next_hops: tuple[NodeIndex, ...] = ()
        self.trees.want(self.now, FLOW, self.members)
        self.trees.used(self.now, TREE)
        self.turn()

    def carry_out(self, command: Command) -> None:
        """Each offer is answered at once, but by who is silent."""
        match command:
            case MakeKey(_, key_id, _):
                self.made.append((self.now, key_id))
            case UseKey(_, key_id):
                self.used.append((self.now, key_id))
            case AnnounceKey():
                self.announced.append(self.now)
            case SetTreeMembers(_, next_hops):
                self.next_hops = next_hops
            case OfferKey(_, key_id, peer, _, _, before_ends_ms):
                self.offers += 1
                self.ends.setdefault(key_id, []).append((self.now, self.now + before_ends_ms / 1000))
                if peer not in self.silent:
                    take(self.trees, self.now, peer, TREE, key_id)

    def leave(self) -> None:
        self.members.pop()
        self.trees.want(self.now, FLOW, self.members)
        self.turn()


def test_members_that_leave_steadily_do_not_defer_the_change_of_keys() -> None:
    root = Root(40)
    root.silent.add(root.members[0])
    for step in range(20):
        root.until(1.0 + step * 0.5)
        root.leave()
    begun = {key_id: at for at, key_id in root.made}
    assert root.used and all(at - begun[key_id] <= ROTATION_LIMIT for at, key_id in root.used)
    root.until(30.0)
    last_leave = 1.0 + 19 * 0.5
    assert root.used[-1] == (root.used[-1][0], root.made[-1][1])
    assert last_leave <= root.made[-1][0] <= last_leave + ROTATION_INTERVAL
    assert root.used[-1][0] <= last_leave + ROTATION_LIMIT
    assert set(root.next_hops) == set(root.members) - root.silent


@pytest.mark.parametrize("later", [step * 0.05 for step in range(60)])
def test_a_key_that_a_leaver_has_is_soon_out_of_use_whenever_it_leaves_and_over_at_the_members(later: Duration) -> None:
    """An accomplice has made a rotation begin so much earlier, and another one answers no offer of a key any more."""
    root = Root(5)
    root.silent.add(root.members[0])
    root.trees.key_acknowledgement(root.now, root.members[0], TREE, KeyId(EPOCH))
    root.trees.tree_acknowledgement(root.now, root.members[0], TREE, EPOCH)
    root.until(10.0)
    root.leave()
    assert (len(root.made), root.used) == (1, []), "the root waits"
    root.until(10.0 + later)
    newest_it_has, left_at = root.made[-1][1], root.now
    root.leave()
    root.until(20.0)
    in_use_at, next_key = next((at, key_id) for at, key_id in root.used if key_id > newest_it_has)
    assert left_at <= in_use_at <= left_at + ROTATION_LIMIT
    assert in_use_at + KEY_OVERLAP - 0.001 <= min(end for _, end in root.ends[next_key])
    assert all(end <= max(at, left_at + 2.75) for at, end in root.ends[next_key])


def test_a_key_that_came_into_use_is_announced_three_times_more_and_then_no_more() -> None:
    root = Root(5)
    root.until(1.0)
    assert root.announced == [], "there was none before the first"
    root.leave()
    root.until(100.0)
    ((used, _),) = root.used
    pauses = [at - used for at in root.announced]
    assert len(pauses) == 3
    for pause, longest in zip(pauses, (0.1, 0.3, 0.9), strict=True):
        assert 0.75 * longest <= pause <= longest


def test_keys_of_a_tree_that_is_gone_are_announced_no_more() -> None:
    root = Root(5)
    root.until(1.0)
    root.leave()
    root.trees.want(root.now, FLOW, None)
    root.until(100.0)
    assert (len(root.used), root.announced) == (1, [])


def test_members_that_leave_all_the_time_cost_no_more_announcements_than_three_for_each_key() -> None:
    root = Root(100)
    for step in range(60):
        root.until(1.0 + step * 0.1)
        root.leave()
    root.until(60.0)
    assert 0 < len(root.announced) <= 3 * len(root.used)


def test_members_keep_the_key_in_use_while_the_next_is_pending() -> None:
    """One of them answers nothing, so the change takes its time; who leaves then makes no third key."""
    root = Root(5)
    root.silent.add(root.members[0])
    root.until(1.0)
    root.leave()
    root.leave()
    assert (len(root.made), len(root.used)) == (1, 0)
    root.until(10.0)
    assert len(root.made) == len(root.used) == 2


def test_who_leaves_before_its_answer_has_come_is_taken_to_hold_the_key() -> None:
    root = Root(3)
    root.silent.add(NodeIndex(99))
    root.members.append(NodeIndex(99))
    root.trees.want(root.now, FLOW, root.members)
    root.until(0.5)
    assert not root.made
    root.leave()
    assert len(root.made) == 1 and root.used


def test_who_leaves_before_it_was_offered_a_key_costs_nothing() -> None:
    root = Root(3)
    root.members.append(NodeIndex(99))
    root.trees.want(root.now, FLOW, root.members)
    root.leave()
    root.until(10.0)
    assert not root.made


def test_leaves_in_a_row_cost_a_change_of_keys_per_rest() -> None:
    """Five hundred of a thousand leave within a second."""
    root = Root(1000)
    root.until(1.0)
    root.offers = 0
    for step in range(500):
        root.until(1.0 + step * 0.002)
        root.leave()
    root.until(10.0)
    assert len(root.used) <= 2 + 1.0 / KEY_REST
    assert root.offers <= 1000 * len(root.used)


def test_a_member_that_joins_and_leaves_all_the_time_causes_one_rotation_a_second() -> None:
    root = Root(5)
    flapping, staying = root.members[-1], root.members[:-1]
    for step in range(72):
        root.until(1.0 + step / 12)
        root.members = staying if step % 2 == 0 else [*staying, flapping]
        root.trees.want(root.now, FLOW, root.members)
        root.turn()
        assert set(staying) <= set(root.next_hops), "those that stay get each frame by the tree"
    begun = [at for at, _ in root.made]
    assert 5 <= len(begun) <= 7, "6 s"
    assert all(later - at >= ROTATION_INTERVAL for at, later in pairwise(begun))


def test_a_leave_at_rest_rotates_at_once_and_one_after_it_within_a_second() -> None:
    root = Root(5)
    root.until(10.0)
    root.leave()
    assert root.made[-1][0] == root.used[-1][0] == 10.0
    root.until(10.5)
    root.leave()
    root.until(20.0)
    assert root.made[-1][0] == 10.0 + ROTATION_INTERVAL


def revoked(root: Root, node: NodeIndex) -> None:
    root.trees.revoke(root.now, node)
    root.members.remove(node)
    commands, names = root.trees.commands, []
    for command in commands:
        names.append(type(command).__name__)
    assert "UseKey" in names, "in the same turn, whoever has not answered"
    root.turn()


def test_no_key_that_a_revoked_member_may_have_seals_anything_more() -> None:
    root = Root(4)
    root.until(1.0)
    root.silent.update(root.members[:2])
    revoked(root, root.members[2])
    assert [at for at, _ in root.used] == [1.0]
    assert root.used[-1][1] == root.made[-1][1]


def test_of_several_that_are_revoked_in_a_row_none_waits_for_the_pause_between_rotations() -> None:
    root = Root(6)
    root.until(1.0)
    for step in range(3):
        root.until(1.0 + step * 0.01)
        revoked(root, root.members[-1])
    assert [at for at, _ in root.used] == [1.0, 1.01, 1.02]
    root.until(10.0)
    assert set(root.next_hops) == set(root.members)


def test_a_key_that_was_pending_when_its_member_was_revoked_is_passed_over() -> None:
    root = Root(6)
    root.until(1.0)
    root.silent.add(root.members[0])
    root.leave()
    assert len(root.made) == 1 and root.used == []
    pending = root.made[-1][1]
    root.until(1.5)
    revoked(root, root.members[-1])
    assert root.used[-1][1] == root.made[-1][1] > pending
    assert root.used[-1][0] == 1.5


def test_a_revoked_node_that_is_no_member_changes_no_key() -> None:
    root = Root(3)
    root.until(1.0)
    root.trees.revoke(root.now, NodeIndex(99))
    root.turn()
    assert root.made == []
