"""Members that forge others' broadcast with the key that all share: none is delivered, and nobody else's is lost."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import Machine, wait_until
from lab.node import INTERFACE, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, counted, wait_key

ETHERTYPE = 0x88B6  # of local experiments (IEEE 802)
ROUNDS, FLOOD, AT_A_TIME = 50, 6000, 500
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
    """So many frames that came, and what comes in the moment after."""
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
        hostility.linked(speaker, n0) as (session,),
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

        def judged() -> tuple[int, int]:
            """Datagrams that are not signed as they are to be, and those whose counter a genuine one has had."""
            return counted(n1, "broadcast_signature"), counted(n1, "tree_replay")

        before = judged()
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
            wait_until(lambda: sum(judged()) - sum(before) >= ROUNDS * len(forged), LIMIT_S, "all are judged")
            expected = [frame(N0_MAC, f"genuine {number}") for number in range(ROUNDS)]
            assert heard(ear, ROUNDS) == expected
            assert heard(other, ROUNDS) == expected
        assert sum(judged()) - sum(before) == ROUNDS * len(forged)
        assert judged()[0] - before[0] >= 2 * ROUNDS, "without the flag, and under a group's key"


def test_a_member_signs_its_own_broadcast(hostility: Hostility) -> None:
    n1 = hostility.net[1]
    with (
        hostility.speaker(hostility.admit("signer", "eve")) as speaker,
        hostility.linked(speaker, n1) as (session,),
        tap(n1.machine) as ear,
    ):
        index, number = speaker.member.index, int(time.time())
        tree_key = secrets.token_bytes(16)
        keys = wire.TreeKeys(index, 0, number, wire.AES_GCM, 0, 1, secrets.token_bytes(32), None, number, tree_key)
        state = wire.TreeState(index, 0, number, number, 0, index, 0, 1400, tree_key)

        def taken() -> bool:
            session.send(wire.SENDER_KEY, keys.emit())
            session.send(wire.TREE_STATE, state.emit())
            acknowledged = [[wire.KEY_ACKNOWLEDGEMENT, 0, number], [wire.TREE_ACKNOWLEDGEMENT, 0, number]]
            return all(one in session.messages for one in acknowledged)

        wait_until(taken, LIMIT_S, "n1 takes key and place", poll_s=0.2)
        own = [frame(speaker.member.mac, f"own {number}") for number in range(2)]
        before = counted(n1, "broadcast_signature")
        for counter, one in enumerate(own, 1):
            plaintext = wire.inner(wire.FRAME, one)
            for datagram in (
                keys.seal(counter, plaintext),
                keys.seal_signed(speaker.member.signing, counter, plaintext),
            ):
                speaker.own.sendto(datagram, (n1.machine.underlay_ipv4, 7700))
        assert heard(ear, len(own)) == own
        assert counted(n1, "broadcast_signature") - before == len(own), "its own without a signature is none either"


def test_a_flood_of_forged_broadcast_costs_no_stream_and_no_other_broadcast(hostility: Hostility) -> None:
    n0, n1, n2 = hostility.net.nodes
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
        forged = [key.seal(first + number % 1000, plaintext, wire.SIGNED) for number in range(FLOOD)]
        names = ("broadcast_signature", "broadcast_signature_rate")
        before, began = [counted(n1, name) for name in names], time.monotonic()
        with tap(n1.machine) as ear, hostility.undisturbed(1.0):
            sent = [frame(N2_MAC, f"honest {start}") for start in range(0, FLOOD, AT_A_TIME)]
            for start, one in zip(range(0, FLOOD, AT_A_TIME), sent, strict=True):
                hostility.forge("mallory", n1, n0, forged[start : start + AT_A_TIME])
                honest.send(one)
            assert heard(ear, len(sent)) == sent
        checked, passed_over = (counted(n1, name) - was for name, was in zip(names, before, strict=True))
        elapsed = time.monotonic() - began
        print(f"{checked} of {FLOOD} forged signatures checked, {passed_over} not, in {elapsed:.1f} s")
        assert checked + passed_over <= FLOOD
        assert 0 < checked <= 2000 + 1000 * elapsed
        assert passed_over > 0


def wait_broadcast(mouth: socket.socket, receiver: TreecastNode) -> None:
    """Until the sender's broadcast reaches the other node by its tree: copies need no signature."""
    with tap(receiver.machine) as ear:
        ear.settimeout(0.2)

        def is_there() -> bool:
            mouth.send(frame(N2_MAC, "is it there?"))
            try:
                return bool(ear.recv(2000))
            except TimeoutError:
                return False

        wait_until(is_there, LIMIT_S, "broadcast arrives")
