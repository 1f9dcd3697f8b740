"""A member whose link was made anew may have forgotten its keys: it gets copies until it acknowledges them again."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, MakeKey, OfferKey, OfferTree, SetTreeMembers
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.dataplane.root_trees import RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
TREE = StreamId(1)
ROOT, RELAY, ONE, TWO = map(NodeIndex, (1, 9, 2, 3))


class Root(DrivenRoot):
    """A root with two members, below a relay where there is one; who is not silent acknowledges what it is offered."""

    def __init__(self, *, relay: bool = False) -> None:
        below = {ONE: RELAY, TWO: RELAY} if relay else {}
        super().__init__(RootTrees(TreeEpoch(1), Drops(), ROOT, lambda *_: below))
        self.silent: set[NodeIndex] = set()
        self.offered: list[tuple[NodeIndex, KeyId]] = []
        self.given: list[SetTreeMembers] = []
        self.made = 0
        self.trees.set_relay(RELAY, may_relay=relay)
        self.trees.want(self.now, FLOW, (ONE, TWO))
        self.trees.used(self.now, TREE)
        self.turn()
        self.until(10.0)
        self.offered.clear()
        self.given.clear()

    def carry_out(self, command: Command) -> None:
        match command:
            case SetTreeMembers():
                self.given.append(command)
            case MakeKey():
                self.made += 1
            case OfferKey(_, key_id, peer):
                self.offered.append((peer, key_id))
                if peer not in self.silent:
                    self.trees.key_acknowledgement(self.now, peer, TREE, key_id)
            case OfferTree(_, epoch, peer):
                if peer not in self.silent:
                    self.trees.tree_acknowledgement(self.now, peer, TREE, epoch)

    def served(self) -> tuple[tuple[NodeIndex, ...], tuple[NodeIndex, ...], tuple[NodeIndex, ...]]:
        newest = self.given[-1]
        return newest.next_hops, newest.beyond, newest.replicate


def test_it_is_offered_the_key_in_use_again_and_no_other_is_made() -> None:
    root = Root()
    root.silent.add(ONE)
    root.trees.remade(root.now, ONE)
    root.turn()
    assert root.served() == ((TWO,), (), (ONE,))
    root.silent.clear()
    root.until(20.0)
    assert root.served() == ((ONE, TWO), (), ())
    assert set(root.offered) == {(ONE, KeyId(1))}
    assert root.made == 0


def test_it_is_a_member_in_each_command_that_the_data_plane_gets() -> None:
    root = Root()
    root.trees.remade(root.now, ONE)
    root.turn()
    assert [sorted((*each.next_hops, *each.replicate)) for each in root.given] == [[ONE, TWO]] * len(root.given)


def test_a_branch_gets_copies_until_the_next_key_puts_it_in_its_place() -> None:
    for remade in (ONE, RELAY):
        root = Root(relay=True)
        root.silent.add(remade)
        root.trees.remade(root.now, remade)
        root.turn()
        assert root.served() == ((), (), (ONE, TWO))
        root.silent.clear()
        root.until(20.0)
        assert root.served() == ((RELAY,), (ONE, TWO), ())
        assert root.made == 1


def test_who_is_on_no_tree_changes_nothing() -> None:
    root = Root()
    root.trees.remade(root.now, NodeIndex(77))
    root.turn()
    assert (root.given, root.offered) == ([], [])
