"""A node that refuses its place with children: the tree is planned without it, and each member is served."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from tests.unit.dataplane.driven import DrivenRoot
from treecast.base.commands import Command, MakeKey, OfferKey, OfferTree, SetTreeMembers
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.relaying import Relaying
from treecast.dataplane.bounded_planning import BoundedPlanning
from treecast.dataplane.children_bounds import ChildrenBounds
from treecast.dataplane.root_trees import RootTrees
from treecast.sim.link_graph import LinkGraph

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
TREE = StreamId(1)
ROOT, *MEMBERS = map(NodeIndex, range(1, 8))


class Root(DrivenRoot):
    """A root that may have two children. Each member may relay to two, and acknowledges, but for those that refuse."""

    def __init__(self, *refusing: NodeIndex) -> None:
        bounds = ChildrenBounds(ROOT, Relaying(max_children=2), lambda _: Relaying(max_children=2))
        planning = BoundedPlanning(ROOT, LinkGraph(), bounds)
        for node in (ROOT, *MEMBERS):
            planning.set_links(node, 0, [(other, 10 + abs(node - other), 0) for other in (ROOT, *MEMBERS)])
        super().__init__(RootTrees(TreeEpoch(1), Drops(), Random(1), ROOT, planning=planning))
        for node in MEMBERS:
            self.trees.set_relay(node, may_relay=True)
        self.refusing = {*refusing}
        self.given = SetTreeMembers(TREE, (), ())
        self.states: dict[NodeIndex, OfferTree] = {}
        self.keys_made = 0
        self.released: set[NodeIndex] = set()
        self.trees.want(self.now, FLOW, MEMBERS)
        self.turn()
        self.trees.used(self.now, TREE)
        self.turn()

    def carry_out(self, command: Command) -> None:
        match command:
            case SetTreeMembers():
                self.given = command
                served = [*command.next_hops, *command.beyond, *command.replicate]
                assert sorted(served) in (MEMBERS, []), "each member is served, and once"
            case MakeKey():
                self.keys_made += 1
            case OfferKey(_, key_id, peer):
                self.trees.key_acknowledgement(self.now, peer, TREE, KeyId(key_id))
            case OfferTree(_, _, peer, parent) if parent == NO_NODE:
                self.released.add(peer)
            case OfferTree(_, epoch, peer):
                self.states[peer] = command
                if command.children and peer in self.refusing:
                    self.trees.tree_refusal(self.now, peer, TREE, epoch, 0)
                else:
                    self.trees.tree_acknowledgement(self.now, peer, TREE, epoch)

    def relays(self) -> set[NodeIndex]:
        return {node for node, state in self.states.items() if state.children}

    def sending(self) -> set[NodeIndex]:
        """Nodes that send on, or are to do so where a parent is silent."""
        return self.relays() | {node for node, state in self.states.items() if state.backup_children}


def test_a_root_sends_to_two_and_these_send_on() -> None:
    root = Root()
    assert (len(root.given.next_hops), root.given.replicate, root.keys_made) == (2, (), 0)


def test_who_refuses_has_nobody_below_it_with_the_next_key_and_all_are_served_within_two_seconds() -> None:
    usual = Root().relays()
    for node in usual:
        root = Root(node)
        root.until(2.0)
        assert node not in root.relays()
        assert (len(root.given.next_hops), root.given.replicate) == (2, ())
        assert root.keys_made <= 2


def test_where_too_many_refuse_the_root_sends_to_the_rest_itself() -> None:
    root = Root(*MEMBERS)
    root.until(30.0)
    assert root.given.next_hops == tuple(MEMBERS)
    assert [problem.kind for problem in root.trees.problems(str)] == ["no_place_on_trees"]
    assert root.keys_made <= len(MEMBERS)


def test_a_refusal_of_another_epoch_changes_nothing() -> None:
    root = Root()
    root.until(5.0)
    made, relay = root.keys_made, min(root.relays())
    for epoch in (0, 2, 99):
        root.trees.tree_refusal(root.now, relay, TREE, TreeEpoch(epoch), 0)
    root.trees.tree_refusal(root.now, relay, StreamId(9), TreeEpoch(1), 0)
    root.turn()
    root.until(8.0)
    assert root.keys_made == made
    root.trees.tree_refusal(root.now, relay, TREE, TreeEpoch(1), 0)
    root.turn()
    root.until(12.0)
    assert root.keys_made == made + 1


def test_who_leaves_a_tree_in_which_it_had_children_is_released_from_its_place() -> None:
    root = Root()
    root.until(5.0)
    sending = root.sending()
    assert root.relays() < sending
    root.trees.want(root.now, FLOW, ())
    root.turn()
    root.until(10.0)
    assert root.released == sending
