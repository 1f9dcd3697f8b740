"""A hostile host of a bridged LAN: beacons and queries of its own making, and recorded ones. No stream loses by them.

Streams go from h2.2 to h1.2, and back; h1.1 is hostile, as is h2.1 on a LAN whose node trusts no querier.
"""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest

from lab import Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import PORT as NODE_PORT
from lab.node import TreecastNode
from lab.sites import LIMIT_S
from tests.hostile_speaker import lan_host as lan
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.lan_host import LanHost, lan_host
from tests.hostile_speaker.member import Member
from tests.hostile_speaker.speaker import speaking
from tests.lab.overlay.asking import drops, grown, wait_members, wait_received
from tests.lab.switch.twice import Twice, one_lan_twice
from treecast.adapters import clock
from treecast.adapters.storage import add_node
from treecast.api.client import fetch_groups, fetch_status
from treecast.api.records import Querier
from treecast.identity.node import NodeRequest
from treecast.identity.rights import Role

NEAR, FAR, JOINED, PORT, RATE_PPS = "239.90.6.1", "239.90.6.2", "239.90.6.3", 5060, 500
MOST_SECONDS = 7 * 600 + 25.5
"""The longest that a membership lasts, whatever a querier says."""
LEAST_SECONDS = 2 * 5 + 1
TURNS, TURN_S = 12, 0.5
BROADCAST = b"\xff" * 6


@dataclass(frozen=True, slots=True)
class Lans:
    """``near``, ``far``: the hostile hosts of the two LANs."""

    twice: Twice
    near: LanHost
    far: LanHost
    receivers: tuple[Receiver, Receiver]

    def wait_stream(self, seconds: float) -> None:
        wanted = [receiver.snapshot().received + int(seconds * RATE_PPS) for receiver in self.receivers]
        for receiver, count in zip(self.receivers, wanted, strict=True):
            wait_received(receiver, count, LIMIT_S + seconds)

    @contextmanager
    def undisturbed(self, seconds: float = 0.5) -> Iterator[None]:
        """The block costs the streams nothing, nor does the time after it."""
        before = [receiver.snapshot() for receiver in self.receivers]
        yield
        self.wait_stream(seconds)
        for receiver, was in zip(self.receivers, before, strict=True):
            now = receiver.snapshot()
            assert (now.lost - was.lost, now.duplicated, now.other) == (0, 0, 0), f"{now.lost - was.lost} lost"


def hostile(machine: Machine) -> AbstractContextManager[LanHost]:
    """A hostile host on this machine, in a block."""

    def make() -> socket.socket:
        with machine.enter():
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)

    return lan_host(make)


@pytest.fixture(scope="module")
def lans() -> Iterator[Lans]:
    with one_lan_twice((), (), ("--membership", "trust-queriers=off")) as twice, ExitStack() as stack:
        near, far = (stack.enter_context(hostile(own.hosts[0])) for own in (twice.shared, twice.other))
        subscribers = twice.shared.hosts[1], twice.other.hosts[1]
        receivers = (
            Receiver(subscribers[0], NEAR, PORT, interface="eth0"),
            Receiver(subscribers[1], FAR, PORT, interface="eth0"),
        )
        wait_members(twice.overlay[2], NEAR, {"n0"}, LIMIT_S)
        wait_members(twice.overlay[0], FAR, {"n2"}, LIMIT_S)
        for sender, group in zip(reversed(subscribers), (NEAR, FAR), strict=True):
            Sender(sender, group, PORT, interface="eth0", rate_pps=RATE_PPS)
        for receiver in receivers:
            wait_received(receiver, RATE_PPS, LIMIT_S)
        yield Lans(twice, near, far, receivers)


def querier(node: TreecastNode) -> Querier:
    """The querier on the LAN's port."""
    found = fetch_status(node.directory).queriers
    (own,) = (one for one in found if (one.protocol, one.vlan) == ("igmp", 0))
    return own


def membership_s(node: TreecastNode, group: str) -> float:
    """The seconds that the LAN's membership lasts without a report; 0 without one."""
    here = [one for row in fetch_groups(node.directory) if row.group == group for one in row.here]
    return max((one.expires_s or 0.0 for one in here), default=0.0)


def slow(lans: Lans, host: LanHost, number: int) -> bytes:
    """31,744 s, seven times, and almost an hour to answer."""
    longest = lan.LONGEST
    return lan.query(address(lans, number), mac=host.mac, response_code=longest, robustness=7, interval_code=longest)


def quick(lans: Lans, host: LanHost, number: int) -> bytes:
    """A second, once, and a tenth to answer."""
    return lan.query(address(lans, number), mac=host.mac, response_code=1, robustness=1, interval_code=1)


def address(lans: Lans, number: int) -> str:
    return (lans.twice.shared, lans.twice.other)[number].host_ipv4(1)


def test_a_querier_that_says_nine_hours_makes_no_membership_endless(lans: Lans) -> None:
    n0 = lans.twice.overlay[0]
    with lans.undisturbed():
        lans.near.send(slow(lans, lans.near, 0))
        wait_until(lambda: querier(n0).address == address(lans, 0), LIMIT_S, "it is the querier")
        assert (querier(n0).robustness, querier(n0).query_interval_s) == (7, 600)
        joined = Receiver(lans.twice.shared.hosts[1], JOINED, PORT, interface="eth0")
        wait_until(lambda: membership_s(n0, JOINED) > MOST_SECONDS - 60, LIMIT_S, "a membership of its time")
        assert membership_s(n0, JOINED) <= MOST_SECONDS
        joined.stop()


def test_a_querier_that_says_a_second_and_falls_silent_ends_no_membership(lans: Lans) -> None:
    n0 = lans.twice.overlay[0]
    with lans.undisturbed(3.0):
        lans.near.send(quick(lans, lans.near, 0))
        wait_until(lambda: querier(n0).query_interval_s == 5, LIMIT_S, "it is the querier")
        wait_until(lambda: membership_s(n0, NEAR) <= LEAST_SECONDS, LIMIT_S, "the host has answered")
        assert membership_s(n0, NEAR) > LEAST_SECONDS / 2
        wait_until(lambda: querier(n0).is_this_node, LIMIT_S, "the node has the duty again")


def test_where_no_querier_is_trusted_none_sets_a_value(lans: Lans) -> None:
    n2 = lans.twice.overlay[2]
    with lans.undisturbed(2.0):
        for query in (slow(lans, lans.far, 1), quick(lans, lans.far, 1)):
            lans.far.send(query)
        seen = address(lans, 1)
        wait_until(lambda: seen in {router.address for router in querier(n2).routers}, LIMIT_S, "both have come")
        own = querier(n2)
        assert (own.is_this_node, own.robustness, own.query_interval_s) == (True, 2, 125)


def forged_beacons(host: LanHost) -> list[bytes]:
    """Frames that are refused, each for another reason; those to everybody are no beacons at all."""
    forwarding, blocked = host.latest(1), host.latest(2)

    def sign(_: bytes) -> bytes:
        return secrets.token_bytes(64)

    ahead = [replace(one, sequence=one.sequence + 1000) for one in (forwarding, blocked)]
    unsigned = [replace(one, state=state) for one in ahead for state in (lan.SILENT, lan.CAPABLE, lan.FORWARDING)]
    unknown = [replace(ahead[0], node=666), replace(ahead[0], epoch=ahead[0].epoch - 1)]
    foreign = [replace(ahead[0], network=bytes(8))]
    elsewhere = [BROADCAST + frame[6:] for frame in (host.heard[1][-1], host.heard[2][-1])]
    repeated = [host.old(node)[-1] for node in (1, 2)]
    return [one.frame(host.mac, sign) for one in (*unsigned, *unknown, *foreign)] + elsewhere + repeated


def test_beacons_that_a_host_makes_up_or_repeats_make_no_two_nodes_forward_and_stop_none(lans: Lans) -> None:
    n0, n1, _ = lans.twice.overlay.nodes
    host, before = lans.near, [drops(node) for node in (n0, n1)]
    wait_until(lambda: all(host.old(node) for node in (1, 2)), LIMIT_S, "what it repeats is old enough")
    with lans.undisturbed():
        for _ in range(TURNS):
            for frame in forged_beacons(host):
                host.send(frame)
            lans.wait_stream(TURN_S)
            assert lans.twice.states() == ("forwarding", "capable", "forwarding")
    reasons = ("bad_signature", "unknown_node", "other_network", "repeated")
    for node, was in zip((n0, n1), before, strict=True):
        dropped = grown(was, drops(node))
        assert [reason for reason in reasons if dropped.get(f"beacon_{reason}", 0) < TURNS] == []


def test_a_member_that_beacons_on_a_lan_without_the_role_is_named(lans: Lans) -> None:
    n0, _, n2 = lans.twice.overlay.nodes
    home, host = n0.directory.parent / "liar", lans.near
    add_node(lans.twice.overlay.network, home, NodeRequest("liar", None, None, 30, roles=Role.RELAY), clock.unix_s())
    member = Member.load(home)

    def make() -> socket.socket:
        with n2.machine.enter():
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((n2.machine.underlay_ipv4, 0))
        return own

    with lans.undisturbed(), speaking(make, member) as speaker:
        session = speaker.connect((n0.machine.underlay_ipv4, NODE_PORT))
        speaker.announce(session)
        sequences = itertools.count(speaker.epoch + 1)

        def named() -> list[str]:
            network, sequence = host.latest(1).network, next(sequences)
            beacon = lan.Beacon(network, member.index, speaker.epoch, sequence, lan.FORWARDING, 1)
            host.send(beacon.frame(host.mac, lambda body: member.sign(b"treecast beacon 1", body)))
            found = fetch_status(n0.directory).problems
            return [problem.text for problem in found if problem.kind == "beacons_without_role"]

        wait_until(named, LIMIT_S, "it is named", poll_s=0.3)
        (text,) = named()
        assert " liar (10.77.0." in text and "treecast node renew liar --role bridge,relay" in text
        assert lans.twice.states() == ("forwarding", "capable", "forwarding")
        session.say(wire.GOODBYE)
