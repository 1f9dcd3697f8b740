"""One node per LAN forwards, whatever happens to the others: in virtual time."""

from __future__ import annotations

from random import Random

import pytest

from tests.sim.designated_forwarder.lan import Lan
from treecast.base.addresses import MacAddress
from treecast.base.commands import Inject, SetPortForwarding
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CANDIDATES
from treecast.base.storm_control import NO_LIMITS
from treecast.base.time import Instant
from treecast.designated_forwarder.election import Election
from treecast.wire import ethernet
from treecast.wire.beacon import BEACON_ETHERTYPE, BEACON_GROUP, Beacon, BeaconState, beacon_frame, parse_beacon
from treecast.wire.ethernet import EthernetFrame, EtherType

MAC = MacAddress.parse("02:54:00:00:00:09")


def test_a_lone_node_is_blocked_until_it_has_listened() -> None:
    lan = Lan()
    node = lan.add(1)
    assert not node.forwarding
    assert 1.7 <= lan.run_until(lambda: node.forwarding, 2.0) < 1.71


def test_of_two_that_start_at_once_the_lower_forwards_and_never_both() -> None:
    lan = Lan()
    lan.add(2)
    lan.add(1)
    lan.run(10.0)
    assert lan.forwarding() == {1}
    assert lan.most_at_once() == 1


def test_a_lower_node_that_comes_later_takes_over_without_two_at_once() -> None:
    lan = Lan()
    for index in (3, 2):
        lan.add(index)
    lan.run(5.0)
    assert lan.forwarding() == {2}
    lan.history.clear()
    lan.add(1)
    lan.run(11.9)
    assert lan.forwarding() == {2}  # the other learns what there is to take over
    lan.run(1.0)
    assert lan.forwarding() == {1}
    assert lan.most_at_once() == 1
    gaps = [later - when for (when, who), (later, _) in zip(lan.history, lan.history[1:], strict=False) if not who]
    assert sum(gaps) < 0.21  # it makes way only when the other is about to begin


def test_how_long_a_lower_node_learns_follows_the_time_that_hosts_have_to_answer() -> None:
    election = Election(Instant(0.0), (NodeIndex(1), 0), Drops(), query_response_interval=3.0)
    states: dict[float, BeaconState] = {}
    for tenth in range(60):
        now = Instant(tenth / 10)
        election.receive(now, Beacon(2, bytes(8), 2, 1, tenth, BeaconState.FORWARDING, 1))
        election.advance(now, able=True)
        states[tenth / 10] = election.state
    assert states[4.9] is BeaconState.SILENT
    assert states[5.0] is BeaconState.CAPABLE


@pytest.mark.parametrize("seed", range(8))
def test_when_the_forwarder_dies_the_next_takes_over_within_3_s(seed: int) -> None:
    lan = Lan(seed=seed, loss=0.05)
    for index in (1, 2, 3):
        lan.add(index)
    lan.run(4.0 + Random(seed).random())
    lan.nodes[1].alive = False
    assert lan.run_until(lambda: lan.forwarding() == {2}, 3.0) < 3.0
    lan.nodes[2].alive = False
    assert lan.run_until(lambda: lan.forwarding() == {3}, 3.0) < 3.0


def test_one_that_learns_takes_over_all_the_same_when_the_forwarder_dies() -> None:
    lan = Lan()
    lan.add(2)
    lan.run(4.0)
    lan.add(1)
    lan.run(3.0)
    lan.nodes[2].alive = False
    assert lan.run_until(lambda: lan.forwarding() == {1}, 3.0) < 1.8


def test_one_that_says_goodbye_is_replaced_at_once() -> None:
    lan = Lan()
    for index in (1, 2):
        lan.add(index)
    lan.run(4.0)
    lan.carry_out(lan.nodes[1], lan.nodes[1].designated_forwarder.goodbye())
    lan.nodes[1].alive = False
    assert lan.run_until(lambda: lan.forwarding() == {2}, 1.0) < 0.01


def test_a_node_that_is_restarted_at_once_does_not_upset_the_other() -> None:
    lan = Lan()
    for index in (1, 2):
        lan.add(index)
    lan.run(4.0)
    lan.nodes[1].alive = False
    lan.run(0.2)
    lan.history.clear()
    lan.add(1)
    lan.run(0.01)
    assert lan.forwarding() == {2}
    lan.run(13.0)
    assert lan.forwarding() == {1}
    assert lan.most_at_once() == 1
    assert lan.nodes[2].drops.snapshot().get("beacon_repeated", 0) == 0


def test_a_node_without_links_leaves_the_lan_to_one_that_has() -> None:
    lan = Lan()
    for index in (1, 2):
        lan.add(index)
    lan.run(13.0)
    lan.able(lan.nodes[1], able=False)
    assert lan.run_until(lambda: lan.forwarding() == {2}, 3.0) < 0.01
    lan.able(lan.nodes[1], able=True)
    assert lan.run_until(lambda: lan.forwarding() == {1}, 3.0) < 0.21
    assert lan.most_at_once() == 1


def test_a_lan_that_falls_apart_has_one_forwarder_per_part_and_one_again_when_it_heals() -> None:
    lan = Lan()
    for index in (1, 2):
        lan.add(index)
    lan.run(4.0)
    lan.cut.add(frozenset((1, 2)))
    lan.run(4.0)
    assert lan.forwarding() == {1, 2}
    lan.cut.clear()
    assert lan.run_until(lambda: lan.forwarding() == {1}, 1.0) < 0.51  # the next beacon of the lower one


def test_a_node_whose_own_beacon_comes_back_is_blocked_until_it_no_longer_does() -> None:
    lan = Lan()
    node = lan.add(1)
    lan.run(4.0)
    node.reflecting = True
    assert lan.run_until(lambda: not node.forwarding, 1.0) <= 0.502
    lan.run(10.0)
    assert not node.forwarding
    assert node.designated_forwarder.ports(lan.now)[0].looped
    assert node.drops.snapshot()["beacon_own"] > 10
    node.reflecting = False
    assert 2.4 < lan.run_until(lambda: node.forwarding, 5.0) < 3.3


def test_two_ports_of_one_node_on_one_lan_do_not_forward_both() -> None:
    lan = Lan()
    node = lan.add(1)
    node.designated_forwarder.open(lan.now, 5, MacAddress.parse("02:54:00:00:00:09"), (), NO_LIMITS)
    forwarding = {0: False, 5: False}
    waiting: list[tuple[int, bytes]] = []
    while lan.now < 1010.0:
        lan.now = Instant(lan.now + 0.01)
        for sender, wire in waiting:
            for port in (0, 5):
                if port != sender:
                    node.designated_forwarder.receive(lan.now, port, ethernet.parse(wire))
        waiting.clear()
        node.designated_forwarder.advance(lan.now, able=True)
        for command in node.designated_forwarder.commands:
            if isinstance(command, SetPortForwarding):
                forwarding[command.port] = command.on
            elif isinstance(command, Inject):
                waiting.append((command.port, command.frame))
        node.designated_forwarder.commands.clear()
        assert not all(forwarding.values())
    assert forwarding == {0: True, 5: False}


def test_garbage_and_beacons_of_other_networks_are_counted_and_change_nothing() -> None:
    lan = Lan()
    node = lan.add(2)
    lan.run(4.0)
    for payload in (b"", b"\xff" * 60, bytes(46), b"\x97" + b"\x01" * 30):
        node.designated_forwarder.receive(lan.now, 0, EthernetFrame(BEACON_GROUP, MAC, BEACON_ETHERTYPE, payload))
    foreign = Beacon(2, b"M" * 8, 1, 1, 1, BeaconState.FORWARDING, 1)
    node.designated_forwarder.receive(lan.now, 0, _frame(foreign))
    node.designated_forwarder.receive(lan.now, 9, _frame(foreign))
    lan.run(4.0)
    assert node.forwarding
    assert node.drops.snapshot() == {"beacon_malformed": 4, "beacon_other_network": 1, "beacon_unexpected": 1}


def test_a_repeated_beacon_is_counted_and_does_not_keep_a_dead_node_alive() -> None:
    drops = Drops()
    election = Election(Instant(0.0), (NodeIndex(2), 0), drops)
    dead = Beacon(2, bytes(8), 1, 1, 77, BeaconState.FORWARDING, 1)
    for tenth in range(14):
        election.receive(Instant(tenth / 10), dead)
    for instant in (Instant(1.6), Instant(1.8)):
        election.advance(instant, able=True)
    assert election.state is BeaconState.FORWARDING
    assert drops.snapshot() == {"beacon_repeated": 13}


def test_the_table_is_bounded_and_keeps_the_lowest() -> None:
    drops = Drops()
    election = Election(Instant(0.0), (NodeIndex(500), 0), drops)
    indices = list(range(1000, 1000 + 10 * MAX_CANDIDATES))
    Random(3).shuffle(indices)
    for index in [*indices, 3]:
        election.receive(Instant(1.0), Beacon(2, bytes(8), index, 1, 1, BeaconState.CAPABLE, 1))
    assert [rank[0] for rank, _ in election.candidates()] == [3, *range(1000, 1000 + MAX_CANDIDATES - 1)]
    assert drops.snapshot()["beacon_table_full"] == 9 * MAX_CANDIDATES + 1
    election.advance(Instant(1.6), able=True)
    assert election.state is BeaconState.CAPABLE


def test_a_closed_port_is_the_nodes_own_again() -> None:
    lan = Lan()
    for index in (1, 2):
        lan.add(index)
    lan.run(4.0)
    lan.nodes[2].designated_forwarder.close(0)
    lan.carry_out(lan.nodes[2], lan.nodes[2].designated_forwarder.commands)
    assert lan.forwarding() == {1, 2}
    assert lan.nodes[2].designated_forwarder.ports(lan.now) == []


def test_a_node_sends_two_beacons_a_second_each_in_both_copies() -> None:
    lan = Lan()
    node = lan.add(1)
    lan.run(20.0)
    assert 80 <= node.sent <= 86


def test_a_lan_that_keeps_beacons_of_one_kind_away_has_one_forwarder_from_the_first_second_on() -> None:
    for kept in (BEACON_ETHERTYPE, EtherType.IPV4):
        lan = Lan(keeps={kept})
        nodes = [lan.add(1), lan.add(2)]
        lan.run(30.0)
        assert (lan.forwarding(), lan.most_at_once()) == ({1}, 1)
        assert [node.drops.snapshot() for node in nodes] == [{}, {}], "one copy that does not come is no fault"


def test_a_lan_with_both_copies_drops_none() -> None:
    lan = Lan()
    nodes = [lan.add(1), lan.add(2)]
    lan.run(30.0)
    assert [node.drops.snapshot() for node in nodes] == [{}, {}]
    assert lan.checks <= 2 * 30 * 2 + 4, "a signature is looked at once"


def test_two_lans_that_a_filtering_cable_makes_one_have_one_forwarder_within_a_second() -> None:
    lan = Lan(keeps={BEACON_ETHERTYPE}, cut={frozenset((1, 2))})
    lan.add(1), lan.add(2)
    lan.run_until(lambda: lan.forwarding() == {1, 2}, 20.0)
    lan.cut.clear()
    lan.run_until(lambda: lan.forwarding() == {1}, 1.0)
    lan.history.clear()
    lan.run(60.0)
    assert lan.history == [(lan.history[0][0], frozenset({1}))], "and it does not flap"


def test_a_loop_that_brings_back_only_ipv4_is_a_loop() -> None:
    lan = Lan(keeps={BEACON_ETHERTYPE})
    node = lan.add(1)
    lan.run_until(lambda: lan.forwarding() == {1}, 20.0)
    node.reflecting = True
    lan.run_until(lambda: lan.forwarding() == set(), 1.0)


def _frame(beacon: Beacon) -> EthernetFrame:
    frame = ethernet.parse(beacon_frame(beacon, MAC, lambda _: bytes(64)))
    assert parse_beacon(frame.payload).beacon == beacon
    return frame
