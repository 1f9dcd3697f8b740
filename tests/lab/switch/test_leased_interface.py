"""An interface that a program configures: bridged only when that program was seen to. Router advertisements go on."""

from __future__ import annotations

import re
import signal
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lab import Lab, Machine, wait_until
from lab.dhcp import SHORTEST_LEASE_S, dhcp_client, serving_dhcp
from lab.node import PROGRAM, TreecastNode
from lab.process import Process
from lab.sites import Sites, make_sites, show_logs, verb
from tests.lab.overlay.machines import ping, talk
from treecast.api.client import fetch_status

FIRST, LAST = "10.99.60.10", "10.99.60.20"
LIMIT_S = 15.0
PREFIX = IPv6Address("2001:db8:60::")
REFUSAL = (
    r"treecast: udhcpc \(pid {pid}\) configures eth1 and would go on with that while the addresses are on tcbr-eth1, "
    r"until they are lost: stop it, add eth1, and run it on tcbr-eth1 then \(or give --force\)\n"
)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[Sites]:
    """The node's interface on the first LAN has no address of its own: a server there gives leases of two minutes."""
    with Lab() as lab:
        sites = make_sites(lab)
        sites.overlay[0].machine.run(["ip", "-4", "addr", "flush", "dev", "eth1"])
        with serving_dhcp(sites.lans[0].hosts[1], tmp_path, FIRST, LAST):
            yield sites
        show_logs(sites.overlay.nodes)


def address_of(client: Process) -> str:
    """The lease that the client gets next."""
    said, address, _ = client.read_line(LIMIT_S).split()
    assert said in ("bound", "renew")
    assert IPv4Address(FIRST) <= IPv4Address(address) <= IPv4Address(LAST)
    return address


def add(node: TreecastNode, *options: str) -> tuple[int, str]:
    done = node.machine.run([PROGRAM, "bridge", "add", node.directory, "eth1", *options], check=False)
    return done.returncode, done.stdout + done.stderr


def follow_the_sentence(sites: Sites, tmp_path: Path) -> tuple[Process, str]:
    """A client that runs on the bridge, and its address."""
    node, machine = sites.overlay[0], sites.overlay[0].machine
    client = dhcp_client(machine, "eth1", tmp_path)
    address = address_of(client)
    code, said = add(node)
    assert code == 1
    assert re.fullmatch(REFUSAL.format(pid=client.pid), said)
    assert "tcbr" not in machine.run(["ip", "-o", "link"]).stdout
    assert not (node.directory / "bridge.json").exists()
    ping(sites.lans[0].hosts[0], address)
    client.stop()
    code, said = add(node)
    assert code == 0
    assert re.search(
        rf"^{address}/16 ends in 1[012]\d s unless it is renewed: run its DHCP client on tcbr-eth1$", said, re.M
    )
    client = dhcp_client(machine, "tcbr-eth1", tmp_path)
    assert address_of(client) == address
    wait_until(
        lambda: '"tcbr-eth1 had lost ' in node.log_tail(), LIMIT_S, "what the client has flushed, all, is put back"
    )
    assert add(node) == (0, "eth1 is bridged already, by tcbr-eth1\n")
    return client, address


def everything_works(sites: Sites, address: str) -> None:
    here, there = sites.lans[0].hosts[0], sites.lans[1].hosts[0]
    talk(here, address)
    talk(sites.overlay[1].machine, sites.overlay[0].ipv4)
    talk(there, address)


def test_an_interface_with_a_lease_is_bridged_when_its_client_has_moved(leased: Sites, tmp_path: Path) -> None:
    node = leased.overlay[0]
    client, address = follow_the_sentence(leased, tmp_path)
    leased.bridge(1)
    everything_works(leased, address)
    client.send_signal(signal.SIGUSR1)  # renew at once
    assert address_of(client) == address
    everything_works(leased, address)
    said = verb(node, "remove", "eth1")
    assert said == (
        "eth1 is on its own again\n"
        f"udhcpc (pid {client.pid}) was for tcbr-eth1: stop it, and have eth1 configured again\n"
    )
    client.kill()
    client = dhcp_client(node.machine, "eth1", tmp_path)
    assert address_of(client) == address
    code, said = add(node, "--force")
    assert code == 0
    assert f"udhcpc (pid {client.pid}) configures eth1: have it configure tcbr-eth1 instead\n" in said
    node.machine.run(["ip", "address", "del", f"{address}/16", "dev", "tcbr-eth1"])
    wait_until(
        lambda: "lan_address_lost" in {problem.kind for problem in fetch_status(node.directory).problems},
        LIMIT_S,
        "the address on the LAN is gone, as with the end of its lease",
    )
    node.kill()
    node.start(leased.overlay[1].endpoint)
    node.wait_ready()
    assert '"tcbr-eth1"' in verb(node, "show", "--json")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_everything_works_for_longer_than_the_lease(leased: Sites, tmp_path: Path) -> None:
    _, address = follow_the_sentence(leased, tmp_path)
    leased.bridge(1)
    lasts = leased.overlay[0].machine.spawn(["sleep", str(SHORTEST_LEASE_S + 20)])
    wait_until(lambda: not lasts.running, SHORTEST_LEASE_S + 60, "longer than the lease")
    everything_works(leased, address)


def advertise(router: Machine, valid_s: int) -> None:
    """A router advertisement for ``PREFIX`` (RFC 4861 section 4.2): default router and address for ``valid_s``."""
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, valid_s, valid_s, 0) + PREFIX.packed
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, valid_s, 0, 0) + prefix
    with router.enter():
        sending = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex("eth0")
    with sending:
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sending.sendto(message, ("ff02::1", 0, 0, index))


def test_addresses_of_router_advertisements_live_on_with_them_on_the_bridge(lab: Lab) -> None:
    sites = make_sites(lab)
    machine, router = sites.overlay[0].machine, sites.lans[0].hosts[0]
    router.run(["ip", "-6", "addr", "add", f"{PREFIX + 1}/64", "dev", "eth0", "nodad"])
    for name, value in (("accept_ra", 1), ("autoconf", 1)):
        machine.sysctl(f"net/ipv6/conf/eth1/{name}", value)

    def made(interface: str) -> list[tuple[str, int]]:
        """The addresses of the prefix there, and for how many seconds."""
        shown = machine.run(["ip", "-6", "-o", "addr", "show", "dev", interface, "scope", "global"]).stdout
        return re.findall(r"inet6 (2001:db8:60:\S+) .* valid_lft (\d+)sec", shown)

    def ways() -> str:
        return machine.run(["ip", "-6", "route", "show", "default"]).stdout

    advertise(router, 60)
    wait_until(lambda: made("eth1"), LIMIT_S, "an address from the router")
    ((address, _),) = made("eth1")
    assert add(sites.overlay[0])[0] == 0
    assert [text for text, _ in made("tcbr-eth1")] == [address]
    assert "dev tcbr-eth1" in ways()
    advertise(router, 3000)
    wait_until(lambda: int(made("tcbr-eth1")[0][1]) > 60, LIMIT_S, "the address lives on on the bridge")
    assert [text for text, _ in made("tcbr-eth1")] == [address]
    assert re.search(r"dev tcbr-eth1 proto ra metric 1024 expires [23]\d\d\dsec", ways())
    machine.run([PROGRAM, "bridge", "remove", sites.overlay[0].directory, "eth1"])
    assert [text for text, _ in made("eth1")] == [address]
    advertise(router, 5000)
    wait_until(lambda: int(made("eth1")[0][1]) > 3000, LIMIT_S, "the address lives on on the interface")
    ping(router, address.partition("/")[0])
