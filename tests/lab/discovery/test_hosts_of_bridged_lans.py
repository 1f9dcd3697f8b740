"""LANs behind nodes: their hosts are known, and their solicitations do not cross."""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import IPv4Address

from bench.solicitations import FRAME_BYTES, arp_request, arp_socket
from lab import Machine, wait_until
from lab.lan import link_local
from lab.sites import Sites
from lab.waiting import paced
from treecast.api.client import fetch_hosts, fetch_status
from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import arp, ethernet
from treecast.wire.ethernet import EtherType

LIMIT_S = 20.0
ETH0 = "eth0"
ROAMER = MacAddress.parse("02:00:00:00:0b:01")


def reach(machine: Machine, address: str) -> None:
    """Ping with nothing in the neighbour cache, until an echo comes back."""
    machine.run(["ip", "neigh", "flush", "dev", ETH0])
    once = ["ping", "-c", "1", "-W", "1", address]
    wait_until(lambda: machine.run(once, check=False).returncode == 0, LIMIT_S, f"{machine.name} reaches {address}")


def wait_lives_at(sites: Sites, address: str, name: str) -> None:
    """Waits until all nodes report that the host with this address is at this one."""

    def agreed() -> bool:
        views = [
            {host.node for host in fetch_hosts(node.directory) if address in host.ip} for node in sites.overlay.nodes
        ]
        return all(view == {name} for view in views)

    wait_until(agreed, LIMIT_S, f"all nodes know {address} at {name}")


def announce(machine: Machine, mac: MacAddress, address: str) -> None:
    """A host on the same LAN as this machine says that it is there."""
    with arp_socket(machine, ETH0) as own:
        own.send(arp_request(mac, IPv4Address(address), IPv4Address(address)))


def requests_heard(machine: Machine, asker: Machine, sender: str, targets: list[str], marker: str) -> int:
    """How many of the asker's requests, one for each target, come to a machine of another LAN."""
    with ExitStack() as stack:
        heard = stack.enter_context(arp_socket(machine, ETH0))
        asking = stack.enter_context(arp_socket(asker, ETH0))
        mac = MacAddress(asking.getsockname()[4])
        own, mark = IPv4Address(sender), IPv4Address(marker)
        for target in paced(targets, 0.05):
            asking.send(arp_request(mac, own, IPv4Address(target)))
        asking.send(arp_request(mac, IPv4Address(0), mark))  # a probe crosses (RFC 5227 section 2.1.1)
        seen = 0
        while True:
            try:
                frame = ethernet.parse(heard.recv(FRAME_BYTES))
                packet = arp.parse(frame.payload) if frame.ethertype == EtherType.ARP else None
            except MalformedError:
                continue
            if packet is not None and packet.target_ip == mark:
                return seen
            seen += packet is not None and packet.sender_ip == own and str(packet.target_ip) in targets


def test_the_hosts_of_two_lans_are_known_to_all_nodes_and_solicitations_for_them_stay_here(sites: Sites) -> None:
    here, there = sites.lans[:2]
    asker, neighbour, far = here.hosts[0], here.hosts[1], there.hosts[0]
    reach(asker, there.host_ipv4(1))
    reach(neighbour, there.host_ipv4(2))
    for lan, node in ((here, "n0"), (there, "n1")):
        for number in (1, 2):
            wait_lives_at(sites, lan.host_ipv4(number), node)
    known = [here.host_ipv4(2), there.host_ipv4(1), there.host_ipv4(2)]
    assert requests_heard(far, asker, here.host_ipv4(1), known, "10.99.9.250") == 0
    assert requests_heard(far, asker, here.host_ipv4(1), [here.host_ipv4(200)], "10.99.9.251") == 1


def test_kernels_find_known_neighbours_of_the_other_lan_by_the_nodes_answer(sites: Sites) -> None:
    here, there = sites.lans[:2]
    asker, node = here.hosts[0], sites.overlay[0]
    target6 = link_local(there.hosts[0], ETH0)
    for address in (there.host_ipv4(1), f"{target6}%{ETH0}"):
        reach(asker, address)
    wait_lives_at(sites, target6, "n1")
    before = fetch_status(node.directory).counters
    for address in (there.host_ipv4(1), f"{target6}%{ETH0}"):
        reach(asker, address)
    after = fetch_status(node.directory).counters
    assert after["solicitations_proxied"] - before["solicitations_proxied"] >= 2
    assert after["solicitations_flooded"] == before["solicitations_flooded"]


def test_a_host_that_moves_from_lan_to_lan_is_followed(sites: Sites) -> None:
    here, there = sites.lans[:2]
    for machine, node in ((here.hosts[0], "n0"), (there.hosts[0], "n1"), (here.hosts[0], "n0")):
        announce(machine, ROAMER, "10.99.9.9")
        wait_lives_at(sites, "10.99.9.9", node)
    views = [host for node in sites.overlay.nodes for host in fetch_hosts(node.directory) if host.mac == str(ROAMER)]
    assert [host.moves for host in views[:2]] == [2, 2]
    assert views[2].moves <= 2  # there the withdrawal may come before the claim: an end and a beginning
