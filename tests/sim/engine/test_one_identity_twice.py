"""A node's directory on two machines: said on all nodes, settled within seconds; restarts and replays end nobody."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address
from itertools import count, cycle

import pytest
from msgspec.structs import replace

from tests.sim.engine.meshes import is_twice, mesh, must_end, twice
from treecast.base.addresses import Endpoint
from treecast.base.commands import SendControl
from treecast.base.counters import SESSION_BEGUN
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import MINUTE
from treecast.base.time import Instant
from treecast.broadcast.new_epochs import FEWEST
from treecast.broadcast.twins import ACKNOWLEDGEMENT_LIMIT, TWICE_LIFETIME, OtherTwins, Twins
from treecast.daemon.refused_nodes import FEWEST_SECONDS, FEWEST_SESSIONS, RefusedNodes
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
    assert own.must_end(Instant(0.1 + ACKNOWLEDGEMENT_LIMIT)) is not None
    assert own.receive(Instant(0.2), older) is False
    own.rival_acknowledged()
    assert own.must_end(Instant(0.2)) is not None


def test_runs_that_started_in_the_same_millisecond_agree_which_ends() -> None:
    one, two = Twins(b"1" * 8, 1000), Twins(b"2" * 8, 1000)
    one.receive(Instant(0.0), NodeContent(b"", (), two.instance, two.started_ms, one.instance))
    two.receive(Instant(0.0), NodeContent(b"", (), one.instance, one.started_ms, two.instance))
    found = [twins.twin(Instant(0.0)) for twins in (one, two)]
    assert [twin.is_older for twin in found if twin is not None] == [False, True]


def stolen(node: SimNode, epoch: int, at: Endpoint, instance: bytes = b"thethief") -> bytes:
    """A NODE of whoever has the node's keys, and names no other run."""
    endpoint = ListedEndpoint(at.address.packed, at.port)
    content = NodeContent(node.identity.certificate.encode(), (endpoint,), instance, epoch)
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


def over_and_over(node: SimNode) -> list[str]:
    return [problem.text for problem in node.engine.problems(node.now) if problem.kind == "epochs_over_and_over"]


def begin(world: World, victim: SimNode, carrier: SimNode, at: SimNode, instances: Iterator[bytes], rounds: int) -> int:
    """A holder of the victim's keys begins an epoch every 0.2 s, at two places by turns. The most problems at once."""
    places = [Endpoint(IPv4Address(f"198.51.100.{last}"), 7700) for last in (66, 67)]
    epoch, most = int(UNIX_START_S + world.underlay.now + 3_600) * 1_000, 0
    for number, instance in zip(range(rounds), instances, strict=False):
        wire = stolen(victim, epoch + 200 * number, places[number % 2], instance)
        carrier.carry_out([SendControl(at.index, emit_control(Flood((wire,))))])
        world.run(0.2)
        most = max(most, len(over_and_over(at)) + len(twice(at)))
    return most


class Begun:
    """Sessions that nodes have begun."""

    def __init__(self, *nodes: NodeIndex) -> None:
        self._nodes = nodes

    def take_refusals(self) -> list[tuple[NodeIndex, str, int]]:
        return [(node, SESSION_BEGUN, FEWEST_SESSIONS) for node in self._nodes]


def named_for_sessions(at: SimNode, *nodes: NodeIndex) -> list[NodeIndex]:
    refused = RefusedNodes(at.engine.view, Begun(*nodes))
    for second in range(FEWEST_SECONDS):
        problems = list(refused.problems(Instant(at.now + second)))
    return [node for node in nodes if at.engine.view.name(node) in {problem.subject for problem in problems}]


@pytest.mark.parametrize("runs", [1, 0])
def test_who_begins_one_epoch_after_the_other_from_two_places_is_one_problem_with_both(runs: int) -> None:
    world = World(11)
    hub, node, witness = mesh(world)
    carrier = world.add(peer=hub)
    world.run_until(lambda: carrier.is_linked(hub) and hub.is_linked(carrier), 20)
    node.stop()
    numbers = (number % runs if runs else number for number in count())
    assert begin(world, node, carrier, hub, (b"run%05d" % number for number in numbers), 300) == 1
    for other in (hub, witness):
        (text,) = over_and_over(other)
        assert twice(other) == []
        assert text.startswith("n2 (10.77.0.2) began ") and "198.51.100.66:7700" in text and "198.51.100.67" in text
        assert "treecast node revoke n2" in text
    assert named_for_sessions(hub, node.index, witness.index) == [witness.index], "one line for each node"
    world.run(2 * MINUTE)
    assert over_and_over(hub) == over_and_over(witness) == []


def test_two_runs_that_alternate_are_counted_as_no_new_epochs() -> None:
    world = World(13)
    hub, node, _ = mesh(world)
    carrier = world.add(peer=hub)
    world.run_until(lambda: carrier.is_linked(hub) and hub.is_linked(carrier), 20)
    node.stop()
    assert begin(world, node, carrier, hub, cycle((b"this run", b"the copy")), 25) == 1
    assert is_twice(hub) and over_and_over(hub) == []
    world.run(TWICE_LIFETIME)
    assert not is_twice(hub) and over_and_over(hub) == [], "and is over as soon as ever"


def test_a_node_that_is_started_some_times_is_no_problem_of_epochs() -> None:
    world = World(12)
    hub, node, witness = mesh(world)
    for _ in range(FEWEST - 1):
        node = world.restart(node, peer=hub)
        world.run(4.0)
        assert over_and_over(hub) == over_and_over(witness) == []


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
