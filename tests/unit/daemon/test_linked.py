"""The daemon follows links at the cost of what has changed."""

from __future__ import annotations

import structlog
import structlog.testing

from tests.unit.counting import steps_of, times_the_work
from tests.unit.engine.test_idle_turns import FIRST, Idle, endpoint_of
from treecast.base.events import ControlDatagram, PathAnswered
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant, after
from treecast.daemon.linked import MOVE_PAUSE, Linked
from treecast.wire.control import Goodbye, emit_control

NOW = Instant(100.0)


def linked(idle: Idle) -> Linked:
    return Linked(idle.engine.view, structlog.get_logger())


def test_each_link_that_comes_up_or_ends_is_one_line() -> None:
    idle = Idle(1)
    own = linked(idle)
    with structlog.testing.capture_logs() as lines:
        assert not own.log_changes(NOW)
        idle.link(FIRST + 1)
        idle.link(FIRST + 2)
        assert own.log_changes(NOW)
        idle.turn(ControlDatagram(NodeIndex(FIRST + 1), idle.sessions[FIRST + 1], emit_control(Goodbye())))
        assert own.log_changes(NOW)
        assert not own.log_changes(NOW)
    assert [(line["event"], line["peer"]) for line in lines] == [
        ("link up", f"n{FIRST + 1}"),
        ("link up", f"n{FIRST + 2}"),
        ("link down", f"n{FIRST + 1}"),
    ]


def test_a_path_that_moves_is_one_line_from_where_to_where() -> None:
    idle = Idle(1)
    own = linked(idle)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            idle.turn(PathAnswered(NodeIndex(FIRST), idle.sessions[FIRST], 0, endpoint_of(7)))
            own.log_changes(NOW)
    (line,) = lines
    assert (line["event"], line["peer"]) == ("path moved", f"n{FIRST}")
    assert (line["before"], line["now"]) == (str(endpoint_of(FIRST)), str(endpoint_of(7)))


def test_a_node_that_moves_all_the_time_is_a_line_a_minute_with_the_number_of_its_moves() -> None:
    idle = Idle(2)
    own = linked(idle)
    with structlog.testing.capture_logs() as lines:
        for second in range(61):
            place = endpoint_of(7 + second % 2)
            idle.turn(PathAnswered(NodeIndex(FIRST), idle.sessions[FIRST], 0, place))
            own.log_changes(after(NOW, second * MOVE_PAUSE / 60))
        idle.turn(PathAnswered(NodeIndex(FIRST + 1), idle.sessions[FIRST + 1], 0, endpoint_of(9)))
        own.log_changes(after(NOW, MOVE_PAUSE))
    assert [(line["peer"], line.get("moves_since_the_last_line")) for line in lines] == [
        (f"n{FIRST}", None),
        (f"n{FIRST}", 59),
        (f"n{FIRST + 1}", None),
    ]


def test_addresses_of_linked_nodes_are_read_again_when_one_has_moved_come_or_gone() -> None:
    idle = Idle(2)
    own = linked(idle)
    first = own.addresses()
    assert first == {endpoint_of(FIRST).address, endpoint_of(FIRST + 1).address}
    assert own.addresses() is first
    elsewhere = endpoint_of(7)
    idle.turn(PathAnswered(NodeIndex(FIRST), idle.sessions[FIRST], 0, elsewhere))
    assert own.addresses() == {elsewhere.address, endpoint_of(FIRST + 1).address}
    idle.link(FIRST + 2)
    assert endpoint_of(FIRST + 2).address in own.addresses()
    idle.turn(ControlDatagram(NodeIndex(FIRST), idle.sessions[FIRST], emit_control(Goodbye())))
    assert elsewhere.address not in own.addresses()


def test_linked_nodes_have_names_by_address_of_several_behind_one_nat_all() -> None:
    idle = Idle(2)
    own = linked(idle)
    assert own.names() == {endpoint_of(number).address: f"n{number}" for number in (FIRST, FIRST + 1)}
    idle.turn(PathAnswered(NodeIndex(FIRST), idle.sessions[FIRST], 0, endpoint_of(FIRST + 1)))
    assert own.names() == {endpoint_of(FIRST + 1).address: f"n{FIRST}, n{FIRST + 1}"}


def test_a_link_among_200_costs_the_log_as_much_as_one_among_20_and_a_look_at_addresses_nothing() -> None:
    steps = []
    idles = Idle(20), Idle(200)
    for idle in idles:
        own = linked(idle)
        own.addresses()
        idle.link(FIRST + 500)
        steps.append(steps_of(own.log_changes, NOW))
    few, many = steps
    assert many <= 1.1 * few
    small, large = (linked(idle) for idle in idles)
    for own in (small, large):
        own.addresses()
    assert steps_of(large.addresses) <= 1.1 * steps_of(small.addresses)
    assert times_the_work(large.addresses, of=small.addresses) <= 1.5
