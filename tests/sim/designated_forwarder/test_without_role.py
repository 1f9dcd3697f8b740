"""A member that beacons on a LAN without the role bridge is named, for what it has signed itself: in virtual time."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.designated_forwarder.lan import Lan, signing_key
from tests.sim.designated_forwarder.test_hostile_hosts import beacon_of, forged, genuine, two_nodes
from tests.sim.designated_forwarder.test_lan_problems import kinds, said
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import MINUTE
from treecast.base.limits import MAX_LAN_STRANGERS
from treecast.designated_forwarder.without_role import CHECKS_PER_S, FEWEST
from treecast.wire.beacon import Beacon, BeaconState
from treecast.wire.ethernet import EthernetFrame

MEMBER = 1


def lan_with(*members: int) -> Lan:
    """Nodes 200 and 201 share a LAN; these members, which have not the role, are on it."""
    lan = two_nodes(200)
    for member in members:
        lan.signers[NodeIndex(member)] = (signing_key(member).public, 1_000_000)
        lan.without_role.add(NodeIndex(member))
    return lan


def beacons(lan: Lan, count: int, sign: Callable[[Beacon], EthernetFrame], *, member: int = MEMBER) -> None:
    """Sends so many beacons, two a second."""
    for number in range(count):
        frame = sign(beacon_of(lan, member, BeaconState.FORWARDING, later=number + 1))
        lan.nodes[200].designated_forwarder.receive(lan.now, 0, frame)
        lan.run(0.5)


def test_who_sends_them_is_named_with_what_to_do_until_a_minute_after_the_last() -> None:
    lan = lan_with(MEMBER)
    node = lan.nodes[200]
    beacons(lan, FEWEST - 1, genuine)
    assert said(lan, node) == []
    lan.run(1.0)
    beacons(lan, 8, genuine)
    (problem,) = said(lan, node)
    assert (problem.kind, problem.subject) == ("beacons_without_role", "eth0 1")
    assert problem.text.startswith("eth0: n1 (10.77.0.1) sent at least 10 beacons on this LAN in the last minute")
    assert "treecast node renew n1 --role bridge,relay" in problem.text and "treecast node revoke n1" in problem.text
    lan.run(MINUTE - 2.0)
    assert kinds(lan, node) == ["beacons_without_role"]
    lan.run(3.0)
    assert kinds(lan, node) == []
    beacons(lan, 1, genuine)
    assert kinds(lan, node) == [], "another time, and few"


def test_nobody_is_named_for_beacons_that_a_host_makes_up_or_repeats() -> None:
    lan = lan_with(MEMBER)
    node = lan.nodes[200]
    beacons(lan, 50, forged)
    assert kinds(lan, node) == []
    recorded = genuine(beacon_of(lan, MEMBER, BeaconState.FORWARDING))
    beacons(lan, 50, lambda _: recorded)
    assert kinds(lan, node) == []
    assert node.drops.snapshot()["beacon_without_role"] == 100


def test_a_flood_of_them_costs_few_checks_of_signatures_and_the_election_none() -> None:
    lan = lan_with(MEMBER)
    before = lan.checks
    frame = forged(beacon_of(lan, MEMBER, BeaconState.FORWARDING, later=1000))
    for _ in range(5000):
        lan.nodes[200].designated_forwarder.receive(lan.now, 0, frame)
    assert lan.checks - before == CHECKS_PER_S
    lan.run(5.0)
    assert lan.forwarding() == {200}
    assert "beacon_rate" not in lan.nodes[200].drops.snapshot()


def test_no_more_members_are_remembered_than_there_is_room_for() -> None:
    lan = lan_with(*range(1, MAX_LAN_STRANGERS + 3))
    for member in range(1, MAX_LAN_STRANGERS + 3):
        beacons(lan, FEWEST, genuine, member=member)
    subjects = [problem.subject for problem in said(lan, lan.nodes[200])]
    assert subjects == [f"eth0 {member}" for member in range(3, MAX_LAN_STRANGERS + 3)]
