"""Real nodes make link secrets: their sessions are hybrid within seconds, though every second message is lost."""

from __future__ import annotations

import time

from lab import Lab, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import drops, wait_members, wait_received

LIMIT_S = 30.0
GROUP, PORT, COUNT = "239.30.0.9", 5016, 2000
KEY_HALF, CIPHERTEXT_HALF = 647, 599
"""UDP lengths of the messages: header 8, session datagram 36, MessagePack 11, and half of the bytes."""
EVERY_SECOND_IS_LOST = """
table netdev kem {{
  chain ingress {{
    type filter hook ingress device "{interface}" priority 0; policy accept;
    udp length {{ {key}, {ciphertext} }} counter numgen inc mod 2 == 0 counter drop
  }}
}}
"""


def is_hybrid(node: TreecastNode) -> bool:
    return [peer.hybrid for peer in node.peers() if peer.state == "up"] == [True]


def lose_every_second(node: TreecastNode) -> None:
    rules = EVERY_SECOND_IS_LOST.format(
        interface=node.machine.underlay_interface, key=KEY_HALF, ciphertext=CIPHERTEXT_HALF
    )
    node.machine.run(["nft", "-f", "-"], stdin=rules)


def lost(node: TreecastNode) -> int:
    """How many messages were dropped before the node."""
    listed = node.machine.run(["nft", "list", "table", "netdev", "kem"]).stdout
    return int(listed.rsplit("counter packets", 1)[1].split()[0])


def test_two_nodes_have_a_hybrid_session_within_seconds_though_every_second_message_is_lost(
    lab: Lab, overlay: OverlayFactory
) -> None:
    net = overlay(2, start=False)
    for node in net.nodes:
        node.machine.offload(False)
        lose_every_second(node)
    net.start()
    linked_at = time.monotonic()
    wait_until(lambda: all(is_hybrid(node) for node in net.nodes), LIMIT_S, "both have a hybrid session")
    print(f"\nhybrid {time.monotonic() - linked_at:.1f} s after ready, {[lost(node) for node in net.nodes]} lost")
    assert all(lost(node) > 0 for node in net.nodes)
    receiver = Receiver(net[1].machine, GROUP, PORT, interface=INTERFACE)
    wait_members(net[0], GROUP, {"n1"})
    stream = Sender(net[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=COUNT)
    assert stream.wait(20.0).sent == COUNT
    wait_received(receiver, COUNT)
    assert receiver.stop().lost == 0
    for node in net.nodes:
        assert not [reason for reason in drops(node) if reason.startswith(("kem_", "session_auth"))]
