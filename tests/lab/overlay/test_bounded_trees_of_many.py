"""A source that may have four children, and 33 nodes that may have as many: nobody misses any as one comes and goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.lab.overlay.asking import wait_members, wait_peers, wait_received
from tests.lab.overlay.captured import read_datagrams
from tests.lab.overlay.test_bounded_trees import sent_by
from tests.lab.overlay.test_many_nodes import LINK_LIMIT_S, READY_LIMIT_S, made

pytestmark = [pytest.mark.alone, pytest.mark.soak]

GROUP = "239.70.0.2"
PORT = 5017
MOST_CHILDREN = 4
COPIES = 4.4
WARM, COUNT = 600, 6000


@pytest.mark.timeout(400)
def test_a_source_sends_four_copies_to_33_members(lab: Lab, tmp_path: Path) -> None:
    first, *others = nodes = made(lab)
    first.machine.offload(False)
    everyone = {node.name for node in nodes}
    bound = ("--max-children", str(MOST_CHILDREN))
    first.start(options=bound)
    for node in others:
        node.start(first.endpoint, options=bound)
    for node in nodes:
        node.wait_ready(READY_LIMIT_S)
    for node in nodes:
        wait_peers(node, everyone - {node.name}, LINK_LIMIT_S)

    def receiver(number: int) -> Receiver:
        return Receiver(others[number].machine, GROUP, PORT, interface=INTERFACE)

    def sender(count: int) -> Sender:
        return Sender(first.machine, GROUP, PORT, interface=INTERFACE, rate_pps=300, count=count)

    receivers = [receiver(number) for number in range(len(others) - 1)]
    wait_members(first, GROUP, {node.name for node in others[:-1]}, LINK_LIMIT_S)
    assert sender(WARM).wait(30.0).sent == WARM
    for one in receivers:
        wait_received(one, WARM)
    with first.machine.capture(tmp_path / "first", "udp port 7700") as capture:
        stream = sender(COUNT)
        wait_received(receivers[0], WARM + COUNT // 5)
        late = receiver(len(others) - 1)
        wait_received(receivers[0], WARM + COUNT * 3 // 5)
        got_late = late.stop()
        assert stream.wait(60.0).sent == COUNT
        for one in receivers:
            wait_received(one, WARM + COUNT)
    assert capture.counts.dropped == 0
    copies = sent_by(first, read_datagrams(tmp_path / "first")) / COUNT
    print(f"{len(receivers)} members, {copies:.3f} copies")
    for got in (one.stop() for one in receivers):
        assert (got.received, got.lost, got.duplicated) == (WARM + COUNT, 0, 0)
    assert got_late.received > COUNT // 5
    assert (got_late.lost, got_late.duplicated) == (0, 0)
    assert copies <= COPIES
