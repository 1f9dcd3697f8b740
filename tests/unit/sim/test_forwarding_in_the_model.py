"""The forwarder's model sends on what nodes between two others do, and drops by the names of the real one."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

import pytest

from treecast.base import commands as c
from treecast.base.addresses import Endpoint
from treecast.base.events import Event, ForwardedHandshake
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.sim.datagrams import Forward, SessionDatagram
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.sending import HOP_LIMIT
from treecast.sim.sessions import ModelSession
from treecast.sim.underlay import Underlay

ONE, TWO, THREE, NOBODY = (NodeIndex(number) for number in (1, 2, 3, 9))


def endpoint(node: NodeIndex) -> Endpoint:
    return Endpoint(IPv4Address("198.18.0.0") + node, 7700)


class Line:
    """1 - 2 - 3: the ends have a session and no path."""

    def __init__(self) -> None:
        self.underlay = Underlay(Random(1))
        self.events: dict[NodeIndex, list[Event]] = {node: [] for node in (ONE, TWO, THREE)}
        self.nodes = {node: self._node(node) for node in (ONE, TWO, THREE)}
        for one, other, at in ((ONE, TWO, True), (TWO, THREE, True), (ONE, THREE, False)):
            for me, peer in ((one, other), (other, one)):
                session = ModelSession(peer, me, endpoint(peer) if at else None, True, Instant(0.0), Instant(0.0))
                self.nodes[me].sessions.install(peer, session)
        self.nodes[ONE].carry_out([c.SetNodeRoute(THREE, TWO)])
        self.nodes[THREE].carry_out([c.SetNodeRoute(ONE, TWO)])

    def _node(self, me: NodeIndex) -> ModelForwarder:
        return ModelForwarder(me=me, endpoint=endpoint(me), underlay=self.underlay, raise_event=self.events[me].append)

    def drop_at_two(self, destination: NodeIndex, source: NodeIndex, hop_limit: int) -> dict[str, int]:
        """The drops at the node between of what the first one sends it."""
        forward = Forward(destination, source, hop_limit, b"init")
        self.underlay.send(endpoint(ONE), endpoint(TWO), SessionDatagram(ONE, 1, forward))
        self.underlay.run_until(Instant(self.underlay.now + 1.0))
        return dict(self.nodes[TWO].drops)


def test_what_goes_by_the_node_between_counts_for_the_ends_and_in_each_link() -> None:
    line = Line()
    line.nodes[ONE].hosts[0, bytes(6)] = THREE
    line.nodes[ONE].send_frame(bytes(6) + b"\x02\x54\0\0\0\x01\x12\x34" + bytes(1000))
    line.underlay.run_until(Instant(1.0))

    def carried(node: NodeIndex) -> dict[NodeIndex, int]:
        return {report.peer: report.carried_bytes for report in line.nodes[node].reports()}

    assert carried(ONE)[THREE] == carried(THREE)[ONE] == 1014 + 36
    assert carried(ONE)[TWO] == carried(TWO)[ONE] == carried(TWO)[THREE] == carried(ONE)[THREE] + 12 + 36


def test_a_frame_and_a_handshake_go_by_the_node_between() -> None:
    line = Line()
    line.nodes[ONE].hosts[0, bytes(6)] = THREE
    line.nodes[ONE].send_frame(bytes(6) + b"\x02\x54\0\0\0\x01\x12\x34" + bytes(50))
    line.nodes[ONE].carry_out([c.SendForwarded(TWO, THREE, b"init")])
    line.underlay.run_until(Instant(1.0))
    assert len(line.nodes[THREE].delivered) == 1
    assert line.events[THREE] == [ForwardedHandshake(TWO, ONE, b"init")]
    assert line.nodes[TWO].delivered == line.events[TWO] == []
    assert all(not node.drops for node in line.nodes.values())


@pytest.mark.parametrize(
    ("destination", "source", "hop_limit", "reason"),
    [
        (THREE, ONE, 0, "forward_malformed"),
        (ONE, ONE, HOP_LIMIT, "forward_malformed"),
        (THREE, NOBODY, HOP_LIMIT, "forward_source"),
        (THREE, NOBODY, 255, "forward_source"),
        (THREE, TWO, 5, "forward_own"),
        (THREE, ONE, 1, "forward_hop_limit"),
        (NOBODY, ONE, HOP_LIMIT, "forward_no_route"),
        (ONE, NOBODY, 5, "forward_no_route"),
    ],
)
def test_what_is_not_sent_on_is_dropped_by_name(
    destination: NodeIndex, source: NodeIndex, hop_limit: int, reason: str
) -> None:
    assert Line().drop_at_two(destination, source, hop_limit) == {reason: 1}


def test_a_route_that_leads_back_is_none() -> None:
    line = Line()
    line.nodes[TWO].carry_out([c.SetNodeRoute(THREE, ONE)])
    assert line.drop_at_two(THREE, ONE, HOP_LIMIT) == {"forward_no_route": 1}
    line.nodes[TWO].carry_out([c.RemoveNodeRoute(THREE)])
    assert line.nodes[TWO].node_routes == {}


def test_without_its_route_a_node_that_has_no_path_gets_nothing() -> None:
    line = Line()
    line.nodes[ONE].carry_out([c.RemoveNodeRoute(THREE), c.SendControl(THREE, b"message")])
    assert line.nodes[ONE].drops == {"socket_unreachable": 1}
