"""Whatever joins, leaves and losses come, in any order: nobody gets what it cannot open, nobody gets it twice."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from treecast.base.commands import CreateTree, MakeKey, OfferKey, SetTreeMembers, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, TreeEpoch, TreeId
from treecast.base.time import Instant
from treecast.dataplane.root_trees import ROTATION_LIMIT, RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
NODES = st.sampled_from([NodeIndex(index) for index in range(1, 7)])


class OneTree(RuleBasedStateMachine):
    """The root's decisions against a world that loses offers and answers at will."""

    @initialize()
    def begin(self) -> None:
        self.trees = RootTrees(TreeEpoch(7), Drops())
        self.now = Instant(0.0)
        self.members: set[NodeIndex] = set()
        self.holds: dict[NodeIndex, set[KeyId]] = {}
        self.offers: list[OfferKey] = []
        self.answers: list[tuple[NodeIndex, KeyId]] = []
        self.next_hops: tuple[NodeIndex, ...] = ()
        self.replicate: tuple[NodeIndex, ...] = ()
        self.key_in_use = KeyId(0)
        self.made: set[KeyId] = set()
        self.left_with: set[KeyId] = set()
        self.left_at = Instant(0.0)
        self.trees.want(self.now, FLOW, [])
        self.carry_out()

    def carry_out(self) -> None:
        for command in self.trees.commands:
            match command:
                case CreateTree(_, _, key_id):
                    self.key_in_use = key_id
                    self.made = {key_id}
                case MakeKey(_, key_id):
                    self.made.add(key_id)
                case UseKey(_, key_id):
                    assert key_id in self.made
                    self.key_in_use = key_id
                case SetTreeMembers(_, next_hops, replicate):
                    self.next_hops, self.replicate = next_hops, replicate
                case OfferKey():
                    assert command.key_id in self.made
                    assert command.peer in self.members
                    self.offers.append(command)
            for node in self.next_hops:
                assert self.key_in_use in self.holds.get(node, set()), "a next hop cannot open what it gets"
        self.trees.commands.clear()

    @rule(node=NODES)
    def join(self, node: NodeIndex) -> None:
        self.members.add(node)
        self.trees.want(self.now, FLOW, sorted(self.members))
        self.carry_out()

    @rule(node=NODES)
    def leave(self, node: NodeIndex) -> None:
        if node in self.members:
            self.members.discard(node)
            self.left_with |= self.holds.get(node, set())
            self.left_at = self.now
            self.trees.want(self.now, FLOW, sorted(self.members))
            self.carry_out()

    @rule()
    def first_frame(self) -> None:
        self.trees.used(self.now, TreeId(1))
        self.carry_out()

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), lost=st.booleans())
    def offer_arrives(self, data: st.DataObject, lost: bool) -> None:
        offer = self.offers.pop(data.draw(st.integers(0, len(self.offers) - 1)))
        if not lost:
            self.holds.setdefault(offer.peer, set()).add(offer.key_id)
            self.answers.append((offer.peer, offer.key_id))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def answer_arrives(self, data: st.DataObject, lost: bool) -> None:
        peer, key_id = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if not lost:
            self.trees.key_taken(self.now, peer, TreeId(1), TreeEpoch(7), key_id)
            self.carry_out()

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now = Instant(self.now + seconds)
        self.trees.advance(self.now)
        self.carry_out()

    @invariant()
    def each_member_is_served_in_exactly_one_way(self) -> None:
        assert sorted([*self.next_hops, *self.replicate]) == sorted(self.members)

    @invariant()
    def a_key_that_left_is_soon_out_of_use(self) -> None:
        if self.now - self.left_at >= ROTATION_LIMIT and self.left_with and self.next_hops:
            assert self.key_in_use not in self.left_with - set().union(
                *(self.holds.get(n, set()) for n in self.members)
            )


OneTree.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestOneTree = OneTree.TestCase
