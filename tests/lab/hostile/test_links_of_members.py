"""Hostile members by their links: those that they hide, the sessions in them, and what they repeat there of others.

Five nodes, n0 the source, n1 and n2 subscribers, n3 and n4 that subscribe to nothing; all were told that eve is a node.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Set
from itertools import count

import pytest

from lab import Machine, wait_until
from lab.load import Receiver
from lab.node import INTERFACE, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.handshakes import Handshake
from tests.lab.hostile.hostility import GROUP, LIMIT_S, RATE_PPS, Hostility, counted, wait_key
from tests.lab.overlay.asking import drops, members, peers_up, wait_members
from treecast.api.client import fetch_groups, fetch_peers

JOINED, JOINED_PORT = "239.90.5.1", 5051
LATER_S = 165
RECORDS, GROUPS_EACH = 20, 60
UDP_HEADER = 8


def test_a_node_finds_a_member_by_its_peer_and_each_side_makes_the_next_session_inside_of_the_last(
    crowd: Hostility,
) -> None:
    """Hybrid sessions begin with a handshake of the node's inside of the first one; the next is the member's."""
    n0 = crowd.net[0]
    member = crowd.admit("found", "eve")
    with (
        crowd.speaker(member, takes_inits=True, capabilities=wire.ML_KEM) as speaker,
        crowd.undisturbed(),
        crowd.found(speaker) as (session, *others),
    ):
        assert {"found"} <= set.intersection(*(peers_up(node) for node in crowd.net.nodes))
        wait_until(lambda: all(one.sealing.hybrid for one in (session, *others)), LIMIT_S, "all are hybrid")
        wait_until(lambda: is_hybrid(n0, "found"), LIMIT_S, "the node has it so, too")
        before = session.sealing
        speaker.rekey(session)
        assert session.sealing.hybrid
        assert session.sealing.index != before.index
        speaker.announce(session)
        speaker.join(session, GROUP)
        wait_key(session)
        wait_until(lambda: len(speaker.tree_datagrams) > RATE_PPS, LIMIT_S, "it gets the stream")


def is_hybrid(node: TreecastNode, peer: str) -> bool:
    return {one.name: one.hybrid for one in fetch_peers(node.directory)}[peer]


def test_a_member_makes_no_session_as_another_inside_of_its_own_and_floods_nobody_there(crowd: Hostility) -> None:
    n0 = crowd.net[0]
    other = crowd.admit("other", "eve")
    before = counted(n0, "handshake_with_another_node"), counted(n0, "handshake_rate_session")
    with (
        crowd.speaker(crowd.admit("masked", "eve")) as speaker,
        crowd.undisturbed(),
        crowd.linked(speaker, n0) as (session,),
    ):
        handshake = Handshake(other, speaker.epoch, initiator=True)
        speaker.ask(handshake, session.shake)
        session.shake(handshake.final())
        wait_until(lambda: counted(n0, "handshake_with_another_node") > before[0], LIMIT_S, "it is refused")
        for _ in range(100):
            session.shake(Handshake(speaker.member, speaker.epoch, initiator=True).init())
        wait_until(lambda: counted(n0, "handshake_rate_session") - before[1] > 50, LIMIT_S, "they are too many")
        speaker.rekey(session)
        assert "masked" in peers_up(n0)
        assert "other" not in peers_up(n0)


@pytest.mark.alone
def test_a_member_that_lists_no_links_has_each_record_cross_the_network_two_and_a_half_times_a_node_at_most(
    crowd: Hostility,
) -> None:
    """Copies are counted where they arrive, by their length, which nothing else has: at the five, and at the member.

    Nothing runs beside it: what is acknowledged too late on busy cores is sent again, and counts.
    """
    addresses = count(int.from_bytes(socket.inet_aton("239.101.0.0"), "big"))
    with (
        crowd.speaker(crowd.admit("hidden", "eve")) as speaker,
        crowd.undisturbed(),
        crowd.linked(speaker, *crowd.net.nodes, announced=False) as (session, *_),
    ):
        groups = [[next(addresses).to_bytes(4, "big") for _ in range(GROUPS_EACH)] for _ in range(RECORDS)]
        session.flood(speaker.describe())
        records = [
            speaker.advertise(
                wire.GROUPS, wire.chunk_key(chunk), wire.encode([[[0, one, 1, []] for one in groups[chunk]]])
            )
            for chunk in range(RECORDS)
        ]
        (length,) = {len(session.sealing.seal(wire.CONTROL, wire.encode([wire.FLOOD, [one]]))) for one in records}
        machines = [*(node.machine for node in crowd.net.nodes), crowd.machines["eve"]]
        for machine in machines:
            count_datagrams(machine, length)
        session.flood(*records)
        wanted = {socket.inet_ntoa(listed[0]) for listed in groups}
        for node in crowd.net.nodes:
            wait_groups(node, wanted)
        crowd.wait_stream(1.0)
        copies = sum(datagrams(machine) for machine in machines)
        print(f"\n{copies / RECORDS:.2f} copies of each record among {len(machines)} nodes")
        assert len(crowd.net) * RECORDS <= copies <= 2.5 * len(machines) * RECORDS


def wait_groups(node: TreecastNode, wanted: Set[str]) -> None:
    """Waits until the node knows of members of all of these; TimeoutError, with those that it lacks.

    It is asked seldom: a table of so many groups costs it a while each time.
    """

    def lacking() -> set[str]:
        return set(wanted - {row.group for row in fetch_groups(node.directory)})

    try:
        wait_until(lambda: not lacking(), LIMIT_S, poll_s=0.2)
    except TimeoutError as error:
        raise TimeoutError(f"{node.name} lacks {sorted(lacking())}, {drops(node)}") from error


def count_datagrams(machine: Machine, length: int) -> None:
    """Counts session datagrams of a length that arrive at the machine from now on."""
    which = f"udp length {UDP_HEADER + length} @th,64,8 {wire.SESSION:#x}"
    machine.run(["nft", "add table ip l; add counter ip l n; add chain ip l c { type filter hook input priority 0; }"])
    machine.run(["nft", f"add rule ip l c {which} counter name n"])


def datagrams(machine: Machine) -> int:
    shown = json.loads(machine.run(["nft", "-j", "list", "counters", "table", "ip", "l"]).stdout)["nftables"]
    (packets,) = (entry["counter"]["packets"] for entry in shown if "counter" in entry)
    return int(packets)


def test_a_record_that_its_origin_has_dead_lives_nowhere_whoever_repeats_it(crowd: Hostility) -> None:
    """The node holds neither the record nor its withdrawal, as 120 s after that; the NODE of the origin has a floor."""
    n0 = crowd.net[0]
    before = counted(n0, "advertisement_below_floor")
    with (
        crowd.speaker(crowd.admit("victim", "eve")) as victim,
        crowd.speaker(crowd.admit("repeater", "mallory"), "mallory") as repeater,
        crowd.undisturbed(),
        crowd.linked(repeater, n0) as (of_repeater,),
    ):
        listed = [0, socket.inet_aton(JOINED), 1, []]
        dead = victim.advertise(wire.GROUPS, wire.chunk_key(0), wire.encode([[listed]]))
        node = victim.describe(floor=victim.sequence)
        of_repeater.flood(node, dead)
        wait_until(lambda: counted(n0, "advertisement_below_floor") > before, LIMIT_S, "it is refused")
        wait_until(lambda: node in of_repeater.flooded, LIMIT_S, "who repeated it is told")
        assert members(n0, JOINED) == set()


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_withdrawn_record_that_is_repeated_165_s_later_sends_nobody_a_stream(crowd: Hostility) -> None:
    n0, n3 = crowd.net[0], crowd.net[3]
    with (
        crowd.speaker(crowd.admit("recorder", "eve")) as speaker,
        crowd.undisturbed(),
        crowd.linked(speaker, n0) as (session,),
    ):
        joined = Receiver(n3.machine, JOINED, JOINED_PORT, interface=INTERFACE)
        wait_members(n0, JOINED, {"n3"})

        def recorded() -> list[bytes]:
            return [one for one in session.flooded if socket.inet_aton(JOINED) in one]

        wait_until(lambda: bool(recorded()), LIMIT_S, "it has recorded the join")
        joined.stop()
        wait_members(n0, JOINED, set())
        crowd.wait_stream(LATER_S)
        before = counted(n0, "advertisement_below_floor")
        session.flood(*recorded())
        wait_until(lambda: counted(n0, "advertisement_below_floor") > before, LIMIT_S, "it is refused")
        crowd.wait_stream(2.0)
        assert members(n0, JOINED) == set()
