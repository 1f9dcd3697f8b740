"""A node whose address changes while it is linked: the others find it where it is, and no link is lost."""

from __future__ import annotations

from collections.abc import Callable

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PORT, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import wait_members, wait_received

GROUP = "239.90.0.10"
STREAM_PORT = 5026
RATE_PPS = 500
LIMIT_S = 10.0
PROBE_S = 2.0
NAT_PORT = 40000


def another_address(node: TreecastNode) -> str:
    """The machine gets another address, as on another network."""
    machine = node.machine
    new, dev = "198.18.0.77", machine.underlay_interface
    (prefix,) = {port.ipv4.network.prefixlen for port in machine.ports}
    machine.sysctl(f"net/ipv4/conf/{dev}/promote_secondaries", 1)
    machine.run(["ip", "address", "add", f"{new}/{prefix}", "dev", dev])
    machine.run(["ip", "address", "del", f"{machine.underlay_ipv4}/{prefix}", "dev", dev])
    return f"{new}:{PORT}"


def another_port(node: TreecastNode) -> str:
    """Its port changes as behind a NAT that has rebooted: nftables rewrites it on the way out."""
    machine = node.machine
    machine.run(["nft", "add table ip raw; add chain ip raw in { type filter hook prerouting priority -300; }"])
    machine.run(["nft", f"add rule ip raw in udp dport {PORT} notrack"])
    machine.run(["nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }"])
    machine.run(["nft", f"add rule ip nat out udp sport {PORT} snat to :{NAT_PORT}"])
    return f"{machine.underlay_ipv4}:{NAT_PORT}"


def found_again(overlay: OverlayFactory, roam: Callable[[TreecastNode], str]) -> None:
    net = overlay(3, start=False)
    for node in net.nodes:  # all links are of the address that changes
        node.machine.sysctl(f"net/ipv6/conf/{node.machine.underlay_interface}/disable_ipv6", 1)
    net.start()
    root, roamer, other = net.nodes
    receivers = [Receiver(node.machine, GROUP, STREAM_PORT, interface=INTERFACE) for node in (roamer, other)]
    wait_members(root, GROUP, {roamer.name, other.name})
    stream = Sender(root.machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    for receiver in receivers:
        wait_received(receiver, RATE_PPS)
    before = roamer.endpoint
    now = roam(roamer)

    def where() -> set[str]:
        return {peer.endpoint for node in (root, other) for peer in node.peers() if peer.name == roamer.name}

    wait_until(lambda: where() == {now}, LIMIT_S, f"both find it at {now}")
    roaming = receivers[0].snapshot()
    assert roaming.lost <= 3 * RATE_PPS * PROBE_S, "found by one of its next probes"
    for receiver in receivers:
        wait_received(receiver, receiver.snapshot().received + RATE_PPS)
    at_rest = receivers[0].snapshot()
    wait_received(receivers[0], at_rest.received + RATE_PPS)
    stream.stop()
    (gone, stayed) = (receiver.stop() for receiver in receivers)
    assert (gone.lost, gone.duplicated) == (at_rest.lost, 0)
    assert (stayed.lost, stayed.duplicated) == (0, 0)
    for node in (root, other):
        log = node.log.read_text(encoding="utf-8")
        assert f'event="path moved" peer={roamer.name} before={before} now={now}' in log
        assert "link down" not in log
    assert "link down" not in roamer.log.read_text(encoding="utf-8")


def test_a_node_whose_machine_has_another_address_is_found_there(overlay: OverlayFactory) -> None:
    found_again(overlay, another_address)


def test_a_node_behind_a_nat_that_has_rebooted_is_found_at_its_new_port(overlay: OverlayFactory) -> None:
    found_again(overlay, another_port)
