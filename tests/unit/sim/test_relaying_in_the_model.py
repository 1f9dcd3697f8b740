"""A relay of the forwarder's model forwards trees of which it holds no key."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.sim.datagrams import TreeDatagram
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.sessions import ModelSession
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


def test_a_relay_without_the_key_forwards_each_datagram_once_and_reads_none() -> None:
    underlay = Underlay(Random(1))
    relay, member = forwarder(underlay, RELAY, ROOT, MEMBER), forwarder(underlay, MEMBER, RELAY)
    relay.children[TREE] = (MEMBER,)
    member.member_keys[TREE] = [KeyId(1)]
    member.parents[TREE] = (RELAY,)
    for counter in (1, 2, 2):
        underlay.send(endpoint(ROOT), endpoint(RELAY), TreeDatagram(*TREE, KeyId(1), counter, f"frame {counter}"))
    underlay.run_until(Instant(1.0))
    assert member.delivered == ["frame 1", "frame 2"]
    assert relay.delivered == []
    assert relay.drops == {"tree_replay": 1}


def test_a_peer_that_is_forgotten_is_no_child_any_more() -> None:
    relay = forwarder(Underlay(Random(1)), RELAY, ROOT, MEMBER)
    relay.children[TREE] = (MEMBER,)
    relay.forget_peer(MEMBER)
    assert relay.children[TREE] == ()
