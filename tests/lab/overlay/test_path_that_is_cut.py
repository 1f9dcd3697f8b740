"""The direct path of two linked nodes is cut, and both still reach a third one; then it heals::

 n0: a stream        n1: receives      n2: receives, answers
+-----------+       +-----------+     +-----------+
| treecast0 |       | treecast0 |     | treecast0 |
+----||-----+       +----||-----+     +----||-----+
=====++==================++====== switch0 ==++=====
     x-------- nothing goes this way -------x
"""

from __future__ import annotations

from collections.abc import Iterable

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import wait_members, wait_received
from tests.lab.overlay.captured import FINAL, INIT, RESPONSE, read_datagrams
from treecast.api.client import fetch_peers

GROUP = "239.90.0.12"
STREAM_PORT = 5031
RATE_PPS, SIZE_BYTES = 50, 200
"""A stream within what a route carries."""
DETECTED_S = 12.0
"""The limit is twice 4 s of silence, found by a review each second, and a round trip."""
LIMIT_S = 15.0
STEADY = 5 * RATE_PPS


def cut(one: TreecastNode, other: TreecastNode) -> None:
    """Nothing comes from one to the other, nor back."""
    for node, far in ((one, other), (other, one)):
        node.machine.run(["nft", "add table ip cut; add chain ip cut in { type filter hook input priority 0; }"])
        node.machine.run(["nft", f"add rule ip cut in ip saddr {far.machine.underlay_ipv4} drop"])


def heal(nodes: Iterable[TreecastNode]) -> None:
    for node in nodes:
        node.machine.run(["nft", "delete table ip cut"])


def via(node: TreecastNode, other: TreecastNode) -> str | None:
    """The neighbour by which a node reaches another; empty: its path; None: it does not."""
    up = [peer for peer in fetch_peers(node.directory) if (peer.name, peer.state) == (other.name, "up")]
    return up[0].endpoint.partition("via ")[2] if up else None


def test_a_path_that_is_cut_costs_the_time_until_that_is_found_and_nothing_else(overlay: OverlayFactory) -> None:
    net = overlay(3, start=False)
    for node in net.nodes:  # all paths are of the addresses that are cut
        node.machine.sysctl(f"net/ipv6/conf/{node.machine.underlay_interface}/disable_ipv6", 1)
        node.machine.offload(False)  # a captured packet is a datagram
    net.start()
    root, between, far = net.nodes
    receivers = [Receiver(node.machine, GROUP, STREAM_PORT, interface=INTERFACE) for node in (between, far)]
    wait_members(root, GROUP, {between.name, far.name})
    stream = Sender(root.machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, size_bytes=SIZE_BYTES)
    for receiver in receivers:
        wait_received(receiver, STEADY)
    cut(root, far)
    wait_until(lambda: via(root, far) == via(far, root) == between.name, LIMIT_S, "both go by the one between")
    wait_received(receivers[1], receivers[1].snapshot().received + STEADY)
    lost = receivers[1].snapshot().lost
    assert 0 < lost <= DETECTED_S * RATE_PPS
    assert root.machine.run(["ping", "-c3", "-i0.1", "-W2", far.ipv4], check=False).returncode == 0
    capture = root.directory.with_name("healed.pcap")
    with root.machine.capture(capture, "udp port 7700"):
        heal((root, far))
        wait_until(lambda: via(root, far) == via(far, root) == "", LIMIT_S, "their path is back")
        wait_received(receivers[1], receivers[1].snapshot().received + STEADY)
    kinds = {datagram.kind for datagram in read_datagrams(capture)}
    assert kinds and kinds.isdisjoint({INIT, RESPONSE, FINAL}), "no handshake outside"
    stream.stop()
    stayed, cut_off = (receiver.stop() for receiver in receivers)
    assert (stayed.lost, stayed.duplicated) == (0, 0)
    assert (cut_off.lost, cut_off.duplicated) == (lost, 0)
    for node in net.nodes:
        assert "link down" not in node.log.read_text(encoding="utf-8")
