"""An underlay that loses packets costs a stream what it loses, and nothing else."""

from __future__ import annotations

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import peers_up, wait_members, wait_received

GROUP = "239.60.0.1"
PORT = 5014
LOSS_PERCENT = 3.0
COUNT = 6000


def test_a_node_behind_a_lossy_underlay_links_joins_and_loses_what_is_lost(lab: Lab, overlay: OverlayFactory) -> None:
    net = overlay(3, start=False)
    for node in net.nodes:
        node.machine.offload(False)  # a lost packet is one datagram
    lossy = net[2]
    lab.loss(lossy.machine, LOSS_PERCENT)
    net.start()
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in net.nodes[1:]]
    wait_members(net[0], GROUP, {"n1", "n2"})
    stream = Sender(net[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=COUNT)
    assert stream.wait(20.0).sent == COUNT
    wait_received(receivers[0], COUNT)
    whole, part = (receiver.stop() for receiver in receivers)
    assert (whole.received, whole.duplicated) == (COUNT, 0)
    percent = 100 * (COUNT - part.received) / COUNT
    print(f"\nunderlay loses {LOSS_PERCENT:g} %: the stream {percent:.1f} %")
    assert 1.0 <= percent <= 8.0
    assert part.duplicated == 0
    assert peers_up(lossy) == {"n0", "n1"}
