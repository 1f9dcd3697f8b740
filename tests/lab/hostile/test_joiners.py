"""A member that has recorded a stream, and joins it then: what is older than ten seconds stays closed to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidTag

from lab import Machine, wait_until
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import GROUP, LIMIT_S, RATE_PPS, Hostility, wait_key
from treecast.adapters import clock

ETH_P_IP = 0x0800
HEADERS = 14 + 20 + 8
OPENED_S = 10
"""A member that joins may read so much of the past."""
RECORDED_S = 21
STEPS = 3
"""Further ones of an offered key."""


@contextmanager
def recording(machine: Machine) -> Iterator[list[tuple[float, bytes]]]:
    """Tree datagrams of groups that come to a machine in the block, and when, as who is on the way records them."""
    with machine.enter():
        wiretap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    found: list[tuple[float, bytes]] = []
    over = threading.Event()

    def record() -> None:
        while not over.is_set():
            payload = wiretap.recv(9000)[HEADERS:]
            if payload[:1] == bytes((wire.TREE,)) and any(payload[8:12]):
                found.append((clock.monotonic(), payload))

    with wiretap:
        wiretap.bind((machine.underlay_interface, ETH_P_IP))
        wiretap.settimeout(LIMIT_S)
        thread = threading.Thread(target=record)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


def opens(keys: list[wire.TreeKeys], datagram: bytes) -> bool:
    for key in keys:
        try:
            key.open(datagram)
        except InvalidTag:
            continue
        return True
    return False


def test_who_joins_opens_nothing_that_was_sent_more_than_ten_seconds_before(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    with recording(n1.machine) as recorded:
        hostility.wait_stream(RECORDED_S)
        joined_at = clock.monotonic()
        with (
            hostility.speaker(hostility.admit("joiner", "eve")) as speaker,
            hostility.linked(speaker, n0) as (session,),
        ):

            def keys() -> list[wire.TreeKeys]:
                return [key.stepped(step) for key in session.offers if key.stream for step in range(STEPS)]

            speaker.join(session, GROUP)
            wait_key(session)
            wait_until(lambda: any(opens(keys(), one) for one in speaker.tree_datagrams[-20:]), LIMIT_S, "it reads")
            held = keys()
    old = [datagram for at, datagram in recorded if at < joined_at - OPENED_S]
    assert len(old) > (RECORDED_S - OPENED_S) * RATE_PPS / 2
    assert not any(opens(held, datagram) for datagram in old)
