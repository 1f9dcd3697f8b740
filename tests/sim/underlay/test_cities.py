"""Networks at generated locations: delays per pair, bytes by kind, cost of engines, nodes beyond an octet."""

from __future__ import annotations

from itertools import count

from treecast.sim.metering import Meter
from treecast.sim.world import World


def test_nodes_in_cities_find_each_other_and_share_what_their_hosts_joined() -> None:
    world = World(3, cities=True, loss=0.02, turn_interval=0.01)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(7))]
    world.run_until(lambda: all(len(node.peers()) == 7 for node in nodes), 30)
    nodes[3].report("239.1.1.1")
    world.run_until(lambda: all(node.subscribes(nodes[3], "239.1.1.1") for node in nodes if node is not nodes[3]), 5)
    first.send("239.1.1.1", "frame")
    world.run(1)
    assert nodes[3].forwarder.delivered == ["frame"]


def test_datagrams_and_bytes_are_counted_by_kind() -> None:
    world = World(1)
    first = world.add()
    world.add(peer=first)
    world.run(10)
    sent = world.underlay.datagrams_of
    assert {"handshake", "control", "probe"} <= set(sent)
    assert sum(sent.values()) == world.underlay.datagrams
    receipts = world.underlay.bytes_of["probe"] - 88 * sent["probe"]
    assert 0 < receipts <= 8 * sent["probe"] / 2, "replies are longer"
    assert receipts % 8 == 0
    world.underlay.reset_counts()
    assert not world.underlay.bytes_of


def test_a_meter_sums_what_the_engines_take_of_its_clock() -> None:
    ticks = count()
    meter = Meter(lambda: float(next(ticks)))
    world = World(1, meter=meter)
    first = world.add()
    world.add(peer=first)
    world.run(3)
    assert meter.total_s > 0
    assert 0 < meter.busiest_s < meter.total_s
    meter.reset()
    assert (meter.total_s, meter.busiest_s) == (0.0, 0.0)


def test_nodes_beyond_255_have_addresses_of_their_own() -> None:
    world = World(1)
    nodes = [world.add() for _ in range(300)]
    assert len({node.endpoint for node in nodes}) == 300
    assert len({node.identity.certificate.ipv4 for node in nodes}) == 300
    nodes[299].add_static_peer(nodes[298])
    world.run_until(lambda: nodes[298].is_linked(nodes[299]), 5)
    copied = world.copy(nodes[255], peer=nodes[0])
    assert copied.endpoint not in {node.endpoint for node in nodes}
