"""A node whose link was made anew may have lost its keys: it is offered them again, and costs nobody else anything."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, MakeKey, OfferKey, OfferTree, SetTreeMembers
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.dataplane.remade_links import OFFERS_AT_ONCE, PAUSE
from treecast.dataplane.root_trees import RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
TREE = StreamId(1)
ROOT, RELAY, ONE, TWO = map(NodeIndex, (1, 9, 2, 3))


class Root(DrivenRoot):
    """A root with two members, below a relay where there is one; who is not silent acknowledges what it is offered."""

    def __init__(self, *, relay: bool = False, flows: int = 1) -> None:
        below = {ONE: RELAY, TWO: RELAY} if relay else {}
        super().__init__(RootTrees(TreeEpoch(1), Drops(), Random(1), ROOT, lambda *_: below))
        self.silent: set[NodeIndex] = set()
        self.offered: list[tuple[Instant, NodeIndex]] = []
        self.placed: list[NodeIndex] = []
        self.given: list[SetTreeMembers] = []
        self.made: list[KeyId] = []
        self.trees.set_relay(RELAY, may_relay=relay)
        for number in range(flows):
            self.trees.want(self.now, Flow(0, FLOW.group + number, None), (ONE, TWO))
            self.trees.used(self.now, StreamId(number + 1))
        self.turn()
        self.until(10.0)
        for seen in (self.offered, self.placed, self.given, self.made):
            seen.clear()

    def carry_out(self, command: Command) -> None:
        match command:
            case SetTreeMembers():
                self.given.append(command)
            case MakeKey(_, key_id):
                self.made.append(key_id)
            case OfferKey(stream, key_id, peer, _):
                self.offered.append((self.now, peer))
                if peer not in self.silent:
                    self.trees.key_acknowledgement(self.now, peer, stream, key_id)
            case OfferTree(stream, epoch, peer):
                self.placed.append(peer)
                if peer not in self.silent:
                    self.trees.tree_acknowledgement(self.now, peer, stream, epoch)

    def remade(self, node: NodeIndex) -> None:
        self.trees.remade_links.note(self.now, node)
        self.turn()


def test_it_is_offered_the_key_in_use_again_until_it_answers() -> None:
    root = Root()
    root.silent.add(ONE)
    root.remade(ONE)
    root.until(100.0)
    assert len(root.offered) > 50 and {node for _, node in root.offered} == {ONE}
    root.silent.clear()
    root.until(102.0)
    root.offered.clear()
    root.until(300.0)
    assert root.offered == []


def test_what_it_gets_does_not_change_nor_what_others_get() -> None:
    for relay in (False, True):
        root = Root(relay=relay)
        root.silent.add(ONE)
        root.remade(ONE)
        root.until(60.0)
        assert (root.given, root.made) == ([], [])


def test_a_relay_is_offered_its_place_again_and_no_key() -> None:
    root = Root(relay=True)
    root.remade(RELAY)
    root.until(20.0)
    assert (root.offered, root.placed, root.made) == ([], [RELAY], [])
    assert {(one.next_hops, one.beyond, one.replicate) for one in root.given} <= {((RELAY,), (ONE, TWO), ())}


def test_however_often_a_link_is_made_anew_its_node_is_asked_once_in_a_while() -> None:
    root = Root()
    for step in range(600):
        root.until(10.0 + step * 0.05)
        root.remade(ONE)
    root.until(60.0)
    assert [at for at, _ in root.offered] == [10.0 + PAUSE * number for number in range(4)]


def test_a_thousand_trees_are_offered_a_few_at_a_time() -> None:
    root = Root(flows=1000)
    root.remade(ONE)
    root.until(20.0)
    turns = [at for at, _ in root.offered]
    assert len(turns) == 1000
    assert max(turns.count(at) for at in set(turns)) <= OFFERS_AT_ONCE
    assert turns[-1] - turns[0] < 0.5


def test_who_is_on_no_tree_or_whose_link_has_ended_is_offered_nothing() -> None:
    root = Root()
    root.remade(NodeIndex(77))
    root.trees.remade_links.note(root.now, ONE)
    root.trees.forget(ONE)
    root.turn()
    root.until(100.0)
    assert {node for _, node in root.offered} == {TWO}, "the next key, for ONE has left"
