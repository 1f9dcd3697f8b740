"""Hostile members, present and former: what they do to a stream, to others' hosts and to everybody's control."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_network
from itertools import count

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lab import Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import (
    GROUP,
    LIMIT_S,
    RATE_PPS,
    STREAM_PORT,
    Hostility,
    counted,
    problems,
    wait_key,
    wait_subscribed,
)
from tests.lab.overlay.asking import wait_members, wait_received
from treecast.adapters import clock
from treecast.api.client import fetch_hosts, fetch_peers
from treecast.identity.rights import GivenLimits, Role

GROUP_MAC = "01:00:5e:5a:01:01"
KEY_ENDS_S = 3.0
"""The time after the root has learned of the leave, at the latest."""
PAUSING_GROUP, PAUSING_GROUP_MAC = "239.90.4.9", "01:00:5e:5a:04:09"
FAR = 10**9
FORGED = 50


def forged_frame(source_mac: str, source: str, mac: str = GROUP_MAC, group: str = GROUP) -> bytes:
    """A datagram to the stream's program, as from a node."""
    payload = UDP(sport=STREAM_PORT, dport=STREAM_PORT) / Raw(b"forged")
    return bytes(Ether(src=source_mac, dst=mac) / IP(src=source, dst=group, ttl=8) / payload)


def forged_datagrams(keys: wire.TreeKeys, frame: bytes) -> list[bytes]:
    """Datagrams under the key, its step, the next ones and some far ahead; their counters are far ahead."""
    steps = [keys.stepped(number) for number in range(4)]
    plaintext = wire.inner(wire.FRAME, frame)
    return [steps[n % 4].seal(FAR + n, plaintext) for n in range(FORGED)]


def test_who_has_left_delivers_nothing_with_its_last_key_and_disturbs_no_stream(hostility: Hostility) -> None:
    """Neither from its own address nor from the source's; neither on the group's tree nor on the broadcast tree."""
    n0, n1, n2 = hostility.net.nodes
    with hostility.speaker(hostility.admit("former", "eve")) as speaker:
        with hostility.undisturbed(), hostility.linked(speaker, n0) as (session,):
            speaker.join(session, GROUP)
            wait_key(session)
            wait_subscribed(n0, "former")
            wait_until(lambda: len(speaker.tree_datagrams) > 50, LIMIT_S, "it gets the stream")
            n0.machine.run(["ping", "-c", "1", "-W", "1", "10.77.200.200"], check=False)  # a broadcast solicitation
            wait_until(lambda: any(not key.stream for key in session.offers), LIMIT_S, "a key of the broadcast tree")
            keys = [session.offered, max((key for key in session.offers if not key.stream), key=lambda k: k.key_id)]
            speaker.leave(session)
            wait_members(n0, GROUP, {"n1", "n2"})
        frame = forged_frame("02:54:00:00:00:01", n0.ipv4)
        datagrams = [one for key in keys for one in forged_datagrams(key, frame)]
        for victim in (n1, n2):
            wait_received(hostility.receivers[0], hostility.receivers[0].snapshot().received + 4 * RATE_PPS, LIMIT_S)
            reasons = ("tree_rpf", "tree_key_unknown", "tree_unwrapped")
            before = [counted(victim, reason) for reason in reasons]
            with hostility.undisturbed(2.0):
                for one in datagrams:
                    speaker.own.sendto(one, (victim.machine.underlay_ipv4, 7700))
                hostility.forge("mallory", victim, n0, datagrams)
            judged = [counted(victim, reason) - was for reason, was in zip(reasons, before, strict=True)]
            assert judged == [FORGED, FORGED, 2 * FORGED], "elsewhere, a key that is over, broadcast"


@contextmanager
def losing_anchors(victim: Machine, least: int) -> Iterator[None]:
    """All anchors that come in the block are lost, and at least so many."""
    anchor = len(wire.anchor(0, 0, 0, 0, 0)) + 2 + 8 + 8 + 8
    length = 8 + wire.SESSION_HEADER_LEN + len(wire.inner(0, b"")) + anchor + 16
    victim.run(["nft", "add table ip lossy; add chain ip lossy in { type filter hook input priority 0; }"])
    victim.run(["nft", f"add rule ip lossy in udp length {length} counter drop"])
    yield
    listed = ["nft", "list", "table", "ip", "lossy"]

    def are_lost() -> bool:
        found = re.search(r"packets (\d+) ", victim.run(listed).stdout)
        return found is not None and int(found[1]) >= least

    wait_until(are_lost, LIMIT_S, "the key is in use, anchors are lost")
    victim.run(["nft", "delete", "table", "ip", "lossy"])


@pytest.mark.parametrize("missing", [0, 1, 4], ids=["all anchors come", "the first anchor is lost", "all are lost"])
def test_who_has_left_delivers_nothing_where_the_stream_pauses(hostility: Hostility, missing: int) -> None:
    """No datagram under the next key ends the last one."""
    n0, n1, _ = hostility.net.nodes
    name = f"bored{missing}"
    with hostility.speaker(hostility.admit(name, "eve")) as speaker, hostility.linked(speaker, n0) as (session,):
        receiver = Receiver(n1.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE)
        speaker.join(session, PAUSING_GROUP)
        wait_members(n0, PAUSING_GROUP, {"n1", name})
        sent = 2 * RATE_PPS
        Sender(n0.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=sent)
        wait_received(receiver, sent, LIMIT_S)
        key = session.offered
        with losing_anchors(n1.machine, missing) if missing else nullcontext():
            speaker.leave(session)
            wait_members(n0, PAUSING_GROUP, {"n1"})
            left_at = clock.monotonic()
        wait_until(lambda: clock.monotonic() - left_at > KEY_ENDS_S, LIMIT_S, "the key that was left is over")
        before = counted(n1, "tree_key_unknown")
        frame = forged_frame("02:54:00:00:00:01", n0.ipv4, PAUSING_GROUP_MAC, PAUSING_GROUP)
        plaintext = wire.inner(wire.FRAME, frame)
        datagrams = [key.stepped(step).seal(sent + n, plaintext) for step in range(2) for n in range(1, FORGED)]
        hostility.forge("mallory", n1, n0, datagrams)
        wait_until(lambda: counted(n1, "tree_key_unknown") - before == len(datagrams), LIMIT_S, "all are judged")
        found = receiver.stop()
        assert (found.received, found.other) == (sent, 0)


def test_who_has_no_role_bridge_gets_nothing_that_is_for_a_lan_host_s_address(hostility: Hostility) -> None:
    _, n1, _ = hostility.net.nodes
    with hostility.speaker(hostility.admit("spoofer", "eve")) as speaker, hostility.linked(speaker, n1) as (session,):
        before, own = counted(n1, "source_of_another_node"), speaker.member.mac.hex(":")
        for destination in ("02:54:00:00:00:02", "ff:ff:ff:ff:ff:ff"):
            reply = ARP(op=2, hwsrc=own, psrc="10.77.50.1", hwdst="02:54:00:00:00:02", pdst=n1.ipv4)
            session.send(wire.FRAME, bytes(Ether(src=own, dst=destination) / reply))
        wait_until(lambda: counted(n1, "source_of_another_node") - before == 2, LIMIT_S, "both are refused")
        assert "10.77.50.1" not in n1.machine.run(["ip", "neigh", "show", "dev", INTERFACE]).stdout


def test_a_subscriber_that_forges_counters_far_ahead_silences_nobody(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("forger", "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, n0) as (session,),
    ):
        speaker.join(session, GROUP)
        wait_key(session)
        wait_until(lambda: len(speaker.tree_datagrams) > 50, LIMIT_S, "it gets the stream")
        before = counted(n1, "tree_ahead")
        datagrams = forged_datagrams(session.offered, forged_frame("02:54:00:00:00:01", n0.ipv4))
        hostility.forge("mallory", n1, n0, datagrams)
        wait_until(lambda: counted(n1, "tree_ahead") - before >= FORGED, LIMIT_S, "all are judged")


def test_claims_to_others_hosts_are_refused_and_their_member_is_named(hostility: Hostility) -> None:
    n0, n1, n2 = hostility.net.nodes
    before = counted(n0, "host_of_another_node")
    n2_mac = bytes.fromhex("025400000003")
    claim = wire.encode([[socket.inet_aton(n2.ipv4)], 2**32 - 1, 0])
    with (
        hostility.speaker(hostility.admit("claimer", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0) as (session,),
    ):
        session.flood(speaker.advertise(wire.HOST, wire.host_key(0, n2_mac), claim))
        stranger = wire.host_key(0, bytes.fromhex("020000000099"))
        session.flood(speaker.advertise(wire.HOST, stranger, wire.encode([[socket.inet_aton("10.77.9.9")], 0, 0])))
        wait_until(lambda: counted(n0, "host_of_another_node") > before, LIMIT_S, "the claim is refused")
        wait_until(lambda: ("claims_without_role", "claimer") in problems(n0), LIMIT_S, "it is named")
        for node in (n0, n1):
            owners = {host.mac: host.node for host in fetch_hosts(node.directory)}
            assert owners["02:54:00:00:00:03"] == "n2"
            assert "02:00:00:00:00:99" not in owners


def test_the_highest_sequence_takes_no_host_of_another_bridge(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    mac, key = "02:00:00:00:00:77", wire.host_key(0, bytes.fromhex("020000000077"))
    n2_key = wire.host_key(0, bytes.fromhex("025400000003"))
    members = [hostility.admit(name, "eve", Role.BRIDGE | Role.RELAY) for name in ("incumbent", "usurper")]
    with (
        hostility.speaker(members[0]) as honest,
        hostility.speaker(members[1], "mallory") as hostile,
        hostility.linked(honest, n0) as (of_honest,),
        hostility.linked(hostile, n0) as (of_hostile,),
    ):
        of_honest.flood(honest.advertise(wire.HOST, key, wire.encode([[], 3, 0])))
        wait_until(lambda: owner(hostility, mac) == "incumbent", LIMIT_S, "the host is there")
        before = counted(n0, "host_sequence_ahead")
        of_hostile.flood(hostile.advertise(wire.HOST, key, wire.encode([[], 2**32 - 1, 0])))
        wait_until(lambda: counted(n0, "host_sequence_ahead") > before, LIMIT_S, "the claim was judged")
        assert owner(hostility, mac) == "incumbent"
        before = counted(n0, "host_of_another_node")
        of_hostile.flood(hostile.advertise(wire.HOST, n2_key, wire.encode([[], 2**32 - 1, 0])))
        wait_until(lambda: counted(n0, "host_of_another_node") > before, LIMIT_S, "so was this")
        assert owner(hostility, "02:54:00:00:00:03") == "n2", "a certificate gives it"


def owner(hostility: Hostility, mac: str) -> str | None:
    return {host.mac: host.node for host in fetch_hosts(hostility.net[0].directory)}.get(mac)


def test_frames_as_of_another_member_are_dropped_whoever_seals_them(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    before = counted(n1, "source_of_another_node")
    with (
        hostility.speaker(hostility.admit("masked", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n1) as (session,),
    ):
        own = ":".join(f"{octet:02x}" for octet in speaker.member.mac)
        frames = [forged_frame("02:54:00:00:00:01", n0.ipv4), forged_frame(own, n0.ipv4)]
        for frame in frames * FORGED:
            session.send(wire.FRAME, frame)
        wait_until(lambda: counted(n1, "source_of_another_node") - before >= 2 * FORGED, LIMIT_S, "all are judged")


def test_copies_of_a_member_whose_certificate_does_not_permit_the_group_reach_no_program(hostility: Hostility) -> None:
    """Frames of its own, sealed for one node each: to the group's MAC, to that node's and to all."""
    n1 = hostility.net[1]
    limits = GivenLimits(send_to=(ip_network("239.91.0.0/16"),))
    before = counted(n1, "frame_not_permitted")
    with (
        hostility.speaker(hostility.admit("limited", "eve", limits=limits)) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n1) as (session,),
    ):
        wait_until(lambda: "limited" in {peer.name for peer in fetch_peers(n1.directory)}, LIMIT_S, "it is known")
        own = ":".join(f"{octet:02x}" for octet in speaker.member.mac)
        for mac in (GROUP_MAC, "02:54:00:00:00:02", "ff:ff:ff:ff:ff:ff"):
            for _ in range(FORGED):
                session.send(wire.FRAME, forged_frame(own, "192.0.2.9", mac))
        wait_until(lambda: counted(n1, "frame_not_permitted") - before >= 3 * FORGED, LIMIT_S, "all are judged")


def test_almost_a_megabyte_of_groups_leaves_room_for_an_honest_join(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    addresses = count(int.from_bytes(socket.inet_aton("239.100.0.0"), "big"))
    with (
        hostility.speaker(hostility.admit("greedy", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0) as (session,),
    ):
        before, sent = counted(n0, "advertisement_over_quota"), 0
        for chunk in range(1000):
            listed = [[0, next(addresses).to_bytes(4, "big"), 1, []] for _ in range(96)]
            content = wire.encode([listed])
            sent += len(content)
            session.flood(speaker.advertise(wire.GROUPS, wire.chunk_key(chunk), content))
        assert sent > 900_000
        wait_until(lambda: counted(n0, "advertisement_over_quota") > before, LIMIT_S, "its quota is full")
        wait_until(lambda: ("over_quota", "greedy") in problems(n0), LIMIT_S, "it is named")
        stream = Sender(n0.machine, "239.90.2.1", 5031, interface=INTERFACE, rate_pps=RATE_PPS)
        honest = Receiver(n1.machine, "239.90.2.1", 5031, interface=INTERFACE)
        wait_received(honest, RATE_PPS)
        stream.stop()
        assert honest.stop().lost == 0


def test_a_source_that_the_group_cannot_have_is_malformed(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    before = counted(n0, "advertisement_malformed")
    with hostility.speaker(hostility.admit("mixed", "eve")) as speaker, hostility.linked(speaker, n0) as (session,):
        speaker.join(session, "239.90.3.1", sources=(bytes(15) + b"\1",))
        wait_until(lambda: counted(n0, "advertisement_malformed") > before, LIMIT_S, "it is refused")


def test_a_flapping_member_causes_one_rotation_a_second_and_loses_nobody_a_frame(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    with (
        hostility.speaker(hostility.admit("flapping", "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, n0) as (session,),
    ):
        speaker.join(session, GROUP)
        wait_key(session)
        tree, began = session.offered.stream, time.monotonic()
        received = hostility.receivers[0].snapshot().received
        for turn in range(36):
            (speaker.leave if turn % 2 == 0 else speaker.join)(*((session,) if turn % 2 == 0 else (session, GROUP)))
            received += RATE_PPS // 6
            wait_received(hostility.receivers[0], received, LIMIT_S)
        keys = {key.key_id for key in session.offers if key.stream == tree}
        rotations, seconds = len(keys) - 1, time.monotonic() - began
        print(f"{rotations} rotations in {seconds:.1f} s")
        assert 2 <= rotations <= seconds + 1


def test_a_mute_subscriber_gets_copies_for_half_a_minute(hostility: Hostility) -> None:
    n0 = hostility.net[0]
    with (
        hostility.speaker(hostility.admit("mute", "eve"), takes_keys=False) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0) as (session,),
    ):
        began, before = time.monotonic(), counted(n0, "key_unacknowledged")
        speaker.join(session, GROUP)
        wait_until(lambda: len(session.frames) > RATE_PPS, LIMIT_S, "it gets copies")
        wait_until(lambda: ("keys_not_taken", "mute") in problems(n0), 45.0, "they end, and it is named")
        assert time.monotonic() - began > 30.0
        assert counted(n0, "key_unacknowledged") > before
        assert len(session.frames) < 35 * RATE_PPS, "of 30 s, with room for a busy machine"
        had, received = len(session.frames), hostility.receivers[0].snapshot().received
        wait_received(hostility.receivers[0], received + 2 * RATE_PPS, LIMIT_S)
        assert len(session.frames) - had < RATE_PPS / 5
        assert not speaker.tree_datagrams
