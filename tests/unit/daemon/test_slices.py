"""Answers of long tables are made row by row, while the tables change."""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.addresses import MacAddress
from treecast.base.events import ControlDatagram, SessionReport
from treecast.base.ids import NodeIndex
from treecast.daemon.host_answers import host_answers
from treecast.daemon.peer_answers import PeerTraffic, peer_answers
from treecast.identity.keys import NodeKeys
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import (
    SIGNING_CONTEXT,
    Body,
    HostContent,
    Kind,
    NodeContent,
    Signed,
    emit,
    host_key,
)
from treecast.wire.control import Flood, emit_control

AT_A_TIME = 50
"""Hosts."""
CLAIMANT = NodeIndex(7)


def mac(number: int) -> MacAddress:
    return MacAddress(b"\x02\x00" + number.to_bytes(4, "big"))


class Silence:
    """A data plane that has measured nothing."""

    def reports(self) -> list[SessionReport]:
        return []

    def peer_traffic(self) -> dict[NodeIndex, PeerTraffic]:
        return {}


class Claimant:
    """A member that claims hosts: its signed advertisements, as a neighbour floods them."""

    def __init__(self, world: World, neighbour: SimNode) -> None:
        self._keys = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))
        self._neighbour = neighbour
        self._sequence = 0
        node = NodeContent.of(world.certify(CLAIMANT, self._keys).encode(), ())
        self.node = self._flood(Kind.NODE, b"", emit(node))

    def claim(self, number: int) -> ControlDatagram:
        return self._flood(Kind.HOST, host_key(0, mac(number)), emit(HostContent.of((), 0, is_router=False)))

    def withdraw(self, number: int) -> ControlDatagram:
        return self._flood(Kind.HOST, host_key(0, mac(number)), b"")

    def _flood(self, kind: Kind, key: bytes, content: bytes) -> ControlDatagram:
        self._sequence += 1
        body = emit(Body(CLAIMANT, 1, self._sequence, kind, key, content))
        wire = emit(Signed(body, self._keys.signing.sign(SIGNING_CONTEXT, body)))
        return ControlDatagram(self._neighbour.index, 1, emit_control(Flood((wire,))))


def test_hosts_come_in_order_and_one_that_went_meanwhile_is_left_out() -> None:
    world = World(seed=3)
    node = world.add()
    neighbour = world.add(peer=node)
    world.run_until(lambda: node.is_linked(neighbour), 20.0)
    claimant = Claimant(world, neighbour)
    node.engine.turn(world.underlay.now, [claimant.node])
    for last in range(4000, 0, -AT_A_TIME):
        world.run(AT_A_TIME / 500)  # half of what is taken at once
        node.engine.turn(world.underlay.now, [claimant.claim(last - number) for number in range(AT_A_TIME)])
    world.run(1.0)
    now = world.underlay.now
    rows = host_answers(node.engine.view, (), now)
    own = next(row for row in rows if row is not None)
    first = next(row for row in rows if row is not None)
    node.engine.turn(now, [claimant.withdraw(3000), claimant.claim(4001)])
    rest = [row.mac for row in rows if row is not None]
    claimed = [str(mac(number)) for number in range(1, 4001) if number != 3000]
    assert own.own
    assert [row for row in [first.mac, *rest] if row != str(neighbour.identity.certificate.mac)] == claimed


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
