"""33 nodes in 33 namespaces: a full mesh from one known address, and one stream to all of them."""

from __future__ import annotations

import time

import pytest

from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import wait_members, wait_peers, wait_received

NODES = 33
GROUP = "239.70.0.1"
PORT = 5016
COUNT = 1500
LINK_LIMIT_S = 60.0


@pytest.mark.timeout(180)
def test_33_nodes_link_from_one_known_address_and_all_receive_one_stream(overlay: OverlayFactory) -> None:
    net = overlay(NODES, start=False)
    first, *others = net.nodes
    started_at = time.monotonic()
    first.start()
    for node in others:
        node.start(first.endpoint)
    for node in net.nodes:
        node.wait_ready(LINK_LIMIT_S)
    everyone = {node.name for node in net.nodes}
    for node in net.nodes:
        wait_peers(node, everyone - {node.name}, LINK_LIMIT_S)
    linked_s = time.monotonic() - started_at
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in net.nodes]
    wait_members(first, GROUP, everyone)
    stream = Sender(first.machine, GROUP, PORT, interface=INTERFACE, rate_pps=300, count=COUNT)
    assert stream.wait(30.0).sent == COUNT
    for receiver in receivers:
        wait_received(receiver, COUNT)
    accounts = [receiver.stop() for receiver in receivers]
    assert [(own.received, own.lost, own.duplicated) for own in accounts] == [(COUNT, 0, 0)] * NODES
    print(f"\n{NODES} nodes linked in {linked_s:.1f} s; {COUNT} datagrams to each, none lost")
