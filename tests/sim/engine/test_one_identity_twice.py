"""A node's directory on two machines: said on all nodes, settled within seconds; restarts and replays end nobody."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address

import pytest
from msgspec.structs import replace

from tests.sim.engine.meshes import is_twice, mesh, must_end, twice
from treecast.base.addresses import Endpoint
from treecast.base.commands import SendControl
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.twins import LAST_WORD_LIMIT, OtherTwins, Twins
from treecast.sim.world import UNIX_START_S, SimNode, World
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, ListedEndpoint, NodeContent, Signed, emit
from treecast.wire.control import Flood, emit_control


@pytest.mark.parametrize("clock_error", [0.0, -3600.0, 3600.0])
@pytest.mark.parametrize("seed", range(4))
def test_of_two_machines_with_one_identity_exactly_one_is_to_end(seed: int, clock_error: float) -> None:
    world = World(seed)
    hub, node, witness = mesh(world)
    copy = world.copy(node, peer=hub, clock_error=clock_error)
    later, earlier = (copy, node) if clock_error >= 0 else (node, copy)

    world.run_until(partial(must_end, later), 30)
    world.run(1.0)
    later.stop()
    world.run_until(lambda: bool(twice(earlier)), 10)
    for other in (hub, witness):
        (problem,) = twice(other)
        assert str(node.endpoint) in problem.text
        assert str(copy.endpoint) in problem.text
        assert "make one of another name where the CA key is (treecast node add OTHER-NAME)" in problem.text
    world.run_until(lambda: twice(hub) == twice(witness) == twice(earlier) == [], 20)
    world.run_until(lambda: len(earlier.peers()) == 2, 60)
    for _ in range(700):
        world.run(1.0)
        assert twice(hub) == twice(witness) == twice(earlier) == [], "it is over for good"
    assert not must_end(earlier)


def test_a_copy_that_is_started_again_and_again_is_one_problem_without_a_break() -> None:
    world = World(3)
    hub, node, witness = mesh(world)
    for number in range(6):
        copy = world.copy(node, peer=hub)
        world.run_until(partial(must_end, copy), 30)
        assert number == 0 or twice(witness)
        copy.carry_out(copy.engine.goodbye())
        copy.stop()
        for _ in range(20):
            world.run(0.1)
            assert twice(witness)


def test_a_third_instance_does_not_end_the_problem_of_two() -> None:
    others, node, now = OtherTwins(), NodeIndex(2), Instant(0.0)
    for number, instance in enumerate((b"original", b"copy-one", b"original", b"copy-two", b"copy-thr")):
        now = Instant(float(number))
        others.receive(now, node, NodeContent(b"", (), instance, 10, b""))
        assert bool(list(others.twice(now))) == (number >= 2)


def are_linked(one: SimNode, other: SimNode) -> bool:
    return bool(one.peers() and other.peers())


@pytest.mark.parametrize("clock_error", [0.0, -3600.0, 3600.0])
@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_the_run_that_stays_is_told_by_a_third_node_though_the_other_ends_at_once(
    loss: float, clock_error: float
) -> None:
    for seed in range(8):
        world = World(seed, loss=loss, jitter=0.02)
        hub = world.add()
        node = world.add(peer=hub)
        world.run_until(partial(are_linked, hub, node), 20)
        world.run(40)
        copy = world.copy(node, peer=hub, clock_error=clock_error)
        later, earlier = (copy, node) if clock_error >= 0 else (node, copy)
        world.run_until(partial(must_end, later), 60)
        later.carry_out(later.engine.goodbye())
        later.stop()
        world.run_until(partial(is_twice, earlier), 60)
        (said,) = twice(earlier)
        assert str(node.endpoint) in said.text
        assert str(copy.endpoint) in said.text
        world.run_until(partial(is_twice, hub), 5)


@pytest.mark.parametrize("clock_error", [0.0, -3600.0, 3600.0])
def test_a_restarted_node_is_no_twin_of_itself_whatever_its_clock_says(clock_error: float) -> None:
    world = World(7)
    hub, node, _ = mesh(world)
    for _ in range(3):
        node = world.restart(node, peer=hub, clock_error=clock_error)
        world.run(20)
        assert node.engine.must_end(world.underlay.now) is None
        assert twice(node) == twice(hub) == []


def test_only_an_advertisement_that_names_this_run_is_a_proof() -> None:
    own = Twins(b"ownown00", 1000)
    for number in range(50):
        own.receive(Instant(float(number)), NodeContent(b"", (), number.to_bytes(8, "big"), 10, b"another0"))
    assert own.twin(Instant(50.0)) is None
    own.receive(Instant(50.0), NodeContent(b"", (), b"twintwin", 10, b"ownown00"))
    twin = own.twin(Instant(50.0))
    assert twin is not None
    assert twin.is_older


def test_the_run_that_is_to_end_waits_until_its_last_word_is_held_but_not_for_ever() -> None:
    own, older = Twins(b"ownown00", 1000), NodeContent(b"", (), b"twintwin", 10, b"ownown00")
    replayed = NodeContent(b"", (), b"longgone", 10, b"")
    assert own.receive(Instant(0.0), replayed)
    own.rival_acknowledged()
    assert own.receive(Instant(0.1), older), "a proof is answered at once, whatever was answered a moment ago"
    assert own.rival == b"twintwin"
    assert own.must_end(Instant(0.1)) is None
    assert not own.receive(Instant(2.0), replayed), "it may not take the place of the last word"
    assert own.must_end(Instant(0.1 + LAST_WORD_LIMIT)) is not None
    assert own.receive(Instant(0.2), older) is False
    own.rival_acknowledged()
    assert own.must_end(Instant(0.2)) is not None


def test_runs_that_started_in_the_same_millisecond_agree_which_ends() -> None:
    one, two = Twins(b"1" * 8, 1000), Twins(b"2" * 8, 1000)
    one.receive(Instant(0.0), NodeContent(b"", (), two.instance, two.started_ms, one.instance))
    two.receive(Instant(0.0), NodeContent(b"", (), one.instance, one.started_ms, two.instance))
    found = [twins.twin(Instant(0.0)) for twins in (one, two)]
    assert [twin.is_older for twin in found if twin is not None] == [False, True]


def stolen(node: SimNode, epoch: int, at: Endpoint) -> bytes:
    """A NODE of whoever has the node's keys, and names no other run."""
    endpoint = ListedEndpoint(at.address.packed, at.port)
    content = NodeContent(node.identity.certificate.encode(), (endpoint,), b"thethief", epoch)
    body = emit(Body(node.index, epoch, 1, Kind.NODE, b"", emit(content)))
    return emit(Signed(body, node.identity.keys.signing.sign(SIGNING_CONTEXT, body)))


def test_the_victim_of_a_thief_that_names_nobody_has_the_problem_as_all_others_have_and_goes_on() -> None:
    world = World(5)
    hub, node, witness = mesh(world)
    carrier = world.add(peer=hub)
    world.run_until(lambda: carrier.is_linked(hub) and hub.is_linked(carrier), 20)
    at = Endpoint(IPv4Address("198.51.100.66"), 7700)
    wire = stolen(node, int(UNIX_START_S + 3_600) * 1_000, at)
    carrier.carry_out([SendControl(hub.index, emit_control(Flood((wire,))))])
    world.run(3.0)
    for other in (hub, node, witness):
        (problem,) = twice(other)
        assert str(at) in problem.text and str(node.endpoint) in problem.text
        assert "treecast node revoke n2" in problem.text
    assert not must_end(node)
    world.run(20.0)
    assert twice(hub) == twice(node) == twice(witness) == []
    assert not must_end(node)
    carrier.carry_out([SendControl(hub.index, emit_control(Flood((wire,))))])
    world.run(3.0)
    assert twice(node) == [], "it is known, and replayed"


def test_what_the_first_neighbours_remember_is_no_other_run_and_a_proof_is_not_overwritten() -> None:
    own, other = Twins(b"ownown00", 1000), NodeContent(b"", (), b"another0", 10)
    own.overtaken(Instant(9.9), other, Instant(0.0))
    assert own.twin(Instant(9.9)) is None
    own.overtaken(Instant(10.0), other, Instant(0.0))
    assert own.twin(Instant(10.0)) is not None
    own.overtaken(Instant(20.0), other, Instant(0.0))
    assert own.twin(Instant(30.0)) is not None, "as long as it goes on"
    own.receive(Instant(31.0), replace(other, rival=b"ownown00"))
    own.overtaken(Instant(32.0), other, Instant(0.0))
    assert own.must_end(Instant(40.0)) is not None
