"""A bridged machine is known under its node's own MAC by its addresses of the overlay, and on its LAN by its MAC there.

The LANs' hosts get addresses of the overlay here, so that they are neighbours of the nodes' machines.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab import wait_until
from lab.lan import Lan
from lab.load import Receiver
from lab.machine import Machine
from lab.node import TreecastNode
from lab.sites import LIMIT_S, Sites
from tests.lab.overlay.asking import wait_members
from tests.lab.overlay.machines import talk, transfer
from treecast.api.client import fetch_hosts

GROUP, PORT = "239.7.7.44", 5044
BRIDGE = "tcbr-eth1"
DATA = random.Random(2).randbytes(8_000_000)
OWN = "02:54:00:00:00:0{}".format
LENGTH = {4: 16, 6: 64}
ANOTHER = "02:00:5e:10:00:77"


def address_of(node: TreecastNode, version: int) -> str:
    return node.ipv4 if version == 4 else node.ipv6


def guest(node: TreecastNode, lan: Lan, version: int) -> str:
    """An address of the overlay for the first host of a LAN."""
    return str(ip_address(address_of(node, version)) + (lan.number << 8))


def mac_of(machine: Machine, interface: str) -> str:
    return machine.run(["cat", f"/sys/class/net/{interface}/address"]).stdout.strip()


def known_at(machine: Machine, interface: str, address: str) -> str:
    """The MAC that a machine's kernel has for this address."""
    shown = json.loads(machine.run(["ip", "-json", "neigh", "show", "dev", interface, "to", address]).stdout)
    return "".join(entry.get("lladdr", "") for entry in shown)


def forget(machine: Machine, interface: str) -> None:
    for family in ("-4", "-6"):
        machine.run(["ip", family, "neigh", "flush", "dev", interface])


@pytest.fixture(params=[4, 6])
def version(request: pytest.FixtureRequest, sites: Sites) -> Iterator[int]:
    """The IP version of which the first hosts of the first two LANs have addresses of the overlay."""
    version: int = request.param
    changed = [(lan.hosts[0], f"{guest(sites.overlay[0], lan, version)}/{LENGTH[version]}") for lan in sites.lans[:2]]
    for machine, address in changed:
        machine.run(["ip", "addr", "add", address, "dev", "eth0", *(["nodad"] * (version == 6))])
    yield version
    for machine, address in changed:
        machine.run(["ip", "addr", "del", address, "dev", "eth0"])


def test_the_others_know_the_machine_under_the_nodes_mac(sites: Sites, version: int) -> None:
    here, there = sites.overlay.nodes[:2]
    mine, its = address_of(here, version), address_of(there, version)
    host, far = there.machine, sites.lans[1].hosts[0]
    for machine, interface in ((here.machine, BRIDGE), (host, BRIDGE), (far, "eth0")):
        forget(machine, interface)
    talk(here.machine, its)
    talk(host, mine)
    talk(far, mine)
    talk(here.machine, guest(here, sites.lans[1], version))
    assert known_at(host, BRIDGE, mine) == OWN(1)
    assert known_at(far, "eth0", mine) == OWN(1)
    assert known_at(here.machine, BRIDGE, its) == OWN(2)


def test_its_own_lan_knows_it_under_its_mac_there(sites: Sites, version: int) -> None:
    node, neighbour = sites.overlay[0], sites.lans[0].hosts[0]
    mine = address_of(node, version)
    forget(neighbour, "eth0")
    talk(neighbour, mine)
    talk(node.machine, guest(node, sites.lans[0], version))
    assert known_at(neighbour, "eth0", mine) == mac_of(node.machine, BRIDGE)


def test_the_nodes_have_it_as_two_hosts(sites: Sites) -> None:
    here, there = sites.overlay.nodes[:2]
    talk(here.machine, sites.lans[1].host_ipv4(254))
    hosts = {host.mac: set(host.ip) for host in fetch_hosts(there.directory) if host.node == here.name}
    assert {here.ipv4, here.ipv6} <= hosts[OWN(1)]
    assert hosts[mac_of(here.machine, BRIDGE)].isdisjoint({here.ipv4, here.ipv6})


def test_its_multicast_comes_from_the_nodes_mac(sites: Sites, tmp_path: Path) -> None:
    node, far = sites.overlay[0], sites.lans[1].hosts[0]
    receiver = Receiver(far, GROUP, PORT, interface="eth0")
    wait_members(node, GROUP, {"n1"}, LIMIT_S)
    with far.capture(
        tmp_path / "far.pcap", f"ether src {OWN(1)} and src {node.ipv4} and dst {GROUP}", interface="eth0"
    ) as ear:
        node.machine.run(["ping", "-c", "5", "-i", "0.2", "-W", "1", "-t", "5", "-I", node.ipv4, GROUP], check=False)
    receiver.stop()
    assert ear.counts.captured == 5


def test_tcp_in_super_frames_carries_the_same_bytes(sites: Sites) -> None:
    here, there = sites.overlay.nodes[:2]
    digest = hashlib.sha256(DATA).hexdigest()
    for version in LENGTH:
        talk(here.machine, address_of(there, version))
        assert transfer(here.machine, there.machine, address_of(there, version), DATA) == digest
        assert transfer(there.machine, here.machine, address_of(here, version), DATA) == digest


def test_a_bridge_that_gets_another_mac_while_its_node_runs_changes_nothing_for_the_others(
    sites: Sites, tmp_path: Path
) -> None:
    here, there = sites.overlay.nodes[:2]
    neighbour, before = sites.lans[0].hosts[0], mac_of(here.machine, BRIDGE)
    mine, its = here.ipv4, there.ipv4
    talk(here.machine, its)

    def goes_on() -> bool:
        echoes = f"icmp and src {mine}"
        with (
            there.machine.capture(tmp_path / "own", f"ether src {OWN(1)} and {echoes}", interface=BRIDGE) as own,
            there.machine.capture(tmp_path / "lan", f"not ether src {OWN(1)} and {echoes}", interface=BRIDGE) as wrong,
        ):
            here.machine.run(["ping", "-c", "3", "-i", "0.1", "-W", "1", its], check=False)
        return (own.counts.captured, wrong.counts.captured) == (3, 0)

    for mac in (ANOTHER, before):
        here.machine.run(["ip", "link", "set", BRIDGE, "address", mac])
        wait_until(goes_on, LIMIT_S, "its frames arrive, under the node's own MAC")
        forget(there.machine, BRIDGE)
        talk(there.machine, mine)
        assert known_at(there.machine, BRIDGE, mine) == OWN(1)
        forget(neighbour, "eth0")
        talk(here.machine, sites.lans[0].host_ipv4(1))
        assert mac_of(here.machine, BRIDGE) == mac
