"""A host of the LAN sends beacons of its own making, and repeats those that it has heard: in virtual time."""

from __future__ import annotations

import pytest

from tests.sim.designated_forwarder.lan import NETWORK, START, Lan, signing_key
from treecast.base.addresses import MacAddress
from treecast.base.commands import Inject
from treecast.base.ids import NodeIndex
from treecast.designated_forwarder.authenticity import CHECKS_PER_S
from treecast.designated_forwarder.designated_forwarder import BeaconSigner
from treecast.wire import ethernet
from treecast.wire.beacon import BEACON_CONTEXT, Beacon, BeaconState, beacon_frame, copy_in_ipv4, network_hash
from treecast.wire.ethernet import EthernetFrame

MAC = MacAddress.parse("02:54:00:00:00:01")
HOST_KEY = signing_key(666)


def beacon_of(lan: Lan, index: int, state: BeaconState, *, later: int = 1) -> Beacon:
    """A node's next beacon, as anybody can write it who has heard the last one."""
    epoch = lan.signers[NodeIndex(index)][1]
    return Beacon(2, network_hash(NETWORK), index, epoch, epoch + 2 * round(lan.now - START) + later, state, 1)


def forged(beacon: Beacon) -> EthernetFrame:
    return ethernet.parse(beacon_frame(beacon, MAC, lambda body: HOST_KEY.sign(BEACON_CONTEXT, body)))


def genuine(beacon: Beacon) -> EthernetFrame:
    key = signing_key(beacon.node_index)
    return ethernet.parse(beacon_frame(beacon, MAC, lambda body: key.sign(BEACON_CONTEXT, body)))


def two_nodes(lower: int = 1) -> Lan:
    lan = Lan()
    lan.add(lower)
    lan.add(lower + 1)
    lan.run_until(lambda: lan.forwarding() == {lower}, 20.0)
    lan.run(2.0)
    lan.history.clear()
    return lan


@pytest.mark.parametrize("state", list(BeaconState))
@pytest.mark.parametrize("claimed", [1, 2])
def test_forged_beacons_neither_make_two_nodes_forward_nor_stop_the_one_that_does(
    state: BeaconState, claimed: int
) -> None:
    lan = two_nodes()
    for _ in range(20):
        for node in lan.nodes.values():
            node.designated_forwarder.receive(lan.now, 0, forged(beacon_of(lan, claimed, state, later=1000)))
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({1})}
    assert lan.nodes[3 - claimed].drops.snapshot()["beacon_bad_signature"] == 20


def test_a_beacon_of_a_node_that_nobody_knows_stops_nobody() -> None:
    lan = two_nodes()
    beacon = Beacon(2, network_hash(NETWORK), 666, 1, 1, BeaconState.FORWARDING, 1)
    for _ in range(20):
        for node in lan.nodes.values():
            node.designated_forwarder.receive(lan.now, 0, forged(beacon))
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({1})}
    assert lan.nodes[1].drops.snapshot()["beacon_unknown_node"] == 20


@pytest.mark.parametrize("state", [BeaconState.CAPABLE, BeaconState.FORWARDING])
def test_genuine_beacons_of_a_lower_member_without_the_role_bridge_stop_nobody(state: BeaconState) -> None:
    lan, member = two_nodes(2), NodeIndex(1)
    lan.signers[member] = (signing_key(member).public, 1_000_000)
    lan.without_role.add(member)
    for number in range(20):
        for node in lan.nodes.values():
            beacon = genuine(beacon_of(lan, member, state, later=number))
            node.designated_forwarder.receive(lan.now, 0, beacon)
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({2})}
    assert {node.drops.snapshot()["beacon_without_role"] for node in lan.nodes.values()} == {20}


def test_recorded_beacons_of_a_node_that_is_gone_stop_nobody() -> None:
    lan = two_nodes()
    recorded = [genuine(beacon_of(lan, 1, BeaconState.FORWARDING, later=-back)) for back in range(20, 0, -1)]
    lan.nodes[1].alive = False
    lan.run_until(lambda: lan.forwarding() == {2}, 3.0)
    lan.history.clear()
    lan.run(10.0)
    for frame in recorded:
        lan.nodes[2].designated_forwarder.receive(lan.now, 0, frame)
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({2})}
    assert lan.nodes[2].drops.snapshot()["beacon_repeated"] == 20


def test_each_copy_of_a_beacon_counts_once() -> None:
    lan = two_nodes()
    node = lan.nodes[2]
    one = genuine(beacon_of(lan, 1, BeaconState.FORWARDING, later=1000))
    other = ethernet.parse(copy_in_ipv4(ethernet.emit(one)))
    checked = lan.checks
    for repeated, frame in enumerate((one, one, other, one, other)):
        node.designated_forwarder.receive(lan.now, 0, frame)
        expected = (0, 1, 1, 2, 3)[repeated]
        assert node.drops.snapshot().get("beacon_repeated", 0) == expected
    assert lan.checks == checked + 1


def test_recorded_beacons_of_an_earlier_run_of_a_node_stop_nobody() -> None:
    lan = two_nodes()
    recorded = [genuine(beacon_of(lan, 1, BeaconState.FORWARDING, later=number)) for number in range(40, 60)]
    lan.nodes[1].alive = False
    lan.signers[NodeIndex(1)] = (signing_key(1).public, 2_000_000)  # started again, on no LAN
    lan.run_until(lambda: lan.forwarding() == {2}, 3.0)
    lan.history.clear()
    for frame in recorded:
        lan.nodes[2].designated_forwarder.receive(lan.now, 0, frame)
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({2})}
    assert lan.nodes[2].drops.snapshot()["beacon_unknown_node"] == 20


def test_old_beacons_of_its_own_stop_no_node() -> None:
    lan = two_nodes()
    node = lan.nodes[1]
    old, _ = [c for c in node.designated_forwarder.goodbye() if isinstance(c, Inject)]
    lan.run(20.0)
    for _ in range(20):
        node.designated_forwarder.receive(lan.now, 0, ethernet.parse(old.frame))
        lan.run(0.25)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({1})}
    assert node.drops.snapshot()["beacon_repeated"] == 20


def test_a_beacon_to_another_address_than_the_group_s_is_dropped_and_counted() -> None:
    lan = two_nodes()
    node = lan.nodes[2]
    one = genuine(beacon_of(lan, 1, BeaconState.SILENT, later=1000))
    to_the_node = EthernetFrame(MacAddress.parse("02:54:00:00:00:02"), one.source, one.ethertype, one.payload)
    node.designated_forwarder.receive(lan.now, 0, to_the_node)
    lan.run(0.4)
    assert {forwarding for _, forwarding in lan.history} == {frozenset({1})}
    assert node.drops.snapshot()["beacon_other_destination"] == 1


def test_a_beacon_counts_in_the_turn_in_which_its_node_is_learned() -> None:
    lan = Lan()
    lan.add(1)
    lan.signers.clear()
    lan.add(2)
    one, two = lan.nodes[1], lan.nodes[2]
    lan.run(4.0)
    assert not two.designated_forwarder.ports(lan.now)[0].nodes
    lan.signers[NodeIndex(1)] = (signing_key(1).public, 1_000_000)
    two.designated_forwarder.advance(lan.now, able=True)
    assert two.designated_forwarder.ports(lan.now)[0].nodes == (NodeIndex(1),)
    assert one.alive


def test_a_flood_of_forged_beacons_costs_so_many_checks_and_starts_nobody() -> None:
    lan = two_nodes()
    node = lan.nodes[2]
    lan.loss = 1.0  # genuine ones are lost among so many
    began, lan.checks = lan.now, 0
    for number in range(3000):
        beacon = beacon_of(lan, 1, BeaconState.SILENT, later=1000 + number)
        node.designated_forwarder.receive(lan.now, 0, forged(beacon))
        lan.run(0.001)
    assert lan.checks <= CHECKS_PER_S * (1 + lan.now - began) + 1
    assert lan.forwarding() == {1}
    assert node.drops.snapshot()["beacon_rate"] > 2000


def test_a_sender_signs_for_beacons_only() -> None:
    sender = BeaconSigner(NETWORK, NodeIndex(1), MAC, 1, HOST_KEY)
    assert sender.sign(b"body") == HOST_KEY.sign(BEACON_CONTEXT, b"body")
