"""Joins, leaves and losses in any order: nobody gets what it cannot open, nobody gets it twice.

The world here is slower and less honest than any: offers and answers are lost, or come late and in any order, and who
has left keeps every key it was ever sent.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from treecast.base.commands import CreateTree, MakeKey, OfferKey, SetTreeMembers, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration, Instant
from treecast.dataplane.mute_members import MUTE_AFTER
from treecast.dataplane.root_trees import KEY_REST, ROTATION_LIMIT, RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
NODES = st.sampled_from([NodeIndex(index) for index in range(1, 7)])
KEYS_OF_A_MEMBER = 2
"""As many as a member keeps: those with the highest ids."""
LEAVERS_BOUND: Duration = 2 * ROTATION_LIMIT + KEY_REST
"""A leaver cannot open what is sealed later than that after its leave."""


class OneTree(RuleBasedStateMachine):
    """The root's decisions against a world that loses offers and answers at will."""

    @initialize()
    def begin(self) -> None:
        self.trees = RootTrees(TreeEpoch(7), Drops())
        self.now = Instant(0.0)
        self.members: set[NodeIndex] = set()
        self.holds: dict[NodeIndex, set[KeyId]] = {}
        self.was_sent: dict[NodeIndex, set[KeyId]] = {}
        self.left_at: dict[NodeIndex, Instant] = {}
        self.unheard_since: dict[NodeIndex, Instant] = {}
        """When each node joined first, or when its last answer of a key in use or next has come since."""
        self.offers: list[OfferKey] = []
        self.answers: list[tuple[NodeIndex, KeyId]] = []
        self.next_hops: tuple[NodeIndex, ...] = ()
        self.replicate: tuple[NodeIndex, ...] = ()
        self.key_in_use = KeyId(0)
        self.made: set[KeyId] = set()
        self.pending_since: Instant | None = None
        self.trees.want(self.now, FLOW, [])
        self.carry_out()

    def carry_out(self) -> None:
        """A turn ends."""
        self.trees.advance(self.now)
        for command in self.trees.commands:
            match command:
                case CreateTree(_, _, key_id):
                    self.key_in_use = key_id
                    self.made = {key_id}
                case MakeKey(_, key_id):
                    assert self.pending_since is None, "a key that members have taken is given up"
                    self.made.add(key_id)
                    self.pending_since = self.now
                case UseKey(_, key_id):
                    assert key_id in self.made
                    self.key_in_use, self.pending_since = key_id, None
                case SetTreeMembers(_, next_hops, replicate):
                    self.next_hops, self.replicate = next_hops, replicate
                case OfferKey():
                    assert command.key_id in self.made
                    assert command.peer in self.members
                    self.offers.append(command)
                    self.was_sent.setdefault(command.peer, set()).add(command.key_id)
            self.next_hops_can_open()
        self.trees.commands.clear()

    def next_hops_can_open(self) -> None:
        for node in self.next_hops:
            assert self.key_in_use in self.holds.get(node, set()), "a next hop cannot open what it gets"

    @rule(node=NODES)
    def join(self, node: NodeIndex) -> None:
        self.members.add(node)
        self.left_at.pop(node, None)
        self.unheard_since.setdefault(node, self.now)
        self.trees.want(self.now, FLOW, sorted(self.members))
        self.carry_out()

    @rule(node=NODES)
    def leave(self, node: NodeIndex) -> None:
        if node in self.members:
            self.members.discard(node)
            self.left_at[node] = self.now
            self.trees.want(self.now, FLOW, sorted(self.members))
            self.carry_out()

    @rule(old=NODES, new=NODES)
    def one_leaves_as_another_joins(self, old: NodeIndex, new: NodeIndex) -> None:
        if old in self.members and old != new:
            self.members.discard(old)
            self.left_at[old] = self.now
        self.join(new)

    @rule()
    def first_frame(self) -> None:
        self.trees.used(self.now, StreamId(1))
        self.carry_out()

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), lost=st.booleans())
    def offer_arrives(self, data: st.DataObject, lost: bool) -> None:
        offer = self.offers.pop(data.draw(st.integers(0, len(self.offers) - 1)))
        if not lost:
            holds = self.holds.get(offer.peer, set()) | {offer.key_id}
            self.holds[offer.peer] = set(sorted(holds)[-KEYS_OF_A_MEMBER:])
            self.answers.append((offer.peer, offer.key_id))
            self.next_hops_can_open()

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def answer_arrives(self, data: st.DataObject, lost: bool) -> None:
        peer, key_id = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if not lost:
            if peer in self.members and key_id in (self.key_in_use, max(self.made)):
                self.unheard_since[peer] = self.now
            self.trees.key_acknowledgement(self.now, peer, StreamId(1), TreeEpoch(7), key_id)
            self.carry_out()

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        end, soon = self.now + seconds, self.now + LEAVERS_BOUND + 1.0
        while (due := self.trees.next_deadline()) is not None and due <= min(end, soon):
            self.advance_to(max(self.now, due))
        self.advance_to(Instant(end))

    def advance_to(self, now: Instant) -> None:
        self.now = now
        self.carry_out()
        self.who_left_long_ago_opens_nothing()
        self.no_key_is_pending_for_long()

    @invariant()
    def each_member_is_served_in_exactly_one_way_but_none_that_is_mute(self) -> None:
        served = [*self.next_hops, *self.replicate]
        assert len(served) == len(set(served))
        assert set(served) <= self.members
        for node in self.members.difference(served):
            assert self.now - self.unheard_since[node] >= MUTE_AFTER

    @invariant()
    def who_left_long_ago_opens_nothing(self) -> None:
        for node, left_at in self.left_at.items():
            if self.now - left_at > LEAVERS_BOUND:
                assert self.key_in_use not in self.was_sent.get(node, set()), f"{node} left at {left_at}"

    @invariant()
    def no_key_is_pending_for_long(self) -> None:
        assert self.pending_since is None or self.now - self.pending_since <= ROTATION_LIMIT


OneTree.TestCase.settings = settings(max_examples=200, stateful_step_count=80, deadline=None)
TestOneTree = OneTree.TestCase
