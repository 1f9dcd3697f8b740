"""A member that has proved an address, gives it up, and is heard all the time from another one."""

from __future__ import annotations

import socket
import time

from lab import wait_until
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import GROUP, LIMIT_S, Hostility, wait_key, wait_subscribed
from treecast.api.client import fetch_peers

DEAD_S = 9.0
"""Four turns of probes after the last answer, and the review behind them (docs/protocol.md section 4)."""
SPARE_S = 2.0
QUIET_S = 3.0


def streamed(speaker: Speaker, session: Session) -> int:
    """Datagrams of streams that have come to the address."""
    return len(speaker.tree_datagrams) + len(session.frames)


def heard_elsewhere(session: Session, elsewhere: socket.socket, until: float) -> None:
    """The member sends probes from there, at least one, and answers nothing anywhere."""

    def is_over() -> bool:
        elsewhere.sendto(session.sealing.seal(wire.PROBE, bytes(wire.PROBE_LEN)), session.node)
        return time.monotonic() >= until

    wait_until(is_over, LIMIT_S, "it was heard for so long")


def test_an_address_that_a_member_has_given_up_gets_its_stream_no_longer_than_four_turns_of_probes(
    hostility: Hostility,
) -> None:
    n0 = hostility.net.nodes[0]
    with hostility.undisturbed(), hostility.speaker(hostility.admit("gone", "eve")) as speaker:
        with hostility.machines["eve"].enter():
            elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with elsewhere:
            session = speaker.connect((n0.machine.underlay_ipv4, 7700))
            speaker.announce(session)
            speaker.join(session, GROUP)
            wait_key(session)
            wait_subscribed(n0, "gone")
            wait_until(lambda: streamed(speaker, session) > 100, LIMIT_S, "it gets the stream")
            speaker.answers_probes = False
            given_up = time.monotonic()
            heard_elsewhere(session, elsewhere, given_up + 1.0)
            assert [peer.state for peer in fetch_peers(n0.directory) if peer.name == "gone"] == ["up"]
            heard_elsewhere(session, elsewhere, given_up + DEAD_S + SPARE_S)
            before = streamed(speaker, session)
            heard_elsewhere(session, elsewhere, time.monotonic() + QUIET_S)
            assert streamed(speaker, session) == before
            assert [peer.state for peer in fetch_peers(n0.directory) if peer.name == "gone"] != ["up"]
