"""Joins, leaves, plans and losses in any order: nobody gets what it cannot open, each member gets each frame once.

The world here is slower and less honest than any: offers and answers are lost, or come late and in any order, and who
has left keeps every key it was ever sent. Nodes take a tree's datagrams from their parent on it and send them on, as
the states say that they have taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from treecast.base.commands import Command, CreateTree, MakeKey, OfferKey, OfferTree, SetTreeMembers, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration, Instant
from treecast.dataplane.key_times import KEY_OVERLAP, ROTATION_LIMIT
from treecast.dataplane.mute_members import MUTE_AFTER
from treecast.dataplane.root_trees import RootTrees

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
STREAM = StreamId(1)
ROOT = NodeIndex(99)
MEMBERS = [NodeIndex(index) for index in range(1, 7)]
RELAYS = [NodeIndex(7), NodeIndex(8)]
NODES = st.sampled_from(MEMBERS)
PLANS = st.dictionaries(st.sampled_from(MEMBERS + RELAYS), st.sampled_from(MEMBERS + RELAYS + [ROOT]), max_size=6)
KEPT = 2
"""Keys and trees of a stream that a node keeps: those with the highest numbers."""
LEAVERS_BOUND: Duration = ROTATION_LIMIT
"""A leaver cannot open what is sealed later than that after its leave."""
FORGERS_BOUND: Duration = ROTATION_LIMIT + KEY_OVERLAP
"""Nobody who was offered another key takes anything under those of a leaver later than that."""


class Holder:
    """A node as it would be: keys and places on trees."""

    def __init__(self) -> None:
        self.keys: set[KeyId] = set()
        self.before: dict[KeyId, tuple[KeyId, Instant]] = {}
        """The key before each of these, and when that is over, by its offers; these take no time on their way."""
        self.places: dict[TreeEpoch, OfferTree] = {}

    def take(self, offer: OfferKey | OfferTree, sent: Instant) -> None:
        if isinstance(offer, OfferKey):
            self.keys = set(sorted({*self.keys, offer.key_id})[-KEPT:])
            ends = Instant(sent + offer.before_ends_ms / 1000)
            self.before[offer.key_id] = min((offer.before, ends), self.before.get(offer.key_id, (offer.before, ends)))
        else:
            places = {**self.places, offer.epoch: offer}
            self.places = {epoch: places[epoch] for epoch in sorted(places)[-KEPT:]}

    def opens(self, key_id: KeyId, now: Instant) -> bool:
        """Whether it takes what comes under a key."""
        if key_id not in self.keys or key_id == max(self.keys):
            return key_id in self.keys
        before, ends = self.before[max(self.keys)]
        return key_id == before and now < ends


class OneTree(RuleBasedStateMachine):
    """The root's decisions against a world that loses offers and answers at will."""

    @initialize()
    def begin(self) -> None:
        self.plan: dict[NodeIndex, NodeIndex] = {}
        self.trees = RootTrees(TreeEpoch(7), Drops(), Random(1), ROOT, self.planned)
        self.now = Instant(0.0)
        self.members: set[NodeIndex] = set()
        self.nodes = {node: Holder() for node in MEMBERS + RELAYS}
        self.was_sent: dict[NodeIndex, set[KeyId]] = {}
        self.left_at: dict[NodeIndex, Instant] = {}
        self.unheard_since: dict[NodeIndex, Instant] = {}
        """The time at which each node joined first, or since which its last answer of a key in use or next has come."""
        self.offers: list[tuple[Instant, OfferKey | OfferTree]] = []
        """The offers on their way, each with the time at which it was sent."""
        self.answers: list[OfferKey | OfferTree] = []
        self.answered: set[tuple[NodeIndex, str, int]] = set()
        self.sent_to = SetTreeMembers(STREAM, (), ())
        self.in_use = (KeyId(0), TreeEpoch(0))
        self.made: dict[KeyId, TreeEpoch] = {}
        self.pending_since: Instant | None = None
        for relay in RELAYS:
            self.trees.set_relay(relay, may_relay=True)
        self.trees.want(self.now, FLOW, [])
        self.carry_out()

    def planned(
        self, root: NodeIndex, members: Collection[NodeIndex], relays: Collection[NodeIndex]
    ) -> Mapping[NodeIndex, NodeIndex]:
        return self.plan

    def carry_out(self) -> None:
        """A turn ends."""
        self.trees.advance(self.now)
        for command in self.trees.commands:
            self.carry_out_one(command)
            assert max(self.frames().values(), default=0) <= 1, f"twice, after {command}"
        self.trees.commands.clear()

    def carry_out_one(self, command: Command) -> None:
        match command:
            case CreateTree(_, epoch, key_id):
                self.in_use, self.made = (key_id, epoch), {key_id: epoch}
            case MakeKey(_, key_id, epoch):
                assert self.pending_since is None, "a key that members have taken is given up"
                assert key_id > max(self.made) and epoch > max(self.made.values())
                self.made[key_id] = epoch
                self.pending_since = self.now
            case UseKey(_, key_id):
                self.in_use, self.pending_since = (key_id, self.made[key_id]), None
            case SetTreeMembers():
                self.sent_to = command
            case OfferKey(_, key_id, peer):
                assert key_id in self.made and peer in self.members
                self.offers.append((self.now, command))
                self.was_sent.setdefault(peer, set()).add(key_id)
            case OfferTree(_, epoch, peer, parent) if parent != NO_NODE:
                assert epoch in self.made.values() and (peer in self.members or peer in RELAYS)
                self.offers.append((self.now, command))

    def frames(self) -> Counter[NodeIndex]:
        """How often each member gets a frame that is sent now."""
        key_id, epoch = self.in_use
        got = Counter(node for node in self.sent_to.replicate if node in self.members)
        on_their_way = [(ROOT, node) for node in self.sent_to.next_hops]
        while on_their_way:
            source, node = on_their_way.pop()
            place = self.nodes[node].places.get(epoch)
            if place is None or place.parent != source:
                continue
            on_their_way += [(node, child) for child in place.children]
            if node in self.members and self.nodes[node].opens(key_id, self.now):
                got[node] += 1
        return got

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
            self.forget(node)
            self.trees.want(self.now, FLOW, sorted(self.members))
            self.carry_out()

    @rule(old=NODES, new=NODES)
    def one_leaves_as_another_joins(self, old: NodeIndex, new: NodeIndex) -> None:
        if old in self.members and old != new:
            self.members.discard(old)
            self.left_at[old] = self.now
            self.forget(old)
        self.join(new)

    @rule(plan=PLANS)
    def plan_anew(self, plan: dict[NodeIndex, NodeIndex]) -> None:
        self.plan = plan
        self.trees.want(self.now, FLOW, sorted(self.members))
        self.carry_out()

    @rule(relay=st.sampled_from(RELAYS))
    def link_of_a_relay_ends_and_comes_again(self, relay: NodeIndex) -> None:
        self.nodes[relay] = Holder()
        self.offers = [(sent, offer) for sent, offer in self.offers if offer.peer != relay]
        self.answers = [answer for answer in self.answers if answer.peer != relay]
        self.trees.forget(relay)
        self.carry_out()
        self.trees.set_relay(relay, may_relay=True)
        self.carry_out()

    @rule()
    def first_frame(self) -> None:
        self.trees.used(self.now, STREAM)
        self.carry_out()

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), lost=st.booleans())
    def offer_arrives(self, data: st.DataObject, lost: bool) -> None:
        sent, offer = self.offers.pop(data.draw(st.integers(0, len(self.offers) - 1)))
        if not lost:
            self.nodes[offer.peer].take(offer, sent)
            self.answers.append(offer)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def answer_arrives(self, data: st.DataObject, lost: bool) -> None:
        answer = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if not lost:
            self.hear(answer)
            self.carry_out()

    @rule()
    def all_that_is_on_its_way_arrives(self) -> None:
        offers, answers = self.offers, self.answers
        self.offers, self.answers = [], []
        for sent, offer in offers:
            self.nodes[offer.peer].take(offer, sent)
        for answer in [*answers, *(offer for _, offer in offers)]:
            self.hear(answer)
        self.carry_out()

    def note(self, node: NodeIndex, what: str, number: int) -> None:
        """An answer that comes while a node is no member is forgotten: joining again, it has to answer again."""
        if node in self.members:
            self.answered.add((node, what, number))

    def forget(self, node: NodeIndex) -> None:
        self.answered = {answer for answer in self.answered if answer[0] != node}

    def answers_of(self, node: NodeIndex) -> list[tuple[NodeIndex, str, KeyId]]:
        return [(who, what, KeyId(number)) for who, what, number in self.answered if who == node]

    def hear(self, answer: OfferKey | OfferTree) -> None:
        node = answer.peer
        if isinstance(answer, OfferKey):
            self.note(node, "key", answer.key_id)
            self.trees.key_acknowledgement(self.now, node, STREAM, answer.key_id)
        else:
            if any(self.made[key] == answer.epoch for _, what, key in self.answers_of(node) if what == "key"):
                self.note(node, "tree", answer.epoch)  # before the key a place is none, and is offered again
            self.trees.tree_acknowledgement(self.now, node, STREAM, answer.epoch)
        for key_id in {self.in_use[0], max(self.made)}:
            both = {(node, "key", key_id), (node, "tree", self.made[key_id])}
            if node in self.members and both <= self.answered:
                self.unheard_since[node] = self.now

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
        self.nobody_takes_what_who_left_long_ago_makes_up()
        self.no_key_is_pending_for_long()

    @invariant()
    def each_member_gets_each_frame_once_but_none_that_is_mute(self) -> None:
        got = self.frames()
        for node in self.members:
            is_mute = got[node] == 0 and self.now - self.unheard_since[node] >= MUTE_AFTER
            assert got[node] == 1 or is_mute, f"{node} gets {got[node]}"
        everybody = [*self.sent_to.next_hops, *self.sent_to.beyond, *self.sent_to.replicate]
        assert len(everybody) == len(set(everybody))

    @invariant()
    def who_left_long_ago_opens_nothing(self) -> None:
        for node, left_at in self.left_at.items():
            if self.now - left_at > LEAVERS_BOUND:
                assert self.in_use[0] not in self.was_sent.get(node, set()), f"{node} left at {left_at}"

    @invariant()
    def nobody_takes_what_who_left_long_ago_makes_up(self) -> None:
        """Nodes are left out that have taken no offer of a key since that left, however often it is repeated."""
        for leaver, left_at in self.left_at.items():
            its = self.was_sent.get(leaver, set())
            for node in self.members if self.now - left_at > FORGERS_BOUND else ():
                member = self.nodes[node]
                if its and max(member.keys, default=0) > max(its):
                    assert not any(member.opens(key_id, self.now) for key_id in its), f"{node} of {leaver}"

    @invariant()
    def no_key_is_pending_for_long(self) -> None:
        assert self.pending_since is None or self.now - self.pending_since <= ROTATION_LIMIT


OneTree.TestCase.settings = settings(max_examples=100, stateful_step_count=80, deadline=None)
TestOneTree = OneTree.TestCase
