"""A member with the role bridge claims a bridged machine's MACs and addresses: what is for these comes to the machine.

::

      n0: a bridged LAN       n1          eve: a speaker with the role bridge
     +------------------+  +------+      +-----------+
     | tcbr-eth1 (M)    |  |      |      | speaker   |
     +------||----------+  +--||--+      +----||-----+
     =======++================++====== underlay ======
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.lan import Lan
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.sites import LIMIT_S, verb
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import Hostility, counted
from tests.lab.overlay.machines import ping, talk
from treecast.api.client import fetch_bridge, fetch_hosts
from treecast.identity.rights import Role

BRIDGE = "tcbr-eth1"
OWN_MAC = "02:54:00:00:00:01"
ECHOES = 20


@pytest.fixture
def bridged(lab: Lab) -> Iterator[Hostility]:
    underlay = lab.switch()
    machines = [lab.machine(f"n{number}", underlay) for number in range(2)]
    eve = lab.machine("eve", underlay)
    interface = Lan(lab, 1).connect(lab, machines[0])
    net = Overlay(machines, lab.directory)
    net.start()
    verb(net[0], "add", interface)
    wait_until(lambda: fetch_bridge(net[0].directory).state == "forwarding", LIMIT_S, "n0 carries its LAN")
    yield Hostility(net, {"eve": eve}, (), lab.directory)
    for node in net.nodes:
        print(f"--- {node.name}\n{node.log_tail()}", node.machine.run(["ip", "neigh"]).stdout, sep="\n")


def mac_of(node: TreecastNode, interface: str) -> str:
    return node.machine.run(["cat", f"/sys/class/net/{interface}/address"]).stdout.strip()


def claim(speaker: Speaker, session: Session, mac: str, addresses: list[str], sequence: int) -> None:
    packed = [socket.inet_pton(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses]
    key = wire.host_key(0, bytes.fromhex(mac.replace(":", "")))
    session.flood(speaker.advertise(wire.HOST, key, wire.encode([packed, sequence, 0])))


def places(node: TreecastNode) -> dict[str, str]:
    return {host.mac: host.node for host in fetch_hosts(node.directory)}


def test_who_claims_a_bridged_machine_gets_nothing_of_what_is_for_its_addresses_of_the_overlay(
    bridged: Hostility, tmp_path: Path
) -> None:
    machine, other = bridged.net.nodes
    on_lan, addresses = mac_of(machine, BRIDGE), [machine.ipv4, machine.ipv6]
    talk(machine.machine, other.ipv4)
    eve = bridged.admit("thief", "eve", Role.BRIDGE | Role.RELAY)
    with bridged.speaker(eve) as speaker, bridged.linked(speaker, *bridged.net.nodes) as sessions:
        for session in sessions:
            claim(speaker, session, on_lan, addresses, 1)
            claim(speaker, session, OWN_MAC, addresses, 1)
            claim(speaker, session, "00:00:5e:00:53:66", addresses, 0)
        wait_until(lambda: places(other).get(on_lan) == "thief", LIMIT_S, "it has the machine's MAC of its LAN")
        wait_until(lambda: counted(other, "host_of_another_node") > 0, LIMIT_S, "but not the node's own")
        wait_until(lambda: counted(other, "address_of_a_node") > 1, LIMIT_S, "nor an address")
        assert places(other)[OWN_MAC] == machine.name
        for address in addresses:
            other.machine.run(["ip", "neigh", "flush", "dev", INTERFACE])
            ping(other.machine, address, ECHOES)
        for family, mine, address in (("ip", machine.ipv4, other.ipv4), ("ip6", machine.ipv6, other.ipv6)):
            machine.machine.run(["ip", "neigh", "flush", "dev", BRIDGE])
            echoes = f"src {mine} and {'icmp' if family == 'ip' else 'icmp6'}"
            with (
                other.machine.capture(
                    tmp_path / f"own-{family}", f"ether src {OWN_MAC} and {echoes}", interface=INTERFACE
                ) as own,
                other.machine.capture(
                    tmp_path / f"lan-{family}", f"not ether src {OWN_MAC} and {echoes}", interface=INTERFACE
                ) as wrong,
            ):
                ping(machine.machine, address, ECHOES)
            assert (own.counts.captured >= ECHOES, wrong.counts.captured) == (True, 0), "under the node's own MAC"
        assert not [frame for session in sessions for frame in session.frames if is_for(frame, addresses)]


def is_for(frame: bytes, addresses: list[str]) -> bool:
    """An IP packet to one of them, or an answer to its ARP."""
    packed = [socket.inet_pton(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses]
    return any(one in (frame[30:34], frame[38:54], frame[38:42]) for one in packed)
