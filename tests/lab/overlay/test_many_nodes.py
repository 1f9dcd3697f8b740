"""A source and 33 subscribers in namespaces of their own: a full mesh from one known address, one stream to all."""

from __future__ import annotations

import time

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode, create_network
from tests.lab.overlay.asking import wait_members, wait_peers, wait_received
from tests.lab.overlay.machines import introduce
from treecast.adapters.storage import add_node
from treecast.identity.node import NodeRequest

pytestmark = pytest.mark.alone

SUBSCRIBERS = 33
GROUP = "239.70.0.1"
PORT = 5016
COUNT = 600
READY_LIMIT_S = 90.0
"""34 interpreters start at once on two cores."""
LINK_LIMIT_S = 30.0


@pytest.mark.timeout(240)
def test_33_subscribers_link_from_one_known_address_and_receive_one_stream_complete(lab: Lab) -> None:
    first, *others = nodes = made(lab)
    everyone = {node.name for node in nodes}
    started_at = time.monotonic()
    first.start()
    for node in others:
        node.start(first.endpoint)
    for node in nodes:
        node.wait_ready(READY_LIMIT_S)
    ready_at = time.monotonic()
    for node in nodes:
        wait_peers(node, everyone - {node.name}, LINK_LIMIT_S)
    linked_at = time.monotonic()
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in others]
    wait_members(first, GROUP, everyone - {first.name}, LINK_LIMIT_S)
    stream = Sender(first.machine, GROUP, PORT, interface=INTERFACE, rate_pps=300, count=COUNT)
    assert stream.wait(30.0).sent == COUNT
    for receiver in receivers:
        wait_received(receiver, COUNT)
    accounts = [receiver.stop() for receiver in receivers]
    assert [(own.received, own.lost, own.duplicated) for own in accounts] == [(COUNT, 0, 0)] * SUBSCRIBERS
    print(f"\n{len(nodes)} nodes: ready after {ready_at - started_at:.1f} s, linked {linked_at - ready_at:.1f} s later")


def made(lab: Lab, count: int = 1 + SUBSCRIBERS) -> list[TreecastNode]:
    """A network and its nodes, each on a machine of one switch, as ``node add`` makes them."""
    lan = lab.switch()
    network = create_network(lab.directory / "network")
    nodes: list[TreecastNode] = []
    for number in range(count):
        machine = lab.machine(f"n{number}", lan)
        directory = lab.directory / machine.name
        add_node(network, directory, NodeRequest(machine.name, None, None, 1), time.time())
        nodes.append(TreecastNode(machine, directory))
    introduce(lab.machines)
    return nodes
