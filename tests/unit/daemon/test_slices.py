"""Answers of long tables are made row by row, while the tables change."""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.addresses import MacAddress
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.daemon.host_answers import host_answers
from treecast.daemon.peer_answers import PeerTraffic, peer_answers
from treecast.sim.world import World
from treecast.wire.advertisement import HostContent


def mac(number: int) -> MacAddress:
    return MacAddress(b"\x02\x00" + number.to_bytes(4, "big"))


class Silence:
    """A data plane that has measured nothing."""

    def reports(self) -> list[SessionReport]:
        return []

    def peer_traffic(self) -> dict[NodeIndex, PeerTraffic]:
        return {}


def test_hosts_come_in_order_and_one_that_went_meanwhile_is_left_out() -> None:
    world = World(seed=3)
    node = world.add()
    now, discovery = world.underlay.now, node.engine.rooms.discovery
    claimed = HostContent.of((), 0, is_router=False)
    for number in range(5000, 0, -1):
        discovery.learn(now, NodeIndex(7), (0, mac(number)), claimed)
    rows = host_answers(node.engine.view, None, now)
    own = next(row for row in rows if row is not None)
    first = next(row for row in rows if row is not None)
    discovery.learn(now, NodeIndex(7), (0, mac(4000)), None)
    discovery.learn(now, NodeIndex(7), (0, mac(5001)), claimed)
    rest = [row.mac for row in rows if row is not None]
    assert own.own
    assert [first.mac, *rest] == [str(mac(number)) for number in range(1, 5001) if number != 4000]


def test_peers_come_one_by_one_though_a_link_ends_meanwhile() -> None:
    world = World(seed=4)
    first = world.add()
    others = [world.add(peer=first) for _ in range(3)]
    world.run_until(lambda: all(first.is_linked(other) for other in others), 20.0)
    rows = peer_answers(first.engine.view, Silence(), world.underlay.now)
    assert isinstance(rows, Iterator)
    names = [next(rows).name]
    others[2].stop()
    world.run_until(lambda: not first.is_linked(others[2]), 30.0)
    names += [row.name for row in rows]
    assert names[:3] == ["n2", "n3", "n4"]
