"""A DHCP server (dnsmasq) on one LAN gives an address to a client (udhcpc) on another, where both carry DHCP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from lab import Machine, wait_until
from lab.dhcp import serving_dhcp
from lab.sites import LIMIT_S, Sites, verb
from tests.lab.overlay.machines import talk
from treecast.api.client import fetch_bridge, fetch_hosts

FIRST, LAST = "10.99.50.10", "10.99.50.20"
CONFIGURE = """#!/bin/sh
[ "$1" = bound ] && ip addr add $ip/$mask dev $interface && echo "$ip $serverid"
exit 0
"""


def holders(sites: Sites, address: str) -> set[tuple[str, str]]:
    """The holders of this address and their nodes, as all nodes know them."""
    views = [
        frozenset((host.mac, host.node) for host in fetch_hosts(node.directory) if address in host.ip)
        for node in sites.overlay.nodes
    ]
    return set(views[0]) if len(set(views)) == 1 else set()


def mac_of(machine: Machine) -> str:
    return machine.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip()


def bridge_again(sites: Sites, numbers: tuple[int, ...], *words: str) -> None:
    """Bridge some sites again, with other settings."""
    nodes = [sites.overlay[number] for number in numbers]
    for node, number in zip(nodes, numbers, strict=True):
        verb(node, "remove", sites.interfaces[number])
        verb(node, "add", sites.interfaces[number], *words)
    wait_until(lambda: {fetch_bridge(node.directory).state for node in nodes} == {"forwarding"}, LIMIT_S, "elections")


@contextmanager
def carrying(sites: Sites, *numbers: int) -> Iterator[None]:
    """These sites keep nothing local meanwhile."""
    bridge_again(sites, numbers, "--keep-local", "none")
    try:
        assert [fetch_bridge(sites.overlay[number].directory).keep_local for number in numbers] == [[]] * len(numbers)
        yield
    finally:
        bridge_again(sites, numbers)


def test_a_client_gets_its_address_from_a_server_of_another_lan(sites: Sites, tmp_path: Path) -> None:
    here, there = sites.lans[0], sites.lans[2]
    server, client = here.hosts[2], sites.lab.machine("visitor", there.switch)
    client.run(["ip", "-4", "addr", "flush", "dev", "eth0"])
    script = tmp_path / "bound"
    script.write_text(CONFIGURE, encoding="ascii")
    script.chmod(0o755)
    with carrying(sites, 0, 2), serving_dhcp(server, tmp_path, FIRST, LAST):
        asking = [
            "udhcpc",
            "-x",
            "hostname:guest-7",
            "-i",
            "eth0",
            "-f",
            "-n",
            "-q",
            "-t",
            "5",
            "-T",
            "2",
            "-s",
            str(script),
        ]
        address, giver = client.run(asking).stdout.split()
        assert IPv4Address(FIRST) <= IPv4Address(address) <= IPv4Address(LAST)
        assert giver == here.host_ipv4(3)
        talk(client, here.host_ipv4(3))
        wait_until(lambda: holders(sites, address) == {(mac_of(client), "n2")}, LIMIT_S, "all nodes know the client")
        talk(here.hosts[0], address)
        names = {host.mac: host.name for host in fetch_hosts(sites.overlay[2].directory)}
        assert names[mac_of(client)] == "guest-7"
