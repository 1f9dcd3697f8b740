"""Networks of few links in which much goes from one node to another: these get a link, keep it, and lose it again."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from itertools import pairwise

from tests.sim.engine.test_bounded_links import links_of, started
from tests.sim.engine.test_node_routes_in_virtual_time import apart, delivered, via
from treecast.base.events import HostSeen
from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.on_demand import OnDemandConfig
from treecast.daemon.peer_answers import PeerTraffic, peer_answers
from treecast.daemon.why_answers import WhyAnswers
from treecast.engine.environment import GroupOptions
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.frames import ipv4_address
from treecast.sim.world import SimNode, World

NODES = 18
MOST = 4
IDLE_S = 40.0
FRAME_BYTES = 1200
HEAVY_PPS = 400
"""3.9 Mbit/s and what is around each frame."""
GROUP = "239.1.1.1"
FEW = 3
COPIES = 12 * 130
"""Frames of 1,200 bytes, 130 a second: 1.2 Mbit/s."""


def routed_pair(world: World, nodes: list[SimNode]) -> tuple[SimNode, SimNode]:
    """Two nodes that neither have a link nor a reason for one."""
    world.run(30)
    return next((a, b) for a in nodes for b in nodes if via(a, b) and via(b, a))


def announce(world: World, to: SimNode, *senders: SimNode) -> None:
    """The node's host is known to those that send to it."""
    mac = to.identity.certificate.mac
    to.raise_event(HostSeen(0, 0, mac))
    world.run_until(lambda: all((0, mac.packed) in sender.forwarder.hosts for sender in senders), 10.0)


def unicast(world: World, source: SimNode, to: SimNode, seconds: float, pps: int = HEAVY_PPS) -> int:
    """Frames from host to host for so long: how many."""
    macs = to.identity.certificate.mac.packed + source.identity.certificate.mac.packed
    count = round(seconds * pps)
    for number in range(count):
        source.forwarder.send_frame(macs + b"\x12\x34" + number.to_bytes(4, "big") + bytes(FRAME_BYTES - 18))
        world.run(1 / pps)
    return count


def group_frame(source: SimNode, number: int) -> bytes:
    """A datagram of its host to the group."""
    certificate, group = source.identity.certificate, ipv4_address(GROUP)
    assert certificate.ipv4 is not None
    header = b"\x45\0" + (FRAME_BYTES - 14).to_bytes(2, "big") + bytes(4) + b"\x10\x11\0\0"
    addresses = certificate.ipv4.ip.packed + group.packed
    body = header + addresses + bytes(FRAME_BYTES - 14 - 20 - 4) + number.to_bytes(4, "big")
    return b"\x01\0\x5e\x01\x01\x01" + certificate.mac.packed + b"\x08\0" + body


def is_on_demand(one: SimNode, other: SimNode) -> bool:
    return via(one, other) == "" and one.engine.view.link_reason(other.index) is LinkReason.ON_DEMAND


class Numbers:
    """The numbers of a data plane that ``peers`` reads."""

    def __init__(self, forwarder: ModelForwarder) -> None:
        self.reports = forwarder.reports

    def peer_traffic(self) -> Mapping[NodeIndex, PeerTraffic]:
        return {}


def test_a_pair_with_much_traffic_has_a_link_within_five_seconds_of_the_threshold_and_loses_it_when_idle() -> None:
    world, nodes = started(NODES, MOST, on_demand=OnDemandConfig(below_for=IDLE_S))
    one, other = routed_pair(world, nodes)
    announce(world, other, one)
    delivered(other)
    sent = unicast(world, one, other, 3.5)
    assert via(one, other), "until there was enough"
    sent += unicast(world, one, other, 5.0)
    assert is_on_demand(one, other) and is_on_demand(other, one), "both see what goes there"
    assert other.index in links_of(one) and one.index in links_of(other)
    sent += unicast(world, one, other, 5.0)
    world.run(1.0)
    numbers = [int.from_bytes(bytes(frame[14:18]), "big") for frame in delivered(other) if isinstance(frame, bytes)]
    assert len(numbers) == sent, "none lost, none twice, while all went by another way"
    row = next(
        row for row in peer_answers(one.engine.view, Numbers(one.forwarder), one.now) if row.name == other_name(other)
    )
    assert row.link == "on demand" and row.demand_bps is not None and row.demand_since_s is not None
    assert 2_000_000 < row.demand_bps < 5_000_000 and 9 < row.demand_since_s < 12
    said = WhyAnswers(one.engine.view, one.now).about(other_name(other)).decisions
    assert "made on demand" in said[0].text and said[1].subject == "demand" and " Mb/s to it" in said[1].text
    world.run(IDLE_S)
    assert is_on_demand(one, other), "it may go on"
    world.run(80.0)
    assert via(one, other) and via(other, one)
    assert one.engine.view.demand(other.index) is None
    announce(world, other, one)
    delivered(other)
    assert unicast(world, one, other, 1.0, 10) == 10
    world.run(1.0)
    assert len(delivered(other)) == 10


def other_name(node: SimNode) -> str:
    return node.identity.certificate.name


def test_a_stream_of_copies_over_routes_makes_links_too_and_no_more_than_there_may_be() -> None:
    each_itself = GroupOptions(replicated=(IPv4Network(f"{GROUP}/32"),))
    world, nodes = started(NODES, MOST, on_demand=OnDemandConfig(links=FEW), groups=each_itself)
    world.run(30)
    source, *members = nodes[5:] + nodes[:5]
    for member in members:
        member.report(GROUP)
    world.run_until(lambda: all(source.subscribes(member, GROUP) for member in members), 20.0)
    routed = [member for member in members if via(source, member)]
    assert len(routed) > FEW
    for member in members:
        delivered(member)
    for number in range(COPIES):
        source.send(GROUP, group_frame(source, number))
        world.run(1 / 130)
    made = [member for member in members if is_on_demand(source, member)]
    assert len(made) == FEW
    world.run(2.0)
    for member in members:
        numbers = [frame[-4:] for frame in delivered(member) if isinstance(frame, bytes)]
        assert len(numbers) == len(set(numbers)) == COPIES, "none lost, none twice"


def test_traffic_in_bursts_makes_no_link_twice_in_three_minutes() -> None:
    world, nodes = started(NODES, MOST)
    one, other = routed_pair(world, nodes)
    announce(world, other, one)
    ways: list[bool] = []
    for _ in range(3):
        unicast(world, one, other, 8.0, 150)
        ways.append(via(one, other) == "")
        for _ in range(40):
            world.run(1.0)
            ways.append(via(one, other) == "")
    changes = sum(before is not after for before, after in pairwise(ways))
    assert changes <= 1


def test_a_pair_that_cannot_reach_each_other_keeps_its_route_and_tries_less_and_less() -> None:
    world, nodes = started(NODES, MOST)
    one, other = routed_pair(world, nodes)
    apart(world, one, other)
    announce(world, other, one)
    delivered(other)
    sent = unicast(world, one, other, 60.0, 150)
    world.run(1.0)
    demand = one.engine.view.demand(other.index)
    assert demand is not None and demand.failures == 2
    assert via(one, other)
    assert len(delivered(other)) == sent
    said = WhyAnswers(one.engine.view, one.now).about(other_name(other)).decisions
    assert any("2 attempts to make a link on demand came to nothing" in decision.text for decision in said)
