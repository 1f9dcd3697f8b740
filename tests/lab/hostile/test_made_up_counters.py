"""A subscriber writes the root's address, and makes up the counters that the root is about to use, all in one burst."""

from __future__ import annotations

from collections.abc import Sequence

from lab import wait_until
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.lab.hostile.hostility import GROUP, LIMIT_S, RATE_PPS, Hostility, counted, wait_key, wait_subscribed
from tests.lab.hostile.test_members import forged_frame
from tests.lab.overlay.asking import wait_received

COUNT, AT_A_TIME = 15_000, 200
"""The counters are nearly as many as a receiver takes beyond an anchor: half a minute of the stream."""
LATER = 1_500
"""The stream goes on while they are sealed: the first counter that is made up is so far beyond the newest seen."""


def next_datagrams(session: Session, newest: bytes, frame: bytes) -> Sequence[bytes]:
    """Datagrams under the key of the newest one of the stream, with the counters after its."""
    key_id, counter = int.from_bytes(newest[16:20], "big"), int.from_bytes(newest[20:28], "big")
    key = [offer for offer in session.offers if offer.stream and offer.key_id == key_id][-1]
    stepped = key.stepped(int.from_bytes(newest[2:4], "big") - key.step)
    plaintext = wire.inner(wire.FRAME, frame)
    return [stepped.seal(counter + LATER + number, plaintext) for number in range(COUNT)]


def test_a_burst_of_the_next_counters_stops_a_stream_for_a_moment_only(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with hostility.speaker(hostility.admit("near", "eve")) as speaker, hostility.linked(speaker, n0) as (session,):
        speaker.join(session, GROUP)
        wait_key(session)
        wait_subscribed(n0, "near")
        wait_until(lambda: len(speaker.tree_datagrams) > RATE_PPS, LIMIT_S, "it gets the stream")
        newest = [one for one in speaker.tree_datagrams[-50:] if one[4:8] == bytes([0, 0, 0, 1]) and any(one[8:12])][-1]
        datagrams = next_datagrams(session, newest, forged_frame("02:54:00:00:00:01", n0.ipv4))
        receiver, other = hostility.receivers
        before, replays, asked = other.snapshot(), counted(n1, "tree_replay"), n1.status().counters["anchor_requests"]
        for first in range(0, COUNT, AT_A_TIME):
            hostility.forge("mallory", n1, n0, list(datagrams[first : first + AT_A_TIME]))
        at_the_end = receiver.snapshot()
        wait_received(receiver, at_the_end.received + 4 * RATE_PPS, LIMIT_S)
        after = receiver.snapshot()
        judged = counted(n1, "tree_replay") - replays
        print(f"{after.lost - at_the_end.lost} lost, {judged} replays, forged ones delivered {after.other}")
        assert judged > 0, "some of what was made up was taken for the root's"
        assert after.lost - at_the_end.lost < RATE_PPS, "less than a second of the stream"
        assert n1.status().counters["anchor_requests"] > asked
        hostility.wait_stream(0.5)
        assert other.snapshot().lost == before.lost, "who was sent none misses nothing"
