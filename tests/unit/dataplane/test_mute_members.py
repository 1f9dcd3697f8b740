"""A member that acknowledges no key gets copies for 30 s, and nothing from then on until it acknowledges one."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from random import Random

import pytest

from tests.unit.dataplane.answers import take
from tests.unit.dataplane.driven import DrivenRoot
from tests.unit.dataplane.test_keys_of_leavers import EPOCH, FLOW, TREE, Root
from treecast.base.commands import Command, OfferKey, SetTreeMembers
from treecast.base.counters import Drops
from treecast.base.ids import KeyId, NodeIndex, StreamId
from treecast.base.key_refusals import KeyRefusalReason
from treecast.base.problems import Problem
from treecast.base.time import Duration
from treecast.dataplane.mute_members import MUTE_AFTER, MUTE_OFFER_INTERVAL
from treecast.dataplane.root_trees import RootTrees

MUTE, OTHER = NodeIndex(2), NodeIndex(3)


class Tree(DrivenRoot):
    """A tree in use; OTHER acknowledges what it is offered, MUTE only what a test lets it."""

    def __init__(self, members: Collection[NodeIndex] = (MUTE, OTHER), *, used: bool = True) -> None:
        self.drops = Drops()
        super().__init__(RootTrees(EPOCH, self.drops, Random(1)))
        self.offers: list[tuple[Duration, KeyId]] = []
        """The offers to MUTE."""
        self.given_next_hops: tuple[NodeIndex, ...] = ()
        self.given_copies: tuple[NodeIndex, ...] = ()
        self.want(members)
        if used:
            self.use()

    def use(self) -> None:
        self.trees.used(self.now, TREE)
        self.turn()

    def want(self, members: Collection[NodeIndex]) -> None:
        self.trees.want(self.now, FLOW, members)
        self.turn()

    def carry_out(self, command: Command) -> None:
        if isinstance(command, SetTreeMembers):
            self.given_next_hops, self.given_copies = command.next_hops, command.replicate
        if isinstance(command, OfferKey) and command.peer == MUTE:
            self.offers.append((self.now, command.key_id))
        elif isinstance(command, OfferKey):
            take(self.trees, self.now, command.peer, TREE, command.key_id)

    def acknowledge(self, key_id: KeyId | None = None) -> None:
        """MUTE acknowledges a key, or the one that it was offered last."""
        take(self.trees, self.now, MUTE, TREE, key_id or self.offers[-1][1])
        self.turn()

    def rotate(self) -> None:
        """A third member comes, takes the key, and leaves."""
        self.want((MUTE, OTHER, NodeIndex(9)))
        self.want((MUTE, OTHER))

    def next_hops(self) -> tuple[NodeIndex, ...]:
        return self.given_next_hops

    def copies(self) -> tuple[NodeIndex, ...]:
        return self.given_copies

    def counted(self) -> int:
        return self.drops.snapshot().get("key_unacknowledged", 0)

    def problems(self) -> list[Problem]:
        return list(self.trees.problems(lambda node: f"n{node}"))


def test_copies_to_a_member_that_acknowledges_nothing_end_after_30_s_and_it_is_counted_and_said() -> None:
    tree = Tree()
    tree.until(MUTE_AFTER - 0.01)
    assert (tree.next_hops(), tree.copies(), tree.counted(), tree.problems()) == ((OTHER,), (MUTE,), 0, [])
    tree.until(MUTE_AFTER)
    assert (tree.next_hops(), tree.copies(), tree.counted()) == ((OTHER,), (), 1)
    (problem,) = tree.problems()
    assert (problem.kind, problem.subject) == ("keys_not_taken", "n2")
    assert "n2 wants the group 239.1.1.1 from here" in problem.text
    tree.until(1000.0)
    assert (tree.copies(), tree.counted(), len(tree.problems())) == ((), 1, 1), "once, however long it lasts"


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (KeyRefusalReason.AUTHENTICATED_GROUP, "n2 refuses our key of the group 239.1.1.1: it has the group as --auth"),
        (
            KeyRefusalReason.TABLE_FULL,
            "n2 refuses our key of the group 239.1.1.1: its table of other nodes' trees is f",
        ),
        (65535, "n2 refuses our key of the group 239.1.1.1: reason 65535, which a later release of Treecast knows;"),
    ],
)
def test_a_mute_member_that_says_why_it_takes_no_key_is_shown_with_that(reason: int, why: str) -> None:
    tree = Tree()
    tree.trees.offers.refused(MUTE, TREE, KeyRefusalReason.NOT_WANTED)
    assert tree.problems() == [], "it still gets copies"
    tree.trees.offers.refused(MUTE, TREE, reason)
    tree.until(MUTE_AFTER)
    (problem,) = tree.problems()
    assert why in problem.text


def test_a_reason_counts_while_an_answer_is_awaited_and_of_nobody_else() -> None:
    tree = Tree()
    stranger, elsewhere = NodeIndex(77), StreamId(99)
    for node, stream in ((stranger, TREE), (MUTE, elsewhere), (OTHER, TREE)):
        tree.trees.offers.refused(node, stream, KeyRefusalReason.TABLE_FULL)
    assert tree.trees.offers.reasons() == 0, "no member, no tree, a member that has acknowledged"
    tree.trees.offers.refused(MUTE, TREE, KeyRefusalReason.TABLE_FULL)
    assert tree.trees.offers.reasons() == 1
    tree.acknowledge()
    assert tree.trees.offers.reasons() == 0
    tree.trees.offers.refused(MUTE, TREE, KeyRefusalReason.TABLE_FULL)
    assert tree.trees.offers.reasons() == 0


def test_a_mute_member_is_offered_the_newest_key_each_10_s() -> None:
    tree = Tree()
    tree.until(MUTE_AFTER + 5 * MUTE_OFFER_INTERVAL)
    slow = [at for at, _ in tree.offers if at >= MUTE_AFTER]
    assert slow[0] == MUTE_AFTER and len(slow) >= 6
    for before, at in pairwise(slow):
        assert 0.75 * MUTE_OFFER_INTERVAL <= at - before <= MUTE_OFFER_INTERVAL
    tree.rotate()
    tree.until(tree.now + MUTE_OFFER_INTERVAL)
    assert len({key_id for _, key_id in tree.offers}) == 2
    assert len(tree.offers) <= len([at for at, _ in tree.offers if at < MUTE_AFTER]) + 8


def test_the_first_acknowledgement_of_a_mute_member_makes_it_a_next_hop_at_once() -> None:
    tree = Tree()
    tree.until(100.0)
    tree.acknowledge()
    assert (tree.next_hops(), tree.copies(), tree.problems()) == ((MUTE, OTHER), (), [])
    tree.until(1000.0)
    assert tree.next_hops() == (MUTE, OTHER)


def test_a_member_that_was_mute_gets_copies_till_the_next_key_is_in_use_and_is_offered_that_one_at_once() -> None:
    tree = Tree((MUTE, OTHER, NodeIndex(4)))
    tree.until(100.0)
    first = tree.offers[-1][1]
    tree.rotate()
    tree.acknowledge(first)
    in_use = tree.offers[-1]
    assert in_use[0] == tree.now and in_use[1] != first
    tree.acknowledge()
    assert MUTE in tree.next_hops()


def test_changes_of_keys_give_a_silent_member_no_more_time() -> None:
    tree = Tree()
    for second in range(1, 30):
        tree.until(float(second))
        tree.rotate()
    assert tree.copies() == (MUTE,)
    tree.until(MUTE_AFTER + 0.1)
    assert len({key_id for _, key_id in tree.offers}) > 20
    assert (tree.next_hops(), tree.copies(), tree.counted()) == ((OTHER,), (), 1)
    for second in range(31, 60):
        tree.until(float(second))
        tree.rotate()
        assert MUTE not in tree.copies()


def test_a_silent_member_that_leaves_and_joins_again_gets_30_s_in_all() -> None:
    tree = Tree()
    for step in range(100):
        tree.until(step * 1.0 + 0.5)
        tree.want((OTHER,))
        tree.until(step * 1.0 + 1.0)
        tree.want((MUTE, OTHER))
        assert (tree.copies() == (MUTE,)) == (tree.now < 60.0), tree.now


def test_a_member_that_joins_and_leaves_before_its_answer_has_come_stays_whole() -> None:
    """Each membership is short; now and then one is long enough for an answer."""
    tree = Tree()
    for step in range(1, 1000):
        tree.until(step * 1.0)
        tree.want((MUTE, OTHER))
        if step % 100 == 0:
            tree.acknowledge()
        tree.until(step * 1.0 + 0.2)
        assert MUTE in (*tree.copies(), *tree.next_hops())
        tree.want((OTHER,))
    assert tree.counted() == 0


def test_no_time_runs_before_a_tree_s_first_frame() -> None:
    tree = Tree(used=False)
    tree.until(1000.0)
    assert tree.copies() == (MUTE, OTHER)
    tree.use()
    tree.until(1000.0 + MUTE_AFTER - 0.01)
    assert tree.copies() == (MUTE,)


def test_one_answer_in_30_offers_is_enough() -> None:
    tree = Tree()
    tree.until(29.0)
    tree.acknowledge()
    tree.until(1000.0)
    assert (tree.next_hops(), tree.counted()) == ((MUTE, OTHER), 0)


def test_a_member_whose_link_ended_begins_anew() -> None:
    tree = Tree()
    tree.until(100.0)
    tree.trees.forget(MUTE)
    tree.turn()
    assert tree.problems() == []
    tree.want((OTHER,))
    tree.want((MUTE, OTHER))
    assert tree.copies() == (MUTE,)
    tree.until(100.0 + MUTE_AFTER)
    assert tree.copies() == () and tree.counted() == 2


def test_the_problem_ends_with_the_membership_and_with_the_tree() -> None:
    for members in ((OTHER,), None):
        tree = Tree()
        tree.until(100.0)
        assert tree.problems()
        tree.trees.want(tree.now, FLOW, members)
        assert tree.problems() == []


def test_a_mute_member_that_leaves_may_hold_the_key_so_it_is_replaced() -> None:
    root = Root(3)
    root.silent.add(NodeIndex(99))
    root.members.append(NodeIndex(99))
    root.trees.want(root.now, FLOW, root.members)
    root.turn()
    root.until(100.0)
    root.leave()
    assert len(root.made) == 1 and root.used
