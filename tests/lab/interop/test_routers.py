"""Multicast routers on a LAN behind a node: what comes over the overlay goes on, what the overlay wants comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender
from lab.sites import LIMIT_S, Sites, make_sites
from tests.lab.interop.routers import PROGRAMS, Beyond, beyond
from tests.lab.overlay.asking import quiet_since, wait_members, wait_received
from treecast.api.client import fetch_status

PORT = 5011
COUNT, RATE_PPS = 400, 400
TTL = 8
VERSIONS = pytest.mark.parametrize("version", [4, 6])
OUTBOUND = {4: "239.67.0.1", 6: "ff35::67:1"}
INBOUND = {4: "239.67.0.2", 6: "ff35::67:2"}
WANTED = "239.68.0.1"


@pytest.fixture(scope="module")
def static(three_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beyond]:
    """smcroute joins on the LAN what is to go out, and puts onto the LAN what comes in, asked for or not."""
    own = tmp_path_factory.mktemp("smcroute")
    with beyond(three_sites, "static") as made:
        lines = ["phyint eth0 enable", "phyint eth1 enable"]
        for version in (4, 6):
            inside, outside = source(three_sites.lans[1].hosts[0], version), source(made.host, version)
            lines += [
                f"mgroup from eth0 group {OUTBOUND[version]}",
                f"mroute from eth0 source {inside} group {OUTBOUND[version]} to eth1",
                f"mroute from eth1 source {outside} group {INBOUND[version]} to eth0",
            ]
        (own / "conf").write_text("\n".join([*lines, ""]), encoding="ascii")
        files = ["-f", str(own / "conf"), "-P", str(own / "pid"), "-u", str(own / "sock")]
        process = made.router.spawn(
            [PROGRAMS / "smcrouted", "-n", "-N", *files], stdout=own / "log", stderr=own / "log"
        )
        yield made
        process.stop()
        print((own / "log").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def older() -> Iterator[Sites]:
    """LANs of their own: a querier of IGMPv2 is remembered for 260 s, and hosts leave otherwise meanwhile."""
    with Lab() as lab:
        own = make_sites(lab, 2)
        own.bridge_all()
        yield own


@pytest.fixture
def proxy(older: Sites, tmp_path: Path) -> Iterator[Beyond]:
    """igmpproxy asks the LAN with queries of its own, and brings what is asked for."""
    conf, log = tmp_path / "conf", tmp_path / "log"
    conf.write_text("phyint eth1 upstream\nphyint eth0 downstream\nphyint lo disabled\n", encoding="ascii")
    with beyond(older, "proxy") as made:
        process = made.router.spawn([PROGRAMS / "igmpproxy", "-d", "-v", conf], stdout=log, stderr=log)
        yield made
        process.stop()
        print(log.read_text(encoding="utf-8"))


@pytest.fixture
def pim(older: Sites, tmp_path: Path) -> Iterator[Beyond]:
    """pimd, its own rendezvous point: it looks at its configuration's only after 20 s."""
    conf, log = tmp_path / "conf", tmp_path / "log"
    with beyond(older, "pim") as made:
        rendezvous_point = made.router.ports[1].ipv4.ip
        conf.write_text(f"phyint eth0 enable\nphyint eth1 enable\nrp-address {rendezvous_point}\n", encoding="ascii")
        process = made.router.spawn([PROGRAMS / "pimd", "-f", "-N", "-c", conf], stdout=log, stderr=log)
        yield made
        process.stop()
        print(log.read_text(encoding="utf-8"))


def source(machine: Machine, version: int) -> str:
    """The address from which a program that names none but eth0 sends to a group."""
    group = "239.255.0.1" if version == 4 else "ff35::1"
    words = machine.run(["ip", "-o", "route", "get", group, "oif", "eth0"]).stdout.split()
    return words[words.index("src") + 1]


def stream(sender: Machine, receiver: Receiver, group: str) -> None:
    Sender(sender, group, PORT, interface="eth0", rate_pps=RATE_PPS, count=COUNT, ttl=TTL).wait(LIMIT_S)
    wait_received(receiver, COUNT, LIMIT_S)
    account = receiver.stop()
    assert (account.received, account.lost, account.duplicated) == (COUNT, 0, 0)


@VERSIONS
def test_smcroute_forwards_what_comes_over_the_overlay_into_another_subnet(
    sites: Sites, static: Beyond, version: int
) -> None:
    group = OUTBOUND[version]
    wait_members(sites.overlay[1], group, {"n0"}, LIMIT_S)
    stream(sites.lans[1].hosts[0], Receiver(static.host, group, PORT, interface="eth0"), group)


@VERSIONS
def test_a_host_of_another_lan_hears_what_smcroute_forwards_onto_this_one(
    sites: Sites, static: Beyond, version: int
) -> None:
    receiver = Receiver(sites.lans[1].hosts[0], INBOUND[version], PORT, interface="eth0")
    wait_members(sites.overlay[0], INBOUND[version], {"n1"}, LIMIT_S)
    stream(static.host, receiver, INBOUND[version])


def test_a_linux_bridge_of_lower_address_is_the_querier_until_it_falls_silent(sites: Sites) -> None:
    """RFC 9776 section 6.6.2: the lowest address wins; its own values say for how long (section 8.5)."""
    lan, group = sites.lans[0], "239.67.0.4"
    bridge = sites.lab.machine("snooper", lan.switch)
    options = "mcast_snooping 1 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_igmp_version 3 mcast_mld_version 2"
    options += " mcast_query_interval 100 mcast_startup_query_interval 100"  # hundredths of a second
    receiver = Receiver(lan.hosts[1], group, PORT, interface="eth0")
    wait_members(sites.overlay[1], group, {"n0"}, LIMIT_S)
    sender = Sender(sites.lans[1].hosts[0], group, PORT, interface="eth0", rate_pps=200)
    assert queriers(sites) == {"igmp": "this node", "mld": "this node"}
    bridge.run(f"ip link add br0 address 02:00:00:00:00:99 type bridge {options}".split())
    for words in ("addr add 10.99.1.99/16 dev br0", "link set eth0 master br0", "link set br0 up"):
        bridge.run(["ip", *words.split()])
    others = {"igmp": "10.99.1.99", "mld": "fe80::ff:fe00:99"}
    wait_until(lambda: queriers(sites) == others, LIMIT_S, "the node makes way")
    said = {
        "eth1 IGMP": "eth1: 10.99.1.99 is the querier (IGMPv3) and this node only listens, ",
        "eth1 MLD": "eth1: fe80::ff:fe00:99 is the querier (MLDv2) and this node only listens, ",
    }
    wait_until(lambda: second_queriers(sites).keys() == said.keys(), LIMIT_S, "the node says who took the duty over")
    assert all(text.startswith(said[subject]) for subject, text in second_queriers(sites).items())
    for beginning in said.values():
        sites.overlay[0].wait_logged(f'event="{beginning}')
    log = sites.overlay[0].log_tail()
    assert all(log.count(f'event="{beginning}') == 1 for beginning in said.values())
    bridge.run(["ip", "link", "set", "br0", "type", "bridge", "mcast_querier", "0"])
    wait_until(lambda: set(queriers(sites).values()) == {"this node"}, LIMIT_S, "the node takes over")
    wait_until(lambda: not second_queriers(sites), LIMIT_S, "no second querier is left")
    sender.stop()
    account = receiver.stop()
    assert (account.lost, account.duplicated) == (0, 0)


def goes_on_while_wanted(sites: Sites, made: Beyond, seen_by: str, limit_s: float) -> Sender:
    """A host of another LAN gets what is sent in the subnet, and leaves."""
    sender = Sender(made.host, WANTED, PORT, interface="eth0", rate_pps=200, ttl=TTL)
    receiver = Receiver(sites.lans[1].hosts[0], WANTED, PORT, interface="eth0")
    wait_received(receiver, 100, limit_s)
    routers = [router for querier in fetch_status(sites.overlay[0].directory).queriers for router in querier.routers]
    assert seen_by in [router.seen_by for router in routers]
    assert receiver.stop().duplicated == 0
    return sender


def test_a_querier_sends_what_hosts_of_another_lan_want_and_hears_them_leave(
    older: Sites, proxy: Beyond, tmp_path: Path
) -> None:
    sender = goes_on_while_wanted(older, proxy, "query", LIMIT_S)
    log = tmp_path / "log"
    wait_until(lambda: "RECV Leave message" in log.read_text(encoding="utf-8"), LIMIT_S, "it hears of the leave")
    sender.stop()


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_a_pim_router_sends_what_hosts_of_another_lan_want_until_they_leave(older: Sites, pim: Beyond) -> None:
    sender = goes_on_while_wanted(older, pim, "pim", 80.0)
    onto_the_lan = pim.router.counters
    quiet_since(lambda: onto_the_lan("eth0").tx_packets, window_s=0.5, at_most=10, limit_s=80.0)  # of 200 a second
    sender.stop()


def second_queriers(sites: Sites) -> dict[str, str]:
    """Problems of the first LAN's node: sentences by subject."""
    problems = fetch_status(sites.overlay[0].directory).problems
    return {problem.subject: problem.text for problem in problems if problem.kind == "second_querier"}


def queriers(sites: Sites) -> dict[str, str]:
    """The queriers of the first LAN by protocol, as its node knows them."""
    untagged = [querier for querier in fetch_status(sites.overlay[0].directory).queriers if not querier.vlan]
    return {querier.protocol: "this node" if querier.is_this_node else querier.address for querier in untagged}
