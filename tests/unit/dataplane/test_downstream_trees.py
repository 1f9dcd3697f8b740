"""Which trees of other roots this node takes part in, and when it leaves them."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest

from treecast.base.commands import SendControl
from treecast.base.counters import Drops
from treecast.base.downstream_commands import AcceptKey, LeaveStream, RefuseKey
from treecast.base.events import CommandRefusalReason, KeyOffered
from treecast.base.flows import BROADCAST, Flow, KeyFlow
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId
from treecast.base.key_refusals import BY_DROP, KeyRefusalReason
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.dataplane import downstream_trees
from treecast.dataplane.downstream_trees import LINGER, MAX_SILENCE, DownstreamTrees
from treecast.wire.control import KeyRefusal, parse_control
from treecast.wire.key_context import emit_context

SOURCE, OTHER_SOURCE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
GROUP = (0, IPv4Address("239.1.1.1"))
ANY_SOURCE = Flow(*GROUP, None)
EVERYTHING = SourceFilter(FilterMode.EXCLUDE, frozenset())
ONE_SOURCE = SourceFilter(FilterMode.INCLUDE, frozenset({SOURCE}))


class Member:
    """A node whose hosts want something of a group."""

    def __init__(self, wanted: SourceFilter) -> None:
        self.drops = Drops()
        self.trees = DownstreamTrees(self.drops)
        self.trees.want(Instant(0.0), GROUP, wanted)

    def offered(self, flow: Flow | None, stream: int, *, now: float = 1.0, root: int = 1) -> bool:
        """Whether a root's key is taken; what else ends by it is forgotten."""
        name = (NodeIndex(root), StreamId(stream), KeyId(1))
        self.trees.offered(Instant(now), KeyOffered(*name, emit_context(flow)))
        (judged,) = [one for one in self.trees.commands if isinstance(one, AcceptKey | RefuseKey)]
        self.trees.commands.clear()
        return isinstance(judged, AcceptKey)

    def left(self, now: float) -> list[StreamId]:
        """The trees that it leaves by then."""
        self.trees.advance(Instant(now))
        commands, self.trees.commands = self.trees.commands, []
        return [command.stream for command in commands if isinstance(command, LeaveStream)]


def test_the_key_of_a_flow_that_nobody_here_wants_is_refused_and_counted() -> None:
    member = Member(ONE_SOURCE)
    assert member.offered(Flow(*GROUP, SOURCE), 5)
    wrong = [ANY_SOURCE, Flow(*GROUP, OTHER_SOURCE), Flow(7, GROUP[1], SOURCE), Flow(0, IPv4Address("239.1.1.2"), None)]
    assert [member.offered(flow, 6) for flow in wrong] == [False] * 4
    assert member.drops.snapshot() == {"key_not_wanted": 4}


@pytest.mark.parametrize(
    ("flow", "of_key"),
    [
        (BROADCAST, None),
        (ANY_SOURCE, (0, ip_network("239.1.1.1"), None)),
        (Flow(*GROUP, SOURCE), (0, ip_network("239.1.1.1"), SOURCE)),
        (Flow(0, IPv4Address("239.1.0.0"), None, 16), (0, ip_network("239.1.0.0/16"), None)),
    ],
)
def test_a_key_is_taken_for_the_frames_that_its_offer_names(flow: Flow | None, of_key: KeyFlow | None) -> None:
    trees = DownstreamTrees(Drops(), prefixes=((0, ip_network("239.1.0.0/16")),))
    stream = BROADCAST_STREAM if flow is BROADCAST else StreamId(5)
    trees.offered(Instant(1.0), KeyOffered(NodeIndex(1), stream, KeyId(7), emit_context(flow)))
    (accept,) = [one for one in trees.commands if isinstance(one, AcceptKey)]
    assert accept.flow == of_key


def test_the_root_learns_why_its_key_is_not_taken() -> None:
    member = Member(EVERYTHING)
    trees = DownstreamTrees(Drops(), may_send=lambda root, _: root != 9, authenticated=[ip_network("239.2.0.0/16")])
    trees.want(Instant(0.0), (0, IPv4Address("239.2.1.1")), EVERYTHING)
    trees.want(Instant(0.0), GROUP, EVERYTHING)
    offers = [
        (1, emit_context(Flow(0, IPv4Address("239.9.9.9"), None)), KeyRefusalReason.NOT_WANTED),
        (1, b"garbage", KeyRefusalReason.MALFORMED),
        (9, emit_context(ANY_SOURCE), KeyRefusalReason.SENDER_NOT_PERMITTED),
        (1, emit_context(Flow(0, IPv4Address("239.2.1.1"), None)), KeyRefusalReason.AUTHENTICATED_GROUP),
    ]
    for root, context, reason in offers:
        trees.offered(Instant(1.0), KeyOffered(NodeIndex(root), StreamId(5), KeyId(7), context))
        sent = [one for one in trees.commands if isinstance(one, SendControl)]
        trees.commands.clear()
        assert [(one.peer, parse_control(one.data)) for one in sent] == [(root, KeyRefusal(5, 7, reason))]
    assert member.offered(ANY_SOURCE, 5)
    assert set(BY_DROP.values()) == set(KeyRefusalReason)


def test_the_root_learns_that_the_data_plane_has_no_room_for_its_key() -> None:
    trees = DownstreamTrees(Drops())
    trees.want(Instant(0.0), GROUP, EVERYTHING)
    trees.offered(Instant(1.0), KeyOffered(NodeIndex(1), StreamId(5), KeyId(7), emit_context(ANY_SOURCE)))
    (accept,) = trees.commands
    assert isinstance(accept, AcceptKey)
    trees.refused(accept, CommandRefusalReason.TABLE_FULL)
    (sent,) = [one for one in trees.commands if isinstance(one, SendControl)]
    assert parse_control(sent.data) == KeyRefusal(5, 7, KeyRefusalReason.TABLE_FULL)


@pytest.mark.parametrize(("flow", "stream"), [(BROADCAST, 5), (ANY_SOURCE, BROADCAST_STREAM)])
def test_the_broadcast_tree_has_its_number_and_no_other_tree_has(flow: Flow | None, stream: int) -> None:
    member = Member(EVERYTHING)
    assert not member.offered(flow, stream)
    assert member.drops.snapshot() == {"key_context_malformed": 1}
    assert member.offered(BROADCAST, BROADCAST_STREAM)


def test_an_offer_of_a_tree_that_another_has_followed_comes_too_late() -> None:
    member = Member(EVERYTHING)
    assert member.offered(ANY_SOURCE, 6)
    assert not member.offered(ANY_SOURCE, 5)
    assert member.left(2.0) == []


def test_a_root_has_so_many_trees_and_another_root_s_have_room_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream_trees, "MAX_DOWNSTREAM_TREES_PER_ROOT", 2)
    member = Member(EVERYTHING)
    flows = [Flow(*GROUP, IPv4Address("192.0.2.0") + number) for number in range(3)]
    assert [member.offered(flow, 5 + number) for number, flow in enumerate(flows)] == [True, True, False]
    assert member.drops.snapshot() == {"downstream_tree_table_full": 1}
    assert member.offered(flows[2], 5, root=2)


def test_all_roots_together_have_so_many_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream_trees, "MAX_DOWNSTREAM_TREES", 2)
    member = Member(EVERYTHING)
    assert [member.offered(ANY_SOURCE, 5, root=root) for root in (1, 2, 3)] == [True, True, False]
    assert member.drops.snapshot() == {"downstream_tree_table_full": 1}


def test_roots_that_fill_the_table_together_leave_room_for_one_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream_trees, "MAX_DOWNSTREAM_TREES", 6)
    member = Member(EVERYTHING)
    flows = [Flow(*GROUP, IPv4Address("192.0.2.0") + number) for number in range(4)]
    for root in (1, 2):
        for number, flow in enumerate(flows):
            member.offered(flow, 5 + number, root=root)
    assert member.offered(ANY_SOURCE, 5, root=3)
    assert member.offered(flows[0], 6, root=3)
    assert not member.offered(flows[1], 7, root=3), "it has as many as the others now"
    of_roots = [tree.root for tree in member.trees.trees()]
    assert [of_roots.count(NodeIndex(root)) for root in (1, 2, 3)] == [2, 2, 2]


def test_a_tree_that_nobody_wants_any_more_lingers_and_one_that_is_wanted_again_stays() -> None:
    member = Member(EVERYTHING)
    assert member.offered(ANY_SOURCE, 5)
    member.trees.want(Instant(10.0), GROUP, NO_SOURCE)
    assert member.left(10.0 + LINGER - 0.001) == []
    member.trees.want(Instant(19.0), GROUP, EVERYTHING)
    assert member.left(100.0) == []
    member.trees.want(Instant(100.0), GROUP, NO_SOURCE)
    assert member.left(100.0 + LINGER) == [5]


def test_a_tree_whose_root_offers_no_key_for_two_key_lifetimes_ends() -> None:
    member = Member(EVERYTHING)
    assert member.offered(ANY_SOURCE, 5, now=0.0)
    assert member.offered(ANY_SOURCE, 5, now=10.0)
    assert member.left(MAX_SILENCE) == []
    assert member.trees.next_deadline() == 10.0 + MAX_SILENCE
    assert member.left(10.0 + MAX_SILENCE) == [5]
