"""A bug in one place costs what it is about: the rest of the turn, its commands and the node go on."""

from __future__ import annotations

from typing import NoReturn

import pytest

from treecast.base.events import Event, SessionConfirmed, TapFrame
from treecast.base.time import Instant
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


class UnforeseenError(RuntimeError):
    """An error that no code expects."""


def raises(*_: object, **__: object) -> NoReturn:
    raise UnforeseenError("unexpected")


def linked(world: World) -> tuple[SimNode, SimNode]:
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 1 for node in (first, second)), 20.0)
    return first, second


def internal_errors(node: SimNode) -> int:
    return node.engine.drops.snapshot().get("internal_error", 0)


def test_an_event_that_raises_costs_that_event_and_not_the_others_of_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(1)
    node = world.add()
    frames = [TapFrame(0, number.to_bytes(2, "big") * 30) for number in range(512)]
    taken: list[bytes] = []

    def take(now: object, port: int, frame: object, wire: bytes) -> bool:
        if wire == frames[7].data:
            raise UnforeseenError("unexpected")
        taken.append(wire)
        return True

    monkeypatch.setattr(node.engine.rooms.discovery, "receive", take)
    node.engine.turn(world.underlay.now, frames)
    assert taken == [frame.data for frame in (*frames[:7], *frames[8:])]
    assert internal_errors(node) == 1
    (fault,) = node.engine.faults.take()
    assert fault.where == "TapFrame"
    assert isinstance(fault.error, UnforeseenError)
    assert node.engine.faults.take() == []


def test_the_one_event_that_confirms_a_link_is_heard_among_events_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(2)
    first = world.add()
    second = world.add()
    monkeypatch.setattr(first.engine.rooms.discovery, "receive", raises)
    turn = first.engine.turn

    def crowded(now: Instant, events: list[Event]) -> object:
        noise = TapFrame(0, b"\1\0\x5e\1\1\1" + b"\2" * 6 + b"\x08\0" + b"\0" * 46)
        return turn(now, [noise, *events, noise])

    monkeypatch.setattr(first.engine, "turn", crowded)
    first.add_static_peer(second)
    world.run_until(lambda: first.peers() == [second.index] and second.peers() == [first.index], 10.0)
    assert any(isinstance(fault.error, UnforeseenError) for fault in first.engine.faults.take())


def test_bytes_that_are_bad_are_no_bug() -> None:
    world = World(3)
    node = world.add()
    node.engine.turn(world.underlay.now, [TapFrame(0, b"short")])
    assert internal_errors(node) == 0
    assert "ethernet_truncated" in node.engine.drops.snapshot()


@pytest.mark.parametrize("room", ["discovery", "membership", "downstream_trees", "root_trees", "broadcast"])
def test_a_room_that_raises_in_each_turn_does_not_keep_back_what_the_others_send(
    room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(4)
    first, second = world.add(), world.add()
    monkeypatch.setattr(getattr(first.engine.rooms, room), "advance", raises)
    second.add_static_peer(first)
    world.run_until(lambda: second.peers() == [first.index], 10.0)
    assert internal_errors(first) > 0


def test_a_link_that_ends_is_told_to_every_room_though_one_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(5)
    first, second = linked(world)
    second.report(GROUP)
    world.run(2.0)
    monkeypatch.setattr(first.engine.rooms.broadcast, "link_down", raises)
    second.stop()
    world.run_until(lambda: not first.peers(), 20.0)
    assert not first.engine.view.is_linked(second.index)
    assert all(second.index not in (*tree.next_hops, *tree.replicate) for tree in first.forwarder.trees.values())


def test_turns_that_fail_in_a_row_are_counted_until_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(6)
    node = world.add()
    with monkeypatch.context() as broken:
        broken.setattr(node.engine.rooms.root_trees, "advance", raises)
        for number in range(1, 4):
            node.engine.turn(world.underlay.now, ())
            assert node.engine.faults.failed_turns == number
    node.engine.turn(world.underlay.now, ())
    assert node.engine.faults.failed_turns == 0


def test_events_that_raise_are_no_failed_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(7)
    node = world.add()
    monkeypatch.setattr(node.engine.rooms.links, "confirmed", raises)
    for _ in range(10):
        node.engine.turn(world.underlay.now, [SessionConfirmed(node.index, 1)])
    assert internal_errors(node) == 10
    assert node.engine.faults.failed_turns == 0


def test_a_deadline_that_raises_is_asked_again_after_a_second_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(8)
    node = world.add()
    monkeypatch.setattr(node.engine.rooms.links, "next_deadline", raises)
    now = world.underlay.now
    assert node.engine.next_deadline(now) == now + 1.0
    node.engine.turn(now, ())
    assert node.engine.faults.failed_turns == 1
