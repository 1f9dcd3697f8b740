"""Two bridged LANs, and a cable between them that keeps the EtherType of beacons away: one node carries both.

h1-1, h1-2 -- lan1 -- n0 ~~~~ n1 -- lan2 -- h2-1, h2-2
                |                     |
                +------- cable -------+
"""

from __future__ import annotations

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender
from lab.sites import Sites, make_sites
from treecast.api.client import fetch_bridge

GROUP, RATE_PPS, ETH0 = "239.90.1.1", 200, "eth0"
LIMIT_S = 20.0
NO_BEACONS = (
    "add table bridge filter; add chain bridge filter forward { type filter hook forward priority 0; }; "
    "add rule bridge filter forward ether type 0x88b5 counter drop"
)


def states(sites: Sites) -> list[str]:
    return [fetch_bridge(node.directory).state for node in sites.overlay.nodes]


def cable(lab: Lab, sites: Sites) -> Machine:
    """One end of it is in."""
    machine = lab.machine("cable", *(lan.switch for lan in sites.lans))
    one, _ = (port.interface for port in machine.ports)
    machine.run(["ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0"])
    machine.run(["nft", NO_BEACONS])
    for port in machine.ports:
        machine.run(["ip", "address", "flush", "dev", port.interface])
    machine.run(["ip", "link", "set", one, "master", "br0"])
    machine.run(["ip", "link", "set", "br0", "up"])
    return machine


def test_a_cable_that_passes_all_but_beacons_makes_no_loop(lab: Lab) -> None:
    sites = make_sites(lab, 2, 2)
    sites.bridge_all()
    receiver = Receiver(sites.lans[1].hosts[0], GROUP, 5030, interface=ETH0)
    sender = Sender(sites.lans[0].hosts[0], GROUP, 5030, interface=ETH0, rate_pps=RATE_PPS)
    wait_until(lambda: receiver.snapshot().received > RATE_PPS, LIMIT_S, "the stream")
    machine = cable(lab, sites)
    other_end = machine.ports[1].interface
    machine.run(["ip", "link", "set", other_end, "master", "br0"])
    wait_until(lambda: states(sites) == ["forwarding", "capable"], LIMIT_S, "one carries both LANs")

    def is_single() -> bool:
        """Another second of the stream, each datagram once."""
        before = receiver.snapshot()
        wait_until(lambda: receiver.snapshot().received >= before.received + RATE_PPS, LIMIT_S, "the stream")
        return receiver.snapshot().duplicated == before.duplicated

    wait_until(is_single, LIMIT_S, "what the storm left is over")
    assert all(is_single() for _ in range(5))
    assert states(sites) == ["forwarding", "capable"]
    assert "packets 0 " not in machine.run(["nft", "list", "ruleset"]).stdout, "beacons were kept away"
    machine.run(["ip", "link", "set", other_end, "nomaster"])
    wait_until(lambda: states(sites) == ["forwarding", "forwarding"], LIMIT_S, "two LANs again")
    assert is_single()
    sender.stop()
    receiver.stop()
