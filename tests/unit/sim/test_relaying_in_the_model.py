"""A relay of the forwarder's model forwards trees of which it holds no key."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.sim.datagrams import TreeDatagram, TreeState
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.sessions import ModelSession
from treecast.sim.tables import DownstreamStream
from treecast.sim.underlay import Underlay

ROOT, RELAY, MEMBER = NodeIndex(1), NodeIndex(2), NodeIndex(3)
TREE = (ROOT, StreamId(7), TreeEpoch(1))


def endpoint(node: NodeIndex) -> Endpoint:
    return Endpoint(IPv4Address("198.18.0.0") + node, 7700)


def forwarder(underlay: Underlay, me: NodeIndex, *peers: NodeIndex) -> ModelForwarder:
    made = ModelForwarder(me=me, endpoint=endpoint(me), underlay=underlay, raise_event=lambda _: None)
    for peer in peers:
        made.sessions.install(peer, ModelSession(peer, me, endpoint(peer), True, Instant(0.0), Instant(0.0)))
    return made


def take(node: ModelForwarder, parent: NodeIndex, *children: NodeIndex, keys: tuple[KeyId, ...] = ()) -> None:
    """The node is on the tree, between these, and holds these keys."""
    root, stream, epoch = TREE
    held = node.streams.setdefault((root, stream), DownstreamStream())
    held.accept_tree(TreeState(stream, epoch, KeyId(1), parent, NO_NODE, children))
    for key_id in keys:
        held.accept_key(key_id, None)


def send(underlay: Underlay, counters: tuple[int, ...], source: NodeIndex = ROOT) -> None:
    for counter in counters:
        underlay.send(endpoint(source), endpoint(RELAY), TreeDatagram(*TREE, KeyId(1), counter, f"frame {counter}"))
    underlay.run_until(Instant(underlay.now + 1.0))


def test_a_relay_without_the_key_forwards_each_datagram_once_and_reads_none() -> None:
    underlay = Underlay(Random(1))
    relay, member = forwarder(underlay, RELAY, ROOT, MEMBER), forwarder(underlay, MEMBER, RELAY)
    take(relay, ROOT, MEMBER)
    take(member, RELAY, keys=(KeyId(1),))
    send(underlay, (1, 2, 2))
    assert member.delivered == ["frame 1", "frame 2"]
    assert relay.delivered == []
    assert relay.drops == {"tree_replay": 1}


def test_a_relay_that_subscribes_reads_what_it_forwards_once() -> None:
    underlay = Underlay(Random(1))
    relay, member = forwarder(underlay, RELAY, ROOT, MEMBER), forwarder(underlay, MEMBER, RELAY)
    take(relay, ROOT, MEMBER, keys=(KeyId(1),))
    take(member, RELAY, keys=(KeyId(1),))
    send(underlay, (1, 1))
    assert (relay.delivered, member.delivered) == (["frame 1"], ["frame 1"])


def test_a_relay_takes_a_datagram_from_its_parent_alone() -> None:
    underlay = Underlay(Random(1))
    relay = forwarder(underlay, RELAY, ROOT, MEMBER)
    take(relay, ROOT, MEMBER)
    send(underlay, (1,), source=MEMBER)
    assert relay.drops == {"tree_rpf": 1}


def test_a_datagram_of_one_stream_comes_once_by_whichever_of_two_trees() -> None:
    underlay = Underlay(Random(1))
    relay = forwarder(underlay, RELAY, ROOT)
    take(relay, ROOT, keys=(KeyId(1),))
    relay.streams[ROOT, TREE[1]].accept_tree(TreeState(TREE[1], TreeEpoch(2), KeyId(1), ROOT, NO_NODE, ()))
    for epoch in (TREE[2], TreeEpoch(2)):
        datagram = TreeDatagram(ROOT, TREE[1], epoch, KeyId(1), 1, "frame")
        underlay.send(endpoint(ROOT), endpoint(RELAY), datagram)
    underlay.run_until(Instant(1.0))
    assert (relay.delivered, relay.drops) == (["frame"], {"tree_replay": 1})


def test_a_peer_that_is_forgotten_is_no_child_any_more() -> None:
    relay = forwarder(Underlay(Random(1)), RELAY, ROOT, MEMBER)
    take(relay, ROOT, MEMBER)
    relay.forget_peer(MEMBER)
    assert relay.streams[ROOT, TREE[1]].trees[TREE[2]].children == ()
