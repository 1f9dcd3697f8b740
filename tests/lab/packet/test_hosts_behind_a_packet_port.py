"""A LAN behind an interface that is not bridged: its hosts hear the groups they join and are heard, no more than that.

::

      h1-1 (IGMPv3, MLDv2)   h1-2 (IGMPv2, MLDv1)
         eth0                   eth0
      ===++=====================++=========== LAN 1 ==++========
                                                     eth1 10.99.1.254, a packet port
                                                      n0        n1        n2
                                                     eth0      eth0      eth0
      ======================================== underlay ++========++========++===
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from lab import Lab, Machine, wait_until
from lab.lan import Lan, link_local
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from lab.sites import show_logs
from tests.lab.overlay.asking import wait_members, wait_received
from tests.sim.multicast.virtual_switch import hello_frame
from treecast.api.bridge_records import PacketPort
from treecast.api.client import fetch_bridge, fetch_hosts, fetch_status
from treecast.api.records import Host
from treecast.base.addresses import MacAddress
from treecast.wire import ethernet, pim
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

GROUP, GROUP6, PORT = "239.7.7.7", "ff35::7:7", 5007
LIMIT_S = 20.0
OPTIONS = ("--membership", "query-response-interval=1s")
"""A LAN's groups are known soon by this (``election.LEARN_MARGIN``)."""


@dataclass(frozen=True, slots=True)
class Site:
    lab: Lab
    overlay: Overlay
    lan: Lan
    interface: str


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab() as lab:
        underlay = lab.switch()
        machines = [lab.machine(f"n{number}", underlay) for number in range(3)]
        lan = Lan(lab, 1)
        lan.hosts[1].sysctl("net/ipv4/conf/eth0/force_igmp_version", 2)
        lan.hosts[1].sysctl("net/ipv6/conf/eth0/force_mld_version", 1)
        interface = lan.connect(lab, machines[0])
        overlay = Overlay(machines, lab.directory)
        overlay.start(options=OPTIONS)
        own = Site(lab, overlay, lan, interface)
        verb(overlay[0], "add", interface, "--packet")
        wait_state(overlay[0], "forwarding")
        yield own
        show_logs(overlay.nodes)


def verb(node: TreecastNode, name: str, *words: str) -> str:
    return node.machine.run([PROGRAM, "bridge", name, node.directory, *words]).stdout


def packet_port(node: TreecastNode) -> PacketPort | None:
    return next(iter(fetch_bridge(node.directory).packet_ports), None)


def wait_state(node: TreecastNode, state: str) -> None:
    def is_so() -> bool:
        port = packet_port(node)
        return port is not None and port.state == state

    wait_until(is_so, LIMIT_S, f"{node.name}'s packet port is {state}")


def mac_of(machine: Machine, interface: str = "eth0") -> str:
    return machine.run(["cat", f"/sys/class/net/{interface}/address"]).stdout.strip()


@pytest.mark.parametrize("group", [GROUP, GROUP6])
@pytest.mark.parametrize("host", [0, 1])
def test_a_host_hears_the_group_it_joins_until_it_leaves_and_is_heard(site: Site, host: int, group: str) -> None:
    inside, outside = site.lan.hosts[host], site.overlay[1]
    receiver = Receiver(inside, group, PORT, interface="eth0")
    wait_members(outside, group, {"n0"}, LIMIT_S)
    Sender(outside.machine, group, PORT, interface=INTERFACE, rate_pps=1000, count=300).wait(LIMIT_S)
    wait_received(receiver, 300)
    account = receiver.stop()
    assert (account.received, account.lost, account.duplicated) == (300, 0, 0)
    wait_members(outside, group, set(), LIMIT_S)
    before = site.overlay[0].machine.counters(site.interface).tx_bytes
    Sender(outside.machine, group, PORT, interface=INTERFACE, rate_pps=1000, count=300).wait(LIMIT_S)
    assert site.overlay[0].machine.counters(site.interface).tx_bytes - before < 50_000  # nobody wants it any more
    listener = Receiver(outside.machine, group, PORT, interface=INTERFACE)
    wait_members(site.overlay[0], group, {"n1"}, LIMIT_S)
    Sender(inside, group, PORT, interface="eth0", rate_pps=1000, count=300).wait(LIMIT_S)
    wait_received(listener, 300)
    assert listener.stop().duplicated == 0


def test_the_nodes_own_machine_hears_the_lan_and_is_heard_by_it_once(site: Site) -> None:
    inside, machine = site.lan.hosts[0], site.overlay[0].machine
    here, there = (Receiver(machine, GROUP, PORT, interface=INTERFACE), Receiver(inside, GROUP, PORT, interface="eth0"))

    def both() -> bool:
        rows = [group for group in site.overlay[0].groups() if group.group == GROUP]
        return {local.port for group in rows for local in group.here} == {0, 1}

    wait_until(both, LIMIT_S, "its TAP and its packet port want the group")
    Sender(inside, GROUP, PORT, interface="eth0", rate_pps=500, count=200, stream=1).wait(LIMIT_S)
    Sender(machine, GROUP, PORT, interface=INTERFACE, rate_pps=500, count=200, stream=2).wait(LIMIT_S)
    wait_received(here, 200)
    wait_received(there, 200)
    from_lan, from_machine = here.stop().of(1), there.stop().of(2)
    assert from_lan and (from_lan.received, from_lan.duplicated) == (200, 0)
    assert from_machine and (from_machine.received, from_machine.duplicated) == (200, 0)


def test_frames_longer_than_the_interface_s_mtu_are_a_problem(site: Site) -> None:
    node, outside = site.overlay[0], site.overlay[1]

    def text() -> str:
        found = {(problem.kind, problem.subject): problem.text for problem in fetch_status(node.directory).problems}
        return found.get(("frames_too_big", site.interface), "")

    receiver = Receiver(site.lan.hosts[0], GROUP, PORT, interface="eth0")
    wait_members(outside, GROUP, {"n0"}, LIMIT_S)
    node.machine.run(["ip", "link", "set", site.interface, "mtu", "1300"])
    Sender(outside.machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=60, size_bytes=1330).wait(LIMIT_S)
    wait_until(lambda: "as longer than its MTU of 1300 bytes" in text(), LIMIT_S, "it is a problem")
    node.machine.run(["ip", "link", "set", site.interface, "mtu", "1500"])
    receiver.stop()


def test_hosts_are_known_by_their_addresses_and_by_their_port_here_alone(site: Site) -> None:
    inside, mac = site.lan.hosts[0], mac_of(site.lan.hosts[0])
    inside.run(["ping", "-c", "1", "-W", "1", site.lan.host_ipv4(77)], check=False)  # it asks who has it

    def found() -> list[Host]:
        hosts = fetch_hosts(site.overlay[0].directory)
        return [host for host in hosts if host.mac == mac and site.lan.host_ipv4(1) in host.ip]

    host = wait_until(found, LIMIT_S, "the host is known by its address")[0]
    assert (host.port, host.node, host.vlan) == (1, "n0", 0)
    assert mac not in {other.mac for other in fetch_hosts(site.overlay[1].directory)}
    assert "port 1" in site.overlay[0].machine.run([PROGRAM, "hosts", site.overlay[0].directory]).stdout


def test_queries_come_from_the_interface_s_addresses(site: Site) -> None:
    node = site.overlay[0]
    asks = {(q.port, q.protocol): q.address for q in fetch_status(node.directory).queriers}
    assert asks[1, "igmp"] == str(node.machine.ports[1].ipv4.ip)  # its first
    assert asks[1, "mld"] == link_local(node.machine, site.interface)


def test_a_bridged_node_on_the_same_lan_and_the_packet_port_do_not_both_carry_it(site: Site) -> None:
    inside, second, far = site.lan.hosts[0], site.overlay[1], site.overlay[2]
    interface = site.lan.connect(site.lab, second.machine, last=253)
    verb(second, "add", interface)
    wait_until(lambda: fetch_bridge(second.directory).nodes == ["n0"], LIMIT_S, "they see each other")
    wait_state(site.overlay[0], "forwarding")
    wait_until(lambda: fetch_bridge(second.directory).state == "capable", LIMIT_S, "it would, if n0 did not")
    assert fetch_bridge(second.directory).forwarder == "n0"
    receiver = Receiver(inside, GROUP, PORT, interface="eth0")
    wait_members(far, GROUP, {"n0"}, LIMIT_S)
    Sender(far.machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=300).wait(LIMIT_S)
    wait_received(receiver, 300)
    account = receiver.stop()
    assert (account.received, account.duplicated) == (300, 0)
    verb(second, "remove", interface)


def test_two_ways_of_one_node_to_a_lan_are_not_both_used(site: Site) -> None:
    inside, node, far = site.lan.hosts[0], site.overlay[0], site.overlay[2]
    interface = site.lan.connect(site.lab, node.machine, last=252)
    verb(node, "add", interface)

    def states() -> list[str]:
        answer = fetch_bridge(node.directory)
        return [answer.state, *(port.state for port in answer.packet_ports)]

    wait_until(lambda: states() in (["forwarding", "capable"], ["capable", "forwarding"]), LIMIT_S, "one of them")
    receiver = Receiver(inside, GROUP, PORT, interface="eth0")
    wait_members(far, GROUP, {"n0"}, LIMIT_S)
    Sender(far.machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=300).wait(LIMIT_S)
    wait_received(receiver, 300)
    account = receiver.stop()
    assert (account.received, account.duplicated) == (300, 0)
    verb(node, "remove", interface)
    wait_state(node, "forwarding")


def join_by_pim(machine: Machine, interface: str) -> None:
    """A PIM router at the other end of this interface joins GROUP for 210 s."""
    router, upstream = IPv4Address("10.0.0.200"), IPv4Address("10.0.0.250")
    asked = PimGroup(IPv4Address(GROUP), 32, joins=(PimSource(upstream, is_wildcard=True, is_rpt=True),))
    mac = MacAddress.parse("02:00:00:00:00:c8")
    join = pim.join_prune_frame(PimJoinPrune(router, upstream, 210, (asked,)), mac)
    with machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        for frame in (ethernet.emit(hello_frame(4, hold_time=105)), join):
            raw.send(frame)


def test_an_interface_that_is_gone_takes_its_port_along_until_it_is_there_again(site: Site) -> None:
    node = site.overlay[1]

    def plug_in(mac: str) -> None:
        node.machine.run(["ip", "link", "add", "usb0", "up", "type", "veth", "peer", "name", "usb1"])
        node.machine.run(["ip", "link", "set", "usb0", "address", mac])
        node.machine.run(["ip", "link", "set", "usb1", "up"])

    plug_in("02:00:00:00:00:51")
    verb(node, "add", "usb0", "--packet")
    join_by_pim(node.machine, "usb1")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    assert packet_port(node) is not None
    node.machine.run(["ip", "link", "del", "usb0"])
    wait_until(lambda: "not open" in verb(node, "show"), LIMIT_S, "it is seen", poll_s=0.5)
    wait_until(lambda: fetch_status(node.directory).problems, LIMIT_S, "it is a problem")
    (problem,) = fetch_status(node.directory).problems
    assert (problem.kind, problem.subject) == ("packet_port_closed", "usb0")
    assert problem.text == (
        "packet port usb0 is gone: the interface is not there, so nothing of its LAN is carried: bring the interface "
        f"back, and it is open again, or run treecast bridge remove {node.directory} usb0"
    )
    node.wait_logged(problem.text)
    wait_members(site.overlay[0], GROUP, set(), LIMIT_S)
    plug_in("02:00:00:00:00:52")
    wait_until(lambda: not fetch_status(node.directory).problems, LIMIT_S, "it is open again")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    node.stop()
    node.machine.run(["ip", "link", "del", "usb0"])
    node.start(site.overlay[0].endpoint, options=OPTIONS)
    node.wait_ready()
    plug_in("02:00:00:00:00:53")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    node.machine.run(["ip", "link", "del", "usb0"])
    wait_until(lambda: fetch_status(node.directory).problems, LIMIT_S, "it is a problem")
    verb(node, "remove", "usb0")
    assert packet_port(node) is None
    wait_until(lambda: not fetch_status(node.directory).problems, LIMIT_S, "it is none any more")


@pytest.mark.soak
def test_an_interface_that_was_renamed_keeps_its_port_and_is_known_by_both_names(site: Site) -> None:
    node = site.overlay[1]

    def ip(*words: str) -> None:
        node.machine.run(["ip", "link", *words])

    def rename(old: str, new: str) -> None:
        ip("set", old, "down")
        ip("set", old, "name", new)
        ip("set", new, "up")

    def problems() -> list[tuple[str, str]]:
        return [(problem.kind, problem.subject) for problem in fetch_status(node.directory).problems]

    ip("add", "usb0", "up", "type", "veth", "peer", "name", "usb9")
    ip("set", "usb9", "up")
    verb(node, "add", "usb0", "--packet")
    join_by_pim(node.machine, "usb9")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    port = packet_port(node)
    rename("usb0", "usb5")
    wait_until(lambda: problems() == [("interface_renamed", "usb5")], LIMIT_S, "it is said")
    now = packet_port(node)
    assert port is not None and now is not None
    assert (now.interface, now.port) == ("usb5", port.port), "its new name is shown, its port is the same"
    node.wait_logged("interface_renamed")
    assert "opened" not in node.log_tail().rsplit("interface_renamed", 1)[1]
    assert verb(node, "remove", "usb5") == "usb5 is on its own again\n"
    verb(node, "add", "usb5", "--packet")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    rename("usb5", "usb0")
    wait_until(lambda: problems() == [("interface_renamed", "usb0")], LIMIT_S, "it is said again")
    verb(node, "add", "usb0", "--packet")
    wait_until(lambda: not problems(), LIMIT_S, "the node remembers the new name")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    node.stop()
    rename("usb0", "usb5")
    ip("add", "usb0", "up", "type", "veth", "peer", "name", "usb8")
    ip("set", "usb8", "up")
    node.start(site.overlay[0].endpoint, options=OPTIONS)
    node.wait_ready()
    wait_until(lambda: problems() == [("interface_renamed", "usb5")], LIMIT_S, "found by its MAC, not by its old name")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    node.wait_logged("and another interface usb0; the LAN of usb5 is carried")
    verb(node, "add", "usb0", "--packet")
    ports = {port.interface: port.port is not None for port in fetch_bridge(node.directory).packet_ports}
    assert ports == {"usb0": True, "usb5": True}, "the other can be carried, too, and takes nothing away"
    wait_until(lambda: not problems(), LIMIT_S, "both are remembered under their names now")
    wait_members(site.overlay[0], GROUP, {"n1"}, LIMIT_S)
    for name in ("usb5", "usb0"):
        verb(node, "remove", name)
    assert packet_port(node) is None
    ip("del", "usb5")
    ip("del", "usb0")


def test_it_is_shown_refused_removed_and_remembered(site: Site) -> None:
    node, outside = site.overlay[0], site.overlay[1]
    assert "packet port 1" in verb(node, "show")
    refusal = node.machine.run([PROGRAM, "bridge", "add", node.directory, site.interface], check=False)
    assert refusal.returncode == 1 and "is a packet port" in refusal.stderr
    assert "opened anew" in verb(node, "add", site.interface, "--packet")
    wait_state(node, "forwarding")
    node.stop()
    node.start(outside.endpoint, options=OPTIONS)
    node.wait_ready()
    wait_state(node, "forwarding")
    receiver = Receiver(site.lan.hosts[0], GROUP, PORT, interface="eth0")
    wait_members(outside, GROUP, {"n0"}, LIMIT_S)
    verb(node, "remove", site.interface)
    assert (packet_port(node), verb(node, "show")) == (None, "nothing is bridged\n")
    wait_members(outside, GROUP, set(), LIMIT_S)
    assert mac_of(site.lan.hosts[0]) not in {host.mac for host in fetch_hosts(node.directory)}
    receiver.stop()
    for wrong in ("lo", "none0", INTERFACE):
        done = node.machine.run([PROGRAM, "bridge", "add", node.directory, wrong, "--packet"], check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert packet_port(node) is None
