"""Which places on other roots' trees this node takes: as a subscriber, and as a relay by its own certificate."""

from __future__ import annotations

import pytest

from treecast.base.commands import SendControl
from treecast.base.counters import Drops
from treecast.base.downstream_commands import AcceptTree, EndRelaying, RefuseTree
from treecast.base.events import CommandRefusalReason, TreeOffered
from treecast.base.ids import NO_NODE, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.dataplane import tree_states
from treecast.dataplane.children_bounds import CHILDREN_OF_A_RELAY
from treecast.dataplane.downstream_trees import MAX_SILENCE
from treecast.dataplane.tree_states import RELAY_OVERLAP, TreeStates
from treecast.wire.control import TreeAcknowledgement, TreeRefusal, emit_control, parse_control

ROOT, OTHER = NodeIndex(1), NodeIndex(2)
EPOCH = TreeEpoch(7)
CHILDREN = (NodeIndex(5), NodeIndex(6))


class Node:
    """A node that may relay, or not, and holds keys of some streams of ROOT."""

    def __init__(self, *subscribed: int, may_relay: bool = True, free: int | None = None) -> None:
        self.may_relay, self.free = may_relay, free
        self.drops = Drops()
        self.states = TreeStates(
            self.drops,
            lambda root, stream: root == ROOT and stream in subscribed,
            lambda: self.may_relay,
            lambda: self.free,
        )

    def takes(self, stream: int, children: tuple[NodeIndex, ...] = (), *, now: float = 1.0, root: int = 1) -> bool:
        offer = TreeOffered(NodeIndex(root), StreamId(stream), EPOCH, 1, NodeIndex(root), NO_NODE, children)
        self.states.offered(Instant(now), offer)
        (judged,) = [one for one in self.states.commands if isinstance(one, AcceptTree | RefuseTree)]
        self.states.commands.clear()
        return isinstance(judged, AcceptTree)

    def ended(self) -> list[int]:
        found = [command.stream for command in self.states.commands if isinstance(command, EndRelaying)]
        self.states.commands.clear()
        return list(found)


def test_a_place_on_a_tree_is_taken_by_who_holds_a_key_of_its_stream() -> None:
    node = Node(5, may_relay=False)
    assert node.takes(5)
    assert not node.takes(6) and not node.takes(5, root=2)
    assert node.drops.snapshot() == {"tree_state_not_wanted": 2}


def test_what_is_taken_is_acknowledged_with_its_epoch() -> None:
    node = Node(5)
    node.states.offered(Instant(0.0), TreeOffered(ROOT, StreamId(5), EPOCH, 9, OTHER, NO_NODE, ()))
    taken = emit_control(TreeAcknowledgement(5, EPOCH))
    assert node.states.commands == [AcceptTree(ROOT, StreamId(5), EPOCH, 9, taken)]


def test_a_node_relays_what_it_does_not_subscribe_to_where_its_own_certificate_has_the_role() -> None:
    node = Node()
    assert node.takes(5, CHILDREN)
    assert node.states.relayed() == ((ROOT, 5),)
    without = Node(6, may_relay=False)
    assert not without.takes(5, CHILDREN) and not without.takes(6, CHILDREN)
    assert without.drops.snapshot() == {"relay_without_role": 2}
    assert without.states.relayed() == ()


def test_a_relay_that_takes_a_place_without_children_ends_its_place_before_after_the_overlap() -> None:
    node = Node(5)
    assert node.takes(5, CHILDREN, now=1.0) and node.takes(5, now=2.0) and node.takes(5, now=3.0)
    assert (node.states.children, node.states.relayed()) == (0, ((ROOT, 5),))
    assert node.states.next_deadline() == 2.0 + RELAY_OVERLAP
    node.states.advance(Instant(1.9 + RELAY_OVERLAP))
    assert node.ended() == []
    node.states.advance(Instant(2.0 + RELAY_OVERLAP))
    assert (node.ended(), node.states.relayed()) == ([5], ())
    assert node.states.next_deadline() is None


def test_a_relay_that_has_children_again_goes_on() -> None:
    node = Node(5)
    assert node.takes(5, CHILDREN, now=1.0) and node.takes(5, now=2.0) and node.takes(5, CHILDREN, now=3.0)
    node.states.advance(Instant(3.0 + RELAY_OVERLAP))
    assert (node.ended(), node.states.relayed()) == ([], ((ROOT, 5),))


def test_a_root_has_so_much_relayed_and_another_root_s_has_room_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_states, "MAX_RELAYED_STREAMS_PER_ROOT", 2)
    node = Node()
    assert [node.takes(stream, CHILDREN) for stream in (5, 6, 7)] == [True, True, False]
    assert node.takes(6, CHILDREN), "one that is there already may change"
    assert node.drops.snapshot() == {"relayed_stream_table_full": 1}
    assert node.takes(5, CHILDREN, root=2)


def test_all_roots_together_have_so_much_relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_states, "MAX_RELAYED_STREAMS", 2)
    node = Node()
    assert [node.takes(5, CHILDREN, root=root) for root in (1, 2, 3)] == [True, True, False]


def test_a_root_ends_what_it_had_relayed_and_has_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_states, "MAX_RELAYED_STREAMS_PER_ROOT", 1)
    node = Node()
    assert node.takes(5, CHILDREN)
    node.states.offered(Instant(2.0), TreeOffered(OTHER, StreamId(5), EPOCH, 1, NO_NODE, NO_NODE, ()))
    assert node.ended() == [], "of its own trees alone"
    node.states.offered(Instant(2.0), TreeOffered(ROOT, StreamId(5), EPOCH, 1, NO_NODE, NO_NODE, ()))
    assert node.ended() == [5]
    assert node.takes(6, CHILDREN)


def test_a_stream_whose_root_is_silent_about_it_ends() -> None:
    node = Node()
    assert node.takes(5, CHILDREN, now=0.0) and node.takes(6, CHILDREN, now=5.0) and node.takes(5, CHILDREN, now=10.0)
    assert node.states.next_deadline() == 5.0 + MAX_SILENCE
    node.states.advance(Instant(5.0 + MAX_SILENCE))
    assert node.ended() == [6]
    assert node.states.relayed() == ((ROOT, 5),)


def test_a_node_that_loses_the_role_ends_all_that_it_relays() -> None:
    node = Node()
    assert node.takes(5, CHILDREN) and node.takes(6, CHILDREN, root=2)
    node.states.judge()
    assert node.ended() == []
    node.may_relay = False
    node.states.judge()
    assert node.ended() == [5, 6]
    assert node.states.next_deadline() is None


def test_a_root_that_is_gone_leaves_nothing() -> None:
    node = Node()
    assert node.takes(5, CHILDREN) and node.takes(5, CHILDREN, root=2)
    node.states.forget(ROOT)
    assert (node.ended(), node.states.relayed()) == ([], ((OTHER, 5),))


def test_a_state_that_the_data_plane_refuses_is_none_and_one_that_came_twice_stays() -> None:
    node = Node()
    command = AcceptTree(ROOT, StreamId(5), EPOCH, 1, b"")
    assert node.takes(5, CHILDREN)
    node.states.refused(command, CommandRefusalReason.UNKNOWN)
    assert node.states.relayed() == ((ROOT, 5),)
    node.states.refused(command, CommandRefusalReason.TABLE_FULL)
    assert (node.ended(), node.states.relayed()) == ([5], ())


def refusal(node: Node, stream: int, children: tuple[NodeIndex, ...]) -> TreeRefusal:
    offer = TreeOffered(ROOT, StreamId(stream), EPOCH, 1, ROOT, NO_NODE, children)
    node.states.offered(Instant(1.0), offer)
    (sent,) = [command.data for command in node.states.commands if isinstance(command, SendControl)]
    node.states.commands.clear()
    message = parse_control(sent)
    assert isinstance(message, TreeRefusal)
    return message


def test_children_beyond_the_bound_are_refused_with_how_many_would_be_taken() -> None:
    node = Node(5, free=3)
    assert node.takes(6, CHILDREN)
    assert node.states.children == 2
    assert refusal(node, 7, CHILDREN) == TreeRefusal(7, EPOCH, 1)
    assert node.drops.snapshot() == {"relay_children_full": 1}
    assert node.takes(7, CHILDREN[:1])
    assert node.takes(6, CHILDREN), "those that it has are no new ones"
    assert node.takes(6, ()) is False, "it subscribes to another stream"
    node.states.offered(Instant(2.0), TreeOffered(ROOT, StreamId(6), EPOCH, 1, NO_NODE, NO_NODE, ()))
    node.states.commands.clear()
    assert node.states.children == 1
    assert node.takes(8, CHILDREN)


@pytest.mark.parametrize("free", [None, 200])
def test_no_root_has_a_node_send_to_more_than_16_children_whatever_it_may_have(free: int | None) -> None:
    node = Node(5, free=free)
    children = tuple(NodeIndex(number) for number in range(10, 10 + CHILDREN_OF_A_RELAY + 1))
    assert refusal(node, 6, children).most_children == CHILDREN_OF_A_RELAY
    assert node.takes(6, children[1:])


def test_children_on_own_trees_leave_fewer_for_others() -> None:
    node = Node(5, free=2)
    assert node.takes(6, CHILDREN)
    node.free = -1
    assert refusal(node, 6, CHILDREN).most_children == 0


def test_a_node_that_does_not_relay_takes_none_and_the_root_learns_of_it() -> None:
    assert refusal(Node(5, may_relay=False), 6, CHILDREN) == TreeRefusal(6, EPOCH, 0)


def test_what_silent_roots_leave_is_free_again() -> None:
    node = Node(5, free=2)
    assert node.takes(6, CHILDREN)
    node.states.forget(ROOT)
    assert node.states.children == 0
