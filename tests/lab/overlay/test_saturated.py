"""More than the machine can carry, while a node comes and goes: nothing locks up, grows or changes order.

A multicast stream as fast as its program can send, two TCP flows across it, and a third subscriber whose node is killed
and restarted all the while, so that sessions and sender keys are replaced. At the end each frame is accounted for.
``make soak`` runs two minutes of it.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from lab.process import Process
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import wait_members, wait_peers, wait_received
from tests.lab.overlay.machines import ping
from treecast.api.records import Status

pytestmark = pytest.mark.alone

GROUP, PORT = "239.81.0.1", 5019
LIMIT_S = 30.0
GROWTH_LIMIT = 1.08
READ = (
    "frame_",
    "mac_",
    "multicast_",
    "group_",
    "no_subscriber",
    "no_broadcast_tree",
    "own_",
    "unknown_unicast",
    "port_",
    "storm_",
    "too_",
    "vnet_",
    "gso_",
)
"""Drop reasons of frames that were read from the TAP."""
CONTROL_PER_S = 200
"""Datagrams that are no frames, at most: probes, control messages, handshakes, keys."""


def tcp(client: TreecastNode, server: TreecastNode, seconds: int) -> tuple[Process, Process]:
    listening = server.machine.spawn(
        ["iperf3", "--server", "--one-off", "--forceflush", "--bind", server.ipv4], stdout=subprocess.PIPE
    )
    while "listening" not in listening.read_line(LIMIT_S):
        pass
    words = ["iperf3", "--client", server.ipv4, "--time", str(seconds)]
    return listening, client.machine.spawn(words, stdout=subprocess.DEVNULL)


def run(overlay: OverlayFactory, seconds: int) -> None:
    net = overlay(4)
    source, stays, also, comes = net.nodes
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in net.nodes[1:]]
    wait_members(source, GROUP, {node.name for node in net.nodes[1:]})
    began, before = time.monotonic(), [node.status() for node in (source, stays, also)]
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, duration_s=seconds)
    flows = [*tcp(stays, also, seconds), *tcp(also, source, seconds)]
    wait_received(receivers[0], 10_000)
    settled, rounds = [node.resident_bytes for node in (source, stays, also)], 0
    while time.monotonic() < began + seconds * 0.8:
        comes.kill()
        comes.start(source.endpoint)
        comes.wait_ready(LIMIT_S)
        wait_peers(comes, {source.name, stays.name, also.name}, LIMIT_S)
        rounds += 1
    sent = stream.wait(seconds + LIMIT_S)
    for flow in flows:
        flow.wait(LIMIT_S + seconds)
    grown = [node.resident_bytes / size for node, size in zip((source, stays, also), settled, strict=True)]
    for other in (stays, also, comes):
        ping(source.machine, other.ipv4, 3)
    accounts = [receiver.stop() for receiver in receivers[:2]]
    after = [node.status() for node in (source, stays, also)]
    came = [own.received for own in accounts]
    print(f"\n{seconds} s, {sent.sent} sent, {came} came, memory x{max(grown):.3f}, {rounds} restarts")
    assert rounds >= 2
    assert [(own.duplicated, own.reordered) for own in accounts] == [(0, 0)] * 2
    assert min(own.received for own in accounts) > 10_000
    assert max(grown) <= GROWTH_LIMIT
    passed = time.monotonic() - began
    for earlier, later in zip(before, after, strict=True):
        check_books(earlier, later, passed)


def check_books(before: Status, after: Status, seconds: float) -> None:
    """Each frame read was sent on or dropped for a reason; each datagram that came was delivered or is no frame."""
    grown = {name: count - before.counters[name] for name, count in after.counters.items()}
    drops = {reason: count - before.drops.get(reason, 0) for reason, count in after.drops.items()}
    sent = grown["frames_unicast"] + grown["frames_multicast"] + grown["frames_broadcast"]
    sent += sum(count for reason, count in drops.items() if reason.startswith(READ))
    sessionless = drops.get("no_session", 0)  # of a frame read, or of one next hop of a frame that others got
    print(f"{sent} sent or dropped of {grown['tap_rx_frames']} read, {sessionless} without a session")
    assert sent <= grown["tap_rx_frames"] <= sent + sessionless + grown["frames_punted"]
    arrived = grown["tap_tx_frames"] + sum(count for reason, count in drops.items() if not reason.startswith(READ))
    assert grown["tap_tx_frames"] - CONTROL_PER_S * seconds <= grown["udp_rx_datagrams"]
    assert grown["udp_rx_datagrams"] <= arrived + CONTROL_PER_S * seconds


def test_15_seconds_of_too_much_with_a_node_that_comes_and_goes(overlay: OverlayFactory) -> None:
    run(overlay, 15)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_2_minutes_of_too_much_with_a_node_that_comes_and_goes(overlay: OverlayFactory) -> None:
    run(overlay, 120)
