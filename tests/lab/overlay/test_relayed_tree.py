"""A tree of two levels that is planned by hand: the node in the middle sends on what it cannot read.

::

      n0, the root -----> n1, the relay -----> n2, n3, which subscribe

``secrets_in_memory`` has the root write down what it draws from the system, so the test knows its sender keys.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from lab.sites import show_logs
from lab.waiting import wait_until
from tests.lab.overlay import planned_up
from tests.lab.overlay.asking import LIMIT_S, drops, grown, wait_members, wait_received
from tests.lab.overlay.captured import Datagram, read_datagrams, stream_trees
from tests.lab.overlay.secrets_in_memory import drawn, held, tracing

GROUP = "239.60.0.1"
PORT = 5060
RATE_PPS = 500
COUNT = 2000
WARM = 200
"""Datagrams before the tree is in use: the first ones are copies."""
RELAY_INDEX = 2
KEY_LIMIT_S = 60.0


@pytest.fixture(scope="module")
def overlay() -> Iterator[Overlay]:
    """Offload is off on the underlay: a captured packet is a datagram."""
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(4)]
        for machine in machines:
            machine.offload(False)
        made = Overlay(machines, lab.directory)
        program = Path(planned_up.__file__)
        made[0].program = (*tracing(lab.directory / "drawn"), sys.executable, program, str(RELAY_INDEX))
        made[0].environment = {"PYTHONPATH": str(program.parents[3])}
        made.start()
        yield made
        show_logs(made.nodes)
        made.stop()


def send(overlay: Overlay, count: int) -> None:
    stream = Sender(overlay[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=count)
    assert stream.wait(20.0).sent == count


def hops(overlay: Overlay, datagrams: list[Datagram]) -> Counter[tuple[str, str]]:
    """How many datagrams went from which node to which, by either family."""
    machines = ((node.name, node.machine) for node in overlay.nodes)
    names = {address: name for name, own in machines for address in (own.underlay_ipv4, own.underlay_ipv6)}
    return Counter((names[one.source], names[one.destination]) for one in datagrams)


@pytest.mark.timeout(300)
def test_frames_go_once_by_each_link_of_the_tree_and_the_relay_has_no_byte_of_its_sender_key(
    overlay: Overlay, tmp_path: Path
) -> None:
    relay, log = overlay[1].process.pid, overlay.directory / "drawn"
    overlay[0].machine.run(["ping", "-c3", "-i0.2", "-b", "10.77.255.255"], check=False)
    wait_until(lambda: held(relay, drawn(log)), KEY_LIMIT_S, "the search finds broadcast's sender key in the relay")
    before, known = [drops(node) for node in overlay.nodes], len(drawn(log))
    receivers = [Receiver(overlay[node].machine, GROUP, PORT, interface=INTERFACE) for node in (2, 3)]
    wait_members(overlay[0], GROUP, {"n2", "n3"})
    relayed = overlay[1].status().counters["frames_relayed"]
    send(overlay, WARM)
    wait_until(lambda: overlay[1].status().counters["frames_relayed"] > relayed, LIMIT_S, "the relay has its place")
    for receiver in receivers:
        wait_received(receiver, WARM)
    with ExitStack() as captures:
        made = [captures.enter_context(n.machine.capture(tmp_path / n.name, "udp port 7700")) for n in overlay.nodes]
        send(overlay, COUNT)
        for receiver in receivers:
            wait_received(receiver, WARM + COUNT)
    assert [capture.counts.dropped for capture in made] == [0] * 4

    later = drawn(log)[known:]
    at_one, at_two = (held(overlay[node].process.pid, later) for node in (2, 3))
    assert len(at_one & at_two) == 1, "the search finds the stream's sender key in who subscribes"
    assert held(relay, later) == set()

    for got in (receiver.stop() for receiver in receivers):
        assert (got.received, got.lost, got.duplicated) == (WARM + COUNT, 0, 0)
    at_root, at_middle, *leaves = (stream_trees(read_datagrams(tmp_path / node.name)) for node in overlay.nodes)
    assert hops(overlay, at_root) == {("n0", "n1"): COUNT}
    assert hops(overlay, at_middle) == {("n0", "n1"): COUNT, ("n1", "n2"): COUNT, ("n1", "n3"): COUNT}
    for name, leaf in zip(("n2", "n3"), leaves, strict=True):
        assert hops(overlay, leaf) == {("n1", name): COUNT}
        assert Counter(one.payload for one in leaf) == Counter(one.payload for one in at_root), "byte for byte"
    for node, earlier in zip(overlay.nodes, before, strict=True):
        lost = grown(earlier, drops(node))
        assert not {"tree_rpf", "tree_replay", "tree_tag", "tree_auth"} & lost.keys(), (node.name, lost)
