"""A former subscriber forges without a pause from its leave on, while accomplices among the members help it.

What it makes up are datagrams of a stream of its own, so that the program which receives says when the last one came.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import wait_until
from lab.load import Received
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import GROUP, LIMIT_S, STREAM_PORT, Hostility, wait_key
from tests.lab.hostile.test_members import GROUP_MAC
from tests.lab.overlay.asking import members, wait_received

pytestmark = pytest.mark.alone
FORGED_STREAM, MAGIC = 99, 0x54434C44
FORGES_FOR_S = 6.0
LAST_FORGED_S = 3.0
"""The time after the leave: nothing that was made up is delivered later (SECURITY.md)."""
BEYOND = 12_000
"""Counters are made up so far beyond those that were seen: no key comes to them before it is replaced."""


@contextmanager
def subscribed(hostility: Hostility, name: str, machine: str) -> Iterator[tuple[Speaker, Session]]:
    """A member of the stream's tree, which gets it."""
    n0 = hostility.net[0]
    with hostility.speaker(hostility.admit(name, machine), machine) as speaker, hostility.linked(speaker, n0) as (one,):
        speaker.join(one, GROUP)
        wait_key(one)
        wait_until(lambda: len(speaker.tree_datagrams) > 50, LIMIT_S, f"{name} gets the stream")
        yield speaker, one


@dataclass(frozen=True, slots=True)
class Held:
    """A key of the former subscriber, at the step that its root is at, and the highest counter that came under it."""

    key: wire.TreeKeys
    counter: int


def held(speaker: Speaker, session: Session) -> list[Held]:
    """The two newest keys of the stream."""
    last = [one for one in speaker.tree_datagrams if struct.unpack_from(">I", one, 8)[0]][-1]
    step, key_in_use, counter = struct.unpack_from(">2xH12xIQ", last)
    tree = session.offered.stream
    offered = {key.key_id: key for key in session.offers if key.stream == tree}
    return [
        Held(key.stepped(max(0, step - key.step)), counter) if key_id == key_in_use else Held(key, 0)
        for key_id, key in sorted(offered.items())[-2:]
    ]


def forged(keys: Sequence[Held], source: str, sequence: int) -> list[bytes]:
    """One datagram of the made-up stream under each key, each with a number of its own."""
    datagrams = []
    for number, one in enumerate(keys, sequence):
        load = struct.pack(">IIQQ", MAGIC, FORGED_STREAM, number, time.monotonic_ns())
        frame = Ether(src="02:54:00:00:00:01", dst=GROUP_MAC) / IP(src=source, dst=GROUP, ttl=8)
        frame /= UDP(sport=STREAM_PORT, dport=STREAM_PORT) / Raw(load)
        datagrams.append(one.key.seal(one.counter + BEYOND + number, wire.inner(wire.FRAME, bytes(frame))))
    return datagrams


def forge_for(hostility: Hostility, keys: Sequence[Held], left_ns: int) -> None:
    """Forge under all these keys to all receivers, 25 times a second."""
    n0, *victims = hostility.net.nodes
    for turn in count():
        if time.monotonic_ns() - left_ns > FORGES_FOR_S * 1e9:
            return
        datagrams = forged(keys, n0.ipv4, turn * len(keys))
        for victim in victims:
            hostility.forge("mallory", victim, n0, datagrams)
        wait_received(hostility.receivers[0], hostility.receivers[0].snapshot().received + 20, LIMIT_S)


def lost(account: Received) -> int:
    return sum(stream.lost + stream.duplicated for stream in account.streams if stream.stream != FORGED_STREAM)


def last_forged_s(account: Received, left_ns: int) -> float:
    stream = account.of(FORGED_STREAM)
    assert stream is not None, "it was delivered at first: what is forged is right but for the key"
    return (stream.last_ns - left_ns) / 1e9


@pytest.mark.parametrize("pending", [False, True], ids=["at rest", "while a rotation is pending"])
def test_what_a_former_subscriber_makes_up_is_delivered_for_three_seconds_at_most_whoever_takes_no_key(
    hostility: Hostility, pending: bool
) -> None:
    """The accomplice holds the key in use, and acknowledges no other one: the root waits for it as long as for any."""
    n0 = hostility.net[0]
    number = "two" if pending else "one"
    with (
        subscribed(hostility, f"quitter-{number}", "eve") as (quitter, session),
        subscribed(hostility, f"sluggish-{number}", "mallory") as (sluggish, _),
        subscribed(hostility, f"decoy-{number}", "eve") as (decoy, at_root),
    ):
        hostility.wait_stream(2.0)
        before = [receiver.snapshot() for receiver in hostility.receivers]
        sluggish.takes_keys, in_use = False, session.offered.key_id
        if pending:
            decoy.leave(at_root)
            wait_until(lambda: session.offered.key_id > in_use, LIMIT_S, "a key is pending", poll_s=0.001)
        keys = held(quitter, session)
        left_ns = time.monotonic_ns()
        quitter.leave(session)
        forge_for(hostility, keys, left_ns)
        wait_until(lambda: not members(n0, GROUP) & {f"quitter-{number}"}, LIMIT_S, "the root knows")
        after = [receiver.snapshot() for receiver in hostility.receivers]
        last = [last_forged_s(account, left_ns) for account in after]
        print(f"the last that was forged came {last} s after the leave")
        assert max(last) <= LAST_FORGED_S
        assert [lost(account) for account in after] == [lost(account) for account in before]
