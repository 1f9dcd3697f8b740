"""The node that a person has to look at reports a problem of its LAN while it lasts."""

from __future__ import annotations

from tests.sim.designated_forwarder.lan import Lan, LanNode
from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_LAN_STRANGERS
from treecast.base.problems import Problem
from treecast.designated_forwarder.lan_problems import TAKEN_OVER_FOR, UNSEEN_FOR
from treecast.wire import ethernet
from treecast.wire.beacon import Beacon, BeaconState, beacon_frame


def said(lan: Lan, node: LanNode) -> list[Problem]:
    return list(
        node.designated_forwarder.problems(
            lan.now, lambda port: f"eth{port}", lambda index: f"n{index}", lambda index: f"n{index} (10.77.0.{index})"
        )
    )


def kinds(lan: Lan, node: LanNode) -> list[str]:
    return [problem.kind for problem in said(lan, node)]


def test_two_nodes_that_see_each_other_have_no_problems() -> None:
    lan = Lan()
    nodes = [lan.add(1), lan.add(2)]
    for _ in range(40):
        lan.run(0.5)
        assert [said(lan, node) for node in nodes] == [[], []]


def test_beacons_that_come_back_are_a_loop_until_they_do_no_more() -> None:
    lan = Lan()
    node = lan.add(1)
    lan.run(3.0)
    node.reflecting = True
    lan.run_until(lambda: kinds(lan, node) == ["lan_loop"], 1.0)
    (problem,) = said(lan, node)
    assert problem.subject == "eth0"
    assert problem.text.startswith("eth0: this node's own beacons come back")
    for _ in range(20):
        lan.run(0.3)
        assert kinds(lan, node) == ["lan_loop"]  # it does not come and go
    node.reflecting = False
    lan.run_until(lambda: not said(lan, node), 4.0)


def test_whoever_takes_over_from_a_silent_forwarder_says_so_until_that_is_back() -> None:
    lan = Lan()
    first, second = lan.add(1), lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    first.alive = False
    lan.run_until(lambda: lan.forwarding() == {2}, 3.0)
    (problem,) = said(lan, second)
    assert (problem.kind, problem.subject) == ("lan_taken_over", "eth0")
    assert problem.text.startswith("eth0: n1, which carried this LAN, fell silent there, and this node has taken over")
    lan.add(1)
    lan.run_until(lambda: not said(lan, second), 1.0)


def test_a_forwarder_that_does_not_come_back_is_missed_for_an_hour() -> None:
    lan = Lan()
    first, second = lan.add(1), lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    first.alive = False
    lan.run_until(lambda: kinds(lan, second) == ["lan_taken_over"], 3.0)
    lan.now = type(lan.now)(lan.now + TAKEN_OVER_FOR)
    assert said(lan, second) == []


def test_a_forwarder_that_said_goodbye_is_not_missed() -> None:
    lan = Lan()
    first, second = lan.add(1), lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    first.alive = False
    lan.carry_out(first, first.designated_forwarder.goodbye())
    lan.run_until(lambda: lan.forwarding() == {2}, 3.0)
    lan.run(5.0)
    assert said(lan, second) == []


def test_an_old_silence_is_not_taken_for_the_next_forwarders() -> None:
    lan = Lan()
    first, second, third = lan.add(1), lan.add(2), lan.add(3)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    first.alive = False
    lan.run_until(lambda: lan.forwarding() == {2}, 3.0)
    lan.run(5.0)
    second.alive = False
    lan.carry_out(second, second.designated_forwarder.goodbye())
    lan.run_until(lambda: lan.forwarding() == {3}, 3.0)
    assert said(lan, third) == []


def test_a_beacon_of_another_network_is_said_for_ten_seconds_and_no_more_than_sixteen_at_once() -> None:
    lan = Lan()
    node = lan.add(1)
    lan.run(3.0)
    for number in range(40):
        beacon = Beacon(2, bytes([number]) * 8, 7, 1, number + 1, BeaconState.FORWARDING, 1)
        frame = beacon_frame(beacon, MacAddress(bytes((2, 0x54, 0, 0, 0, 2))), lambda _: bytes(64))
        node.designated_forwarder.receive(lan.now, 0, ethernet.parse(frame))
    found = said(lan, node)
    assert [problem.kind for problem in found] == ["lan_of_another_network"] * MAX_LAN_STRANGERS
    assert found[-1].subject == "eth0 27272727"
    assert "another Treecast network (27272727) is on this LAN" in found[-1].text
    lan.run(10.0)
    assert said(lan, node) == []


def test_a_node_that_speaks_here_without_beacons_is_not_seen_and_that_is_said() -> None:
    lan = Lan()
    lan.cut.add(frozenset((1, 2)))
    node, _ = lan.add(1), lan.add(2)
    node.designated_forwarder.receive_from_node(lan.now, 0, NodeIndex(2))
    lan.run(2.0)
    assert said(lan, node) == []  # its beacon may be on its way
    lan.run(2.0)
    (problem,) = said(lan, node)
    assert (problem.kind, problem.subject) == ("lan_node_unseen", "eth0 2")
    assert problem.text.startswith("eth0: n2 is on this LAN too, but its beacons do not arrive")
    lan.cut.clear()
    lan.run_until(lambda: not said(lan, node), 1.0)
    lan.run(UNSEEN_FOR / 100)
    node.designated_forwarder.receive_from_node(lan.now, 0, NodeIndex(2))
    lan.run(5.0)
    assert said(lan, node) == []
