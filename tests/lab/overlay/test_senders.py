"""Senders of groups, as ``groups`` and ``groups --watch`` show them: at the sender's node and at the receivers'."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from tests.lab.overlay.asking import drops, grown, wait_members, wait_received
from treecast.api import records
from treecast.api.client import fetch_groups, fetch_status
from treecast.cli.watch import WatchedChange

PORT = 5020
RATE_PPS = 400
FRAME_BYTES = {4: 1200 + 42, 6: 1200 + 62}
LIMIT_S = 20.0


def rows(node: TreecastNode, group: str) -> list[records.Group]:
    return [row for row in fetch_groups(node.directory) if row.group == group]


def senders(node: TreecastNode, group: str) -> dict[tuple[str, str, str], records.Sender]:
    """The group's senders by source, node and port."""
    found = [sender for row in rows(node, group) for sender in row.senders]
    return {(sender.source, sender.node, sender.port): sender for sender in found}


def is_near(measured: float | None, expected: float) -> bool:
    return measured is not None and abs(measured - expected) < expected / 5


@pytest.mark.parametrize(("group", "unwanted"), [("239.41.0.1", "239.41.0.2"), ("ff15::41:1", "ff15::41:2")])
def test_senders_are_shown_with_their_rates_at_both_ends_and_also_to_groups_that_nobody_wants(
    mesh: Overlay, group: str, unwanted: str
) -> None:
    version = 6 if ":" in group else 4
    source = mesh[0].ipv6 if version == 6 else mesh[0].ipv4
    receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE)
    wait_members(mesh[0], group, {"n1"})
    before = drops(mesh[0])
    streams = [Sender(mesh[0].machine, to, PORT, interface=INTERFACE, rate_pps=RATE_PPS) for to in (group, unwanted)]
    here, there = (source, "n0", INTERFACE), (source, "n0", "")

    def measured(node: TreecastNode, to: str, who: tuple[str, str, str]) -> bool:
        sender = senders(node, to).get(who)
        rate_bps = RATE_PPS * FRAME_BYTES[version] * 8
        return sender is not None and is_near(sender.pps, RATE_PPS) and is_near(sender.rate_bps, rate_bps)

    for node, to, who in ((mesh[0], group, here), (mesh[0], unwanted, here), (mesh[1], group, there)):
        wait_until(partial(measured, node, to, who), LIMIT_S, f"{to} at {node.name}")
    wanted_count, unwanted_count = (stream.stop().sent for stream in streams)
    wait_received(receiver, wanted_count)
    for node, to, who, count in (
        (mesh[0], group, here, wanted_count),
        (mesh[0], unwanted, here, unwanted_count),
        (mesh[1], group, there, wanted_count),
    ):
        sender = senders(node, to)[who]
        assert (sender.packets, sender.bytes) == (count, count * FRAME_BYTES[version])
        assert 0 <= sender.silent_s < sender.since_s <= fetch_status(node.directory).uptime_s
    (row,) = rows(mesh[0], unwanted)
    assert (row.source, row.members, row.local, row.tx_packets) == (source, [], False, 0)
    assert grown(before, drops(mesh[0]))["no_subscriber"] == unwanted_count
    assert rows(mesh[1], unwanted) == [], "others do not hear of it"
    wait_until(lambda: senders(mesh[0], group)[here].rate_bps == 0, LIMIT_S, "the stream that ended has no rate")
    receiver.stop()


@contextmanager
def watching(node: TreecastNode) -> Iterator[Callable[[str, str], list[WatchedChange]]]:
    """Yields a reader of ``groups --watch --json``: the lines of a group, up to the next one of an event."""
    process = node.machine.spawn([PROGRAM, "groups", node.directory, "--watch", "--json"], stdout=subprocess.PIPE)

    def up_to(event: str, group: str) -> list[WatchedChange]:
        told: list[WatchedChange] = []
        while not told or told[-1].event != event:
            change = msgspec.json.decode(process.read_line(LIMIT_S), type=WatchedChange)
            told += [change] if change.group in ("", group) else []
        return told

    try:
        yield up_to
    finally:
        process.stop(LIMIT_S, signal.SIGINT)


def test_a_stream_that_begins_and_ends_is_told_behind_what_stood_before(mesh: Overlay) -> None:
    group = "239.41.0.9"
    receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE)
    wait_members(mesh[0], group, {"n1"})
    with watching(mesh[1]) as up_to:
        before = up_to("snapshot_end", group)
        assert [change.snapshot for change in before] == [True, True, False]
        assert [change.event for change in before] == ["host_joined", "node_joined", "snapshot_end"]
        Sender(mesh[0].machine, group, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=200).wait(LIMIT_S)
        for event in ("sender_started", "sender_stopped"):
            told = up_to(event, group)
            assert [(change.event, change.who) for change in told] == [(event, f"sender {mesh[0].ipv4}")]
            assert (told[0].wants, told[0].snapshot) == ("at n0", False)
    receiver.stop()
