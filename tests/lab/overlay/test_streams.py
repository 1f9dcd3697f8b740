"""Multicast streams between four nodes: who gets what, and that nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from tests.lab.overlay.asking import drops, grown, wait_members, wait_received
from tests.lab.overlay.captured import SESSION, read_datagrams, stream_sizes, stream_trees

PORT = 5004
RATE_PPS = 1000
LIMIT_S = 20.0


def sender(mesh: Overlay, node: int, group: str, *, count: int, stream: int = 0) -> Sender:
    machine = mesh[node].machine
    return Sender(machine, group, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=count, stream=stream)


def receiver(mesh: Overlay, node: int, group: str, *sources: str) -> Receiver:
    return Receiver(mesh[node].machine, group, PORT, interface=INTERFACE, sources=sources)


@pytest.mark.parametrize("group", ["239.10.0.1", "ff15::10:1"])
def test_a_stream_reaches_all_its_subscribers_complete(mesh: Overlay, group: str) -> None:
    receivers = [receiver(mesh, node, group) for node in (1, 2, 3)]
    wait_members(mesh[0], group, {"n1", "n2", "n3"})
    assert sender(mesh, 0, group, count=2000).wait(LIMIT_S).sent == 2000
    for own in receivers:
        wait_received(own, 2000)
    for got in (own.stop() for own in receivers):
        assert (got.received, got.lost, got.duplicated, got.reordered) == (2000, 0, 0, 0)


@pytest.mark.parametrize("group", ["239.10.0.2", "ff15::10:2"])
def test_two_senders_into_one_group_are_both_heard_complete(mesh: Overlay, group: str) -> None:
    receivers = [receiver(mesh, node, group) for node in (1, 2)]
    for root in (0, 3):
        wait_members(mesh[root], group, {"n1", "n2"})
    senders = [sender(mesh, 0, group, count=2000, stream=1), sender(mesh, 3, group, count=2000, stream=2)]
    assert [own.wait(LIMIT_S).sent for own in senders] == [2000, 2000]
    for own in receivers:
        wait_received(own, 4000)
    for got in (own.stop() for own in receivers):
        assert {stream.stream: stream.received for stream in got.streams} == {1: 2000, 2: 2000}
        assert got.duplicated == 0


@pytest.mark.parametrize(("version", "group"), [(4, "232.10.0.1"), (6, "ff3e::10:1")])
def test_a_source_specific_receiver_gets_that_source_and_others_are_dropped_at_their_root(
    mesh: Overlay, version: int, group: str
) -> None:
    wanted, other = (mesh[node].ipv4 if version == 4 else mesh[node].ipv6 for node in (0, 2))
    specific = receiver(mesh, 1, group, wanted)
    for root in (0, 2):
        wait_members(mesh[root], group, {"n1"})
    before, carried_before = drops(mesh[2]), mesh[2].machine.counters()
    senders = [sender(mesh, 0, group, count=1000, stream=1), sender(mesh, 2, group, count=1000, stream=2)]
    assert [own.wait(LIMIT_S).sent for own in senders] == [1000, 1000]
    wait_received(specific, 1000)
    got = specific.stop()
    assert [(stream.source, stream.stream, stream.received) for stream in got.streams] == [(wanted, 1, 1000)]
    assert grown(before, drops(mesh[2]))["no_subscriber"] == 1000, f"{other} was to be dropped at its root"
    carried = mesh[2].machine.counters() - carried_before
    assert carried.tx_packets < 200, "a source that nobody wants has left its root"


def test_subscribers_that_come_late_and_leave_early_cost_the_others_nothing(mesh: Overlay, tmp_path: Path) -> None:
    """The stream begins as session-sealed copies, moves to the tree, and changes its key when one leaves."""
    group = "239.10.0.3"
    steady = receiver(mesh, 1, group)
    leaver = receiver(mesh, 3, group)
    wait_members(mesh[0], group, {"n1", "n3"})
    with mesh[1].machine.capture(tmp_path / "n1.pcap", "udp port 7700") as capture:
        stream = sender(mesh, 0, group, count=5000)
        late = receiver(mesh, 2, group)
        wait_members(mesh[0], group, {"n1", "n2", "n3"})
        left = leaver.stop()
        wait_members(mesh[0], group, {"n1", "n2"})
        back = receiver(mesh, 3, group)
        wait_members(mesh[0], group, {"n1", "n2", "n3"})
        assert stream.wait(LIMIT_S).sent == 5000
        wait_received(steady, 5000)
        wait_until(lambda: {one.snapshot().streams[0].highest for one in (late, back)} == {4999}, LIMIT_S, "the last")
    assert capture.counts.dropped == 0
    got, got_late, got_back = steady.stop(), late.stop(), back.stop()
    assert (got.received, got.lost, got.duplicated) == (5000, 0, 0)
    assert left.received > 0
    for part in (left, got_late, got_back):
        assert (part.lost, part.duplicated, part.reordered) == (0, 0, 0)
    assert all(part.of(0) is not None and part.streams[0].highest == 4999 for part in (got, got_late, got_back))
    seen = read_datagrams(tmp_path / "n1.pcap")
    copies = [d for d in seen if d.kind == SESSION and len(d.payload) in stream_sizes(1200)]
    on_tree = stream_trees(seen)
    assert copies, "the stream did not begin before the tree had its key"
    assert len(on_tree) + len(copies) == 5000, "a datagram came both ways or neither"
    assert len({d.key_id for d in on_tree}) >= 2, "the key did not change when a subscriber left"
