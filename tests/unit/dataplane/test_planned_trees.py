"""A tree over a relay: each member gets each frame once, by the tree or as a copy, whoever comes, goes or is silent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address
from random import Random

from tests.unit.dataplane.answers import take
from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, MakeKey, OfferKey, OfferTree, SetTreeMembers, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration
from treecast.dataplane.mute_members import MUTE_AFTER
from treecast.dataplane.root_trees import RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
TREE = StreamId(1)
ROOT, RELAY, ONE, TWO, THREE = map(NodeIndex, (1, 9, 2, 3, 4))


class Root(DrivenRoot):
    """A root that plans all members below RELAY; nodes acknowledge what they are offered, but for the silent."""

    def __init__(self, *members: NodeIndex, silent: Collection[NodeIndex] = ()) -> None:
        self.drops = Drops()
        super().__init__(RootTrees(TreeEpoch(1), self.drops, Random(1), ROOT, self.planned))
        self.trees.set_relay(RELAY, may_relay=True)
        self.silent = set(silent)
        self.given = SetTreeMembers(TREE, (), ())
        self.states: dict[NodeIndex, OfferTree] = {}
        self.keys: dict[NodeIndex, set[KeyId]] = {}
        self.made: list[tuple[Duration, KeyId]] = []
        self.used: list[KeyId] = []
        self.want(*members)
        self.trees.used(self.now, TREE)
        self.turn()

    def planned(
        self, root: NodeIndex, members: Collection[NodeIndex], relays: Collection[NodeIndex]
    ) -> Mapping[NodeIndex, NodeIndex]:
        below = {node: RELAY for node in members if node != RELAY}
        return below if RELAY in relays or RELAY in members else {}

    def want(self, *members: NodeIndex) -> None:
        self.trees.want(self.now, FLOW, members)
        self.turn()

    def carry_out(self, command: Command) -> None:
        match command:
            case SetTreeMembers():
                self.given = command
            case MakeKey(_, key_id):
                self.made.append((self.now, key_id))
            case UseKey(_, key_id):
                self.used.append(key_id)
            case OfferKey(_, key_id, peer):
                self.keys.setdefault(peer, set()).add(key_id)
                if peer not in self.silent:
                    self.trees.key_acknowledgement(self.now, peer, TREE, key_id)
            case OfferTree(_, epoch, peer):
                self.states[peer] = command
                if peer not in self.silent:
                    self.trees.tree_acknowledgement(self.now, peer, TREE, epoch)

    def served(self) -> tuple[tuple[NodeIndex, ...], tuple[NodeIndex, ...], tuple[NodeIndex, ...]]:
        return self.given.next_hops, self.given.beyond, self.given.replicate


def test_the_root_sends_to_the_relay_alone_which_gets_no_sender_key() -> None:
    root = Root(ONE, TWO)
    assert root.served() == ((RELAY,), (ONE, TWO), ())
    place = root.states[RELAY]
    assert (place.parent, place.backup, place.children) == (ROOT, NO_NODE, (ONE, TWO))
    assert [(root.states[node].parent, root.states[node].children) for node in (ONE, TWO)] == [(RELAY, ())] * 2
    assert RELAY not in root.keys and root.keys.keys() == {ONE, TWO}


def test_a_branch_gets_copies_until_all_of_it_have_their_places() -> None:
    for silent in (ONE, RELAY):
        root = Root(ONE, TWO, silent={silent})
        assert root.served() == ((), (), (ONE, TWO))
        root.silent.clear()
        root.until(1.0)
        assert root.served() == ((RELAY,), (ONE, TWO), ())


def test_a_member_that_holds_its_key_and_has_no_place_yet_gets_copies() -> None:
    root = Root(ONE, TWO, silent={ONE})
    root.trees.key_acknowledgement(root.now, ONE, TREE, KeyId(1))
    root.turn()
    assert root.served() == ((), (), (ONE, TWO))
    root.trees.tree_acknowledgement(root.now, ONE, TREE, TreeEpoch(1))
    root.turn()
    assert root.served() == ((RELAY,), (ONE, TWO), ())


def test_who_joins_is_a_child_of_the_root_until_the_next_key_puts_it_in_its_place() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.silent.add(THREE)
    root.want(ONE, TWO, THREE)
    assert root.served() == ((RELAY,), (ONE, TWO), (THREE,))
    assert root.made[-1][0] == 10.0
    root.silent.clear()
    root.until(11.0)
    assert root.served() == ((RELAY,), (ONE, TWO, THREE), ())
    assert root.states[RELAY].children == (ONE, TWO, THREE)


def test_who_leaves_and_joins_again_before_the_next_key_gets_no_frame_twice() -> None:
    """The relay sends on to it all the time, and it holds the key."""
    root = Root(ONE, TWO)
    root.until(10.0)
    root.silent.add(TWO)  # the next key takes its time
    root.want(TWO)
    assert root.served() == ((RELAY,), (ONE, TWO), ()), "the relay sends on to ONE, too, till the next key"
    root.want(ONE, TWO)
    assert root.served() == ((), (), (ONE, TWO))
    root.silent.clear()
    root.until(20.0)
    assert root.served() == ((RELAY,), (ONE, TWO), ())


def test_a_relay_whose_link_ends_leaves_copies_at_once_and_a_star_with_the_next_key() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.trees.forget(RELAY)
    root.turn()
    root.until(12.0)
    assert root.served() == ((ONE, TWO), (), ())
    root.trees.set_relay(RELAY, may_relay=True)
    root.turn()
    root.until(20.0)
    assert root.served() == ((RELAY,), (ONE, TWO), ())


def test_members_of_a_branch_whose_relay_is_gone_have_copies_in_the_same_turn() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.silent.update((ONE, TWO))
    root.trees.forget(RELAY)
    root.turn()
    assert root.served() == ((), (), (ONE, TWO))


def test_a_relay_that_takes_no_place_for_30_s_is_none_of_the_tree() -> None:
    root = Root(ONE, TWO, silent={RELAY})
    root.until(MUTE_AFTER - 0.1)
    assert root.served() == ((), (), (ONE, TWO))
    root.until(MUTE_AFTER + 3.0)
    assert root.served() == ((ONE, TWO), (), ())
    assert root.drops.snapshot() == {"relay_unacknowledged": 1}


def test_a_mute_member_costs_the_others_of_its_branch_30_s_of_copies_and_no_more() -> None:
    root = Root(ONE, TWO, silent={ONE})
    root.until(MUTE_AFTER + 3.0)
    assert root.served() == ((RELAY,), (TWO,), ())
    take(root.trees, root.now, ONE, TREE, root.used[-1])
    root.silent.clear()
    root.turn()
    root.until(MUTE_AFTER + 6.0)
    assert root.served() == ((RELAY,), (ONE, TWO), ())


def test_a_relay_that_subscribes_holds_the_key_and_one_that_leaves_relays_on() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.want(ONE, TWO, RELAY)
    root.until(12.0)
    assert root.served() == ((RELAY,), (ONE, TWO), ())
    assert root.used[-1] in root.keys[RELAY]
    root.want(ONE, TWO)
    root.until(14.0)
    assert root.served() == ((RELAY,), (ONE, TWO), ())
    assert root.used[-1] not in root.keys[RELAY]


def test_a_relay_that_subscribes_gets_copies_until_its_own_key_and_so_does_its_branch() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.silent.add(RELAY)
    root.want(ONE, TWO, RELAY)
    assert root.served() == ((), (), (ONE, TWO, RELAY))


def test_a_relay_of_which_nobody_is_below_any_more_is_told() -> None:
    root = Root(ONE)
    root.until(10.0)
    root.want()
    root.until(12.0)
    assert (root.states[RELAY].parent, root.states[RELAY].children) == (NO_NODE, ())


def test_a_relay_of_a_tree_that_ends_is_told() -> None:
    root = Root(ONE)
    root.trees.want(root.now, FLOW, None)
    root.turn()
    assert root.states[RELAY].parent == NO_NODE


def test_a_revoked_relay_has_no_tree_key_that_is_in_use() -> None:
    root = Root(ONE, TWO)
    root.until(10.0)
    root.silent.update((ONE, TWO))
    before = len(root.used)
    root.trees.revoke(root.now, RELAY)
    root.turn()
    assert len(root.used) == before + 1
    assert root.served() == ((), (), (ONE, TWO))
