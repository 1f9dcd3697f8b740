"""A member of a later version, which has more behind each record that may grow: real nodes take it as any other."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

from cryptography.exceptions import InvalidTag

from lab import wait_until
from lab.node import TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import READ_BYTES, READ_LIMIT_S
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, wait_key
from tests.lab.hostile.test_forged_broadcast import frame, heard, of_its_own, tap
from tests.lab.overlay.asking import drops
from treecast.api.client import fetch_peers


def malformed(node: TreecastNode) -> dict[str, int]:
    return {reason: count for reason, count in drops(node).items() if "malformed" in reason or reason == "kind_unknown"}


def prove(session: Session, elsewhere: socket.socket) -> None:
    """Speaks from another address, and answers the challenge that comes there, with more behind it."""

    def seal(kind: int, body: bytes) -> None:
        elsewhere.sendto(session.sealing.seal(kind, body + wire.LATER), session.node)

    seal(wire.PROBE, bytes(wire.PROBE_LEN))
    with suppress(TimeoutError, InvalidTag):
        plaintext = session.sealing.open(elsewhere.recv(READ_BYTES))
        if plaintext[0] == wire.PATH_CHALLENGE:
            seal(wire.PATH_RESPONSE, plaintext[4:12])


def test_a_member_whose_binary_records_have_grown_is_a_member_as_any_other(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    eve = hostility.machines["eve"]
    before = [malformed(node) for node in (n0, n1)]
    with hostility.speaker(hostility.admit("later", "eve")) as speaker, hostility.undisturbed():
        speaker.later = True
        with hostility.linked(speaker, n0, n1) as (session, with_n1), tap(n1.machine) as ear:
            speaker.join(session, GROUP)
            wait_key(session)
            streams = {key.stream for key in session.offers if key.stream}
            wait_until(
                lambda: any(int.from_bytes(one[8:12], "big") in streams for one in list(speaker.tree_datagrams)),
                LIMIT_S,
                "the tree serves it: what it acknowledges counts",
            )
            value = secrets.token_bytes(8)
            session.send(wire.PATH_CHALLENGE, value)
            wait_until(lambda: value in session.responses, LIMIT_S, "its challenge is answered")
            keys = of_its_own(speaker, with_n1)
            own = frame(speaker.member.mac, "of a later version")
            signed = keys.seal_signed(speaker.member.signing, 1, wire.inner(wire.FRAME, own))
            with_n1.send(wire.BROADCAST, signed)
            assert heard(ear, 1) == [own]
            with eve.enter():
                elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with elsewhere:
                elsewhere.bind((eve.underlay_ipv4, 0))
                elsewhere.settimeout(READ_LIMIT_S)
                there = f"{eve.underlay_ipv4}:{elsewhere.getsockname()[1]}"

                def moved() -> bool:
                    prove(session, elsewhere)
                    return there in {peer.endpoint for peer in fetch_peers(n0.directory) if peer.name == "later"}

                wait_until(moved, LIMIT_S, "its response proves the path")
    assert [malformed(node) for node in (n0, n1)] == before
