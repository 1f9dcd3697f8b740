"""A member that sends 20,000 grafts a second, of trees that there are and of others: it gets nothing for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from lab.waiting import pause_until
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.lab.hostile.hostility import GROUP, Hostility, counted, wait_key, wait_subscribed

PER_SECOND, FOR_S = 20_000, 3.0
AT_A_TIME = 100
MOST_MORE_BYTES = 3 << 20
"""Measured: 0.4 MiB, for queues and for answers about its status; 60,000 entries of a table would be 6 MiB."""


def grafts(session: Session) -> list[bytes]:
    """Grafts of the stream's tree, of the broadcast tree, of other epochs, streams and roots of these."""
    states = [(state.root, state.stream, state.epoch) for state in list(session.states)]
    own = [wire.mark(root, stream, epoch, 0) for root, stream, epoch in states]
    later = [wire.mark(root, stream, epoch + 1, 2**64 - 1) for root, stream, epoch in states]
    return own + later + [secrets.token_bytes(20) for _ in range(50)]


def send_grafts(sessions: Iterable[Session], bodies: list[bytes]) -> int:
    """Sends to each of these nodes by turns; how many each has been sent."""
    began, sent, turn = time.monotonic(), 0, 0
    while time.monotonic() - began < FOR_S:
        pause_until(began + sent / PER_SECOND)
        for session in sessions:
            for datagram in session.sealing.seal_many(wire.GRAFT, bodies[turn % len(bodies)], AT_A_TIME):
                session.own.sendto(datagram, session.node)
        sent, turn = sent + AT_A_TIME, turn + 1
    return sent


def test_grafts_of_a_member_that_no_root_has_named_are_counted_and_change_nothing(hostility: Hostility) -> None:
    nodes = hostility.net.nodes
    with (
        hostility.speaker(hostility.admit("grafter", "eve")) as speaker,
        hostility.undisturbed(2.0),
        hostility.linked(speaker, *nodes) as sessions,
    ):
        speaker.join(sessions[0], GROUP)
        wait_key(sessions[0])
        wait_subscribed(nodes[0], "grafter")
        before = [(counted(node, "graft_unexpected"), node.resident_bytes) for node in nodes]
        sent = send_grafts(sessions, grafts(sessions[0]))
        for node, (unexpected, resident) in zip(nodes, before, strict=True):
            judged, more = counted(node, "graft_unexpected") - unexpected, node.resident_bytes - resident
            print(f"{node.name}: {sent} sent, {judged} refused, {more / 1024:.0f} KiB more")
            assert judged > sent // 20, "what its socket has no room for is not judged"
            assert more < MOST_MORE_BYTES
            counters = node.status().counters
            assert (counters["grafts"], counters["grafts_taken"], counters["retransmissions"]) == (0, 0, 0)
