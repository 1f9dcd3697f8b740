"""Groups whose frames are sealed for each receiver alone (``up --authenticated``): nobody gets a key of them."""

from __future__ import annotations

import json
from pathlib import Path

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, run_treecast
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import LIMIT_S, drops, wait_members, wait_received
from tests.lab.overlay.captured import SESSION, read_datagrams, stream_sizes, stream_trees

GROUP, OTHER, PORT, COUNT, SIZE = "239.31.0.1", "239.32.0.1", 5018, 1500, 1200
OPTIONS = ("--authenticated", "239.31.0.0/16")


def test_each_receiver_gets_copies_of_its_own_for_good_and_refuses_a_root_that_offers_a_key(
    overlay: OverlayFactory, tmp_path: Path
) -> None:
    net = overlay(3, start=False)
    first, second, plain = net.nodes
    for node in net.nodes:
        node.machine.offload(False)
    first.start(options=OPTIONS)
    second.start(first.endpoint, options=OPTIONS)
    plain.start(first.endpoint)
    for node in net.nodes:
        node.wait_ready()
    net.wait_linked()

    def stream(group: str, sender: int = 0) -> Sender:
        machine = net[sender].machine
        return Sender(machine, group, PORT, interface=INTERFACE, rate_pps=500, size_bytes=SIZE, count=COUNT)

    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in (second, plain)]
    wait_members(first, GROUP, {"n1", "n2"})
    with second.machine.capture(tmp_path / "n1.pcap", "udp port 7700") as capture:
        assert stream(GROUP).wait(LIMIT_S).sent == COUNT
        for own in receivers:
            wait_received(own, COUNT)
        for own in receivers:
            got = own.stop()
            assert (got.received, got.lost, got.duplicated, got.reordered) == (COUNT, 0, 0, 0)
    assert capture.counts.dropped == 0
    seen = read_datagrams(tmp_path / "n1.pcap")
    assert stream_trees(seen) == []
    assert len([one for one in seen if one.kind == SESSION and len(one.payload) in stream_sizes(SIZE)]) == COUNT

    Receiver(second.machine, GROUP, PORT, interface=INTERFACE)
    wait_members(plain, GROUP, {"n1"})
    assert stream(GROUP, sender=2).wait(LIMIT_S).sent == COUNT
    wait_until(lambda: drops(second)["key_of_authenticated_group"], LIMIT_S, "its root offers a key")
    Receiver(second.machine, OTHER, PORT, interface=INTERFACE)
    wait_members(first, OTHER, {"n1"})
    shown = {
        row["group"]: row["authenticated"] for row in json.loads(run_treecast("groups", first.directory, "--json"))
    }
    assert (shown[GROUP], shown[OTHER]) == (True, False)
    assert f"{GROUP} (authenticated)" in run_treecast("groups", first.directory)
    net.stop()
