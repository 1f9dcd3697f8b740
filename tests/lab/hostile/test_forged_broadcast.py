"""Members that forge others' broadcast with the key that all share: none is delivered, and nobody else's is lost."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import Machine, wait_until
from lab.node import INTERFACE, PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.flooding import flooding
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, counted, wait_key
from tests.lab.hostile.siege import ipv4_udp

ETHERTYPE = 0x88B6  # of local experiments (IEEE 802)
ROUNDS, AT_A_TIME = 50, 500
FLOOD_PPS, GENUINE = 5000, 100
FAR = 10_000  # what the stream does not come to before its key changes
N0_MAC, N2_MAC = bytes.fromhex("025400000001"), bytes.fromhex("025400000003")


def frame(source: bytes, text: str) -> bytes:
    return b"\xff" * 6 + source + ETHERTYPE.to_bytes(2, "big") + text.encode().ljust(46, b"\0")


@contextmanager
def tap(machine: Machine) -> Iterator[socket.socket]:
    """A host's way to send such frames, and to hear them."""
    with machine.enter():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    with raw:
        raw.bind((INTERFACE, ETHERTYPE))
        raw.settimeout(LIMIT_S)
        yield raw


def heard(ear: socket.socket, count: int) -> list[bytes]:
    """The frames that came, and what comes in the moment after."""
    frames = [ear.recv(2000) for _ in range(count)]
    ear.settimeout(0.2)
    try:
        while True:
            frames.append(ear.recv(2000))
    except TimeoutError:
        return frames


def broadcast_of(speaker: Speaker, session: Session) -> list[bytes]:
    """Tree datagrams of the node's broadcast that the speaker got."""
    return [one for one in list(speaker.tree_datagrams) if one[4:12] == session.peer.to_bytes(4, "big") + bytes(4)]


def listen(speaker: Speaker, session: Session, mouth: socket.socket, source: bytes) -> tuple[wire.TreeKeys, bytes]:
    """The key of a node's broadcast at the step of a genuine datagram, and that datagram."""

    def got() -> bool:
        mouth.send(frame(source, "listen"))
        keys, came = [key for key in session.offers if not key.stream], broadcast_of(speaker, session)
        return bool(keys and came) and came[-1][16:20] == session.broadcast_offered.key_id.to_bytes(4, "big")

    wait_until(got, LIMIT_S, "the speaker gets broadcast", poll_s=0.1)
    key, genuine = session.broadcast_offered, broadcast_of(speaker, session)[-1]
    return key.stepped(int.from_bytes(genuine[2:4], "big") - key.step), genuine


def counter_of(datagram: bytes) -> int:
    return int.from_bytes(datagram[20:28], "big")


def test_nobody_forges_anothers_broadcast(hostility: Hostility) -> None:
    n0, n1, n2 = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("impostor", "eve")) as speaker,
        hostility.undisturbed(),
        hostility.linked(speaker, n0, n1) as (session, with_n1),
        tap(n0.machine) as mouth,
    ):
        speaker.join(session, GROUP)
        wait_key(session)
        wait_until(lambda: any(any(one[8:12]) for one in list(speaker.tree_datagrams)), LIMIT_S, "the stream comes")
        key, genuine = listen(speaker, session, mouth, N0_MAC)
        opened = key.open(genuine)
        assert wire.verified(session.signing_key, genuine, opened) == wire.inner(wire.FRAME, frame(N0_MAC, "listen"))
        of_stream = [one for one in list(speaker.tree_datagrams) if any(one[8:12])][-1]
        group_key = session.offered.stepped(int.from_bytes(of_stream[2:4], "big") - session.offered.step)
        plaintext = wire.inner(wire.FRAME, frame(N0_MAC, "forged"))

        reasons = ("tree_unwrapped", "broadcast_signature", "tree_rpf")
        before = [counted(n1, reason) for reason in reasons]

        def judged() -> list[int]:
            return [counted(n1, reason) - was for reason, was in zip(reasons, before, strict=True)]

        with tap(n1.machine) as ear, tap(n2.machine) as other:
            for number in range(ROUNDS):
                mouth.send(frame(N0_MAC, f"genuine {number}"))
                counter = counter_of(genuine) + 1 + number
                forged = [
                    key.seal_signed(speaker.member.signing, counter, plaintext),
                    key.seal(counter, plaintext),
                    key.seal(counter, plaintext + bytes(wire.SIGNATURE_LEN), wire.SIGNED),
                    key.seal(counter, opened, wire.SIGNED),
                    group_key.seal(counter_of(of_stream) + FAR + number, plaintext),
                ]
                hostility.forge("mallory", n1, n0, forged)
                with_n1.send(wire.BROADCAST, forged[0])
            expected_drops = [(len(forged) - 1) * ROUNDS, ROUNDS, ROUNDS]
            wait_until(lambda: sum(judged()) >= sum(expected_drops), LIMIT_S, "all are judged")
            expected = [frame(N0_MAC, f"genuine {number}") for number in range(ROUNDS)]
            assert heard(ear, ROUNDS) == expected
            assert heard(other, ROUNDS) == expected
        assert judged() == expected_drops, "by themselves, under a group's key, in the forger's own session"


def of_its_own(speaker: Speaker, session: Session) -> wire.TreeKeys:
    """The keys of its own broadcast, which the node has taken."""
    index, number = speaker.member.index, int(time.time())
    tree_key = secrets.token_bytes(16)
    keys = wire.TreeKeys(index, 0, number, wire.AES_GCM, 0, 1, secrets.token_bytes(32), None, number, tree_key)
    state = wire.TreeState(index, 0, number, number, 0, index, 0, 1400, tree_key)

    def taken() -> bool:
        session.send(wire.SENDER_KEY, keys.emit())
        session.send(wire.TREE_STATE, state.emit())
        acknowledged = [[wire.KEY_ACKNOWLEDGEMENT, 0, number], [wire.TREE_ACKNOWLEDGEMENT, 0, number]]
        return all(one in session.messages for one in acknowledged)

    wait_until(taken, LIMIT_S, "the node takes key and place", poll_s=0.2)
    return keys


def test_a_member_signs_its_own_broadcast(hostility: Hostility) -> None:
    n1 = hostility.net[1]
    with (
        hostility.speaker(hostility.admit("signer", "eve")) as speaker,
        hostility.linked(speaker, n1) as (session,),
        tap(n1.machine) as ear,
    ):
        keys = of_its_own(speaker, session)
        own = [frame(speaker.member.mac, f"own {number}") for number in range(2)]
        before = counted(n1, "broadcast_signature")
        for counter, one in enumerate(own, 1):
            plaintext = wire.inner(wire.FRAME, one)
            for datagram in (
                keys.seal(counter, plaintext),
                keys.seal_signed(speaker.member.signing, counter, plaintext),
            ):
                session.send(wire.BROADCAST, datagram)
        assert heard(ear, len(own)) == own
        assert counted(n1, "broadcast_signature") - before == len(own), "its own without a signature is none either"


def test_a_flood_of_forged_broadcast_costs_nobody_his_broadcast(hostility: Hostility) -> None:
    (n0, n1, n2), mallory = hostility.net.nodes, hostility.machines["mallory"]
    with (
        hostility.speaker(hostility.admit("flooder", "eve")) as speaker,
        hostility.linked(speaker, n0) as (session,),
        tap(n0.machine) as mouth,
        tap(n2.machine) as honest,
    ):
        key, genuine = listen(speaker, session, mouth, N0_MAC)
        wait_broadcast(honest, n1)
        plaintext = wire.inner(wire.FRAME, frame(N0_MAC, "forged")) + bytes(wire.SIGNATURE_LEN)
        first = counter_of(genuine) + 1
        forged = [key.seal(first + number, plaintext, wire.SIGNED) for number in range(AT_A_TIME)]
        names = ("broadcast_signature", "broadcast_signature_rate", "tree_unwrapped")
        before = [counted(n1, name) for name in names]
        mine, others = ([frame(mac, f"genuine {n}") for n in range(GENUINE)] for mac in (N0_MAC, N2_MAC))
        with tap(n1.machine) as ear:
            with hostility.undisturbed(1.0), flooding(mallory, as_from(n0, n1, forged), FLOOD_PPS) as flood:
                for number in range(3):
                    ping_between_fresh_hosts(n0.machine, n1.machine, number)
                for one, other in zip(mine, others, strict=True):
                    mouth.send(one)
                    honest.send(other)
                    flood.wait_more(FLOOD_PPS // GENUINE)
            came = heard(ear, 2 * GENUINE * 99 // 100)
        signatures, passed_over, unwrapped = (counted(n1, name) - was for name, was in zip(names, before, strict=True))
        print(f"{flood.sent} forged, {flood.sent_pps:.0f}/s, {unwrapped} refused")
        print(f"{len(came)} of {2 * GENUINE} came")
        assert {*came} <= {*mine, *others}
        assert (signatures, passed_over) == (0, 0), "none was looked at"
        assert unwrapped >= FLOOD_PPS


def ping_between_fresh_hosts(one: Machine, other: Machine, number: int) -> None:
    """An address that nobody knows finds another one: the kernel asks three times."""
    addresses = [f"10.77.{200 + side}.{number + 1}" for side in range(2)]
    for machine, address in zip((one, other), addresses, strict=True):
        machine.run(["ip", "address", "add", f"{address}/16", "dev", INTERFACE])
    one.run(["ping", "-c1", f"-W{LIMIT_S:.0f}", "-I", *addresses])


def as_from(source: TreecastNode, victim: TreecastNode, datagrams: list[bytes]) -> list[tuple[bytes, str]]:
    """Packets to the victim under the source's address."""
    target = victim.machine.underlay_ipv4
    return [(ipv4_udp(source.machine.underlay_ipv4, PORT, target, PORT, one), target) for one in datagrams]


def wait_broadcast(mouth: socket.socket, receiver: TreecastNode) -> None:
    """Waits until the sender's broadcast reaches the other node by its tree: copies need no signature."""
    with tap(receiver.machine) as ear:
        ear.settimeout(0.2)

        def is_there() -> bool:
            mouth.send(frame(N2_MAC, "is it there?"))
            try:
                return bool(ear.recv(2000))
            except TimeoutError:
                return False

        wait_until(is_there, LIMIT_S, "broadcast arrives")
