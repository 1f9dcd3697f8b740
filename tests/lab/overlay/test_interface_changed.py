"""The node's interface changed by hand: one problem says what was changed, and which command puts it back."""

from __future__ import annotations

from ipaddress import ip_address

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import LIMIT_S, wait_received
from tests.lab.overlay.machines import talk
from treecast.adapters.underlay import routes_to, underlay_route_type
from treecast.api.client import fetch_hosts, fetch_status
from treecast.api.records import Problem
from treecast.base.underlay_routes import UnderlayRouteType

GROUP, PORT = "239.50.0.10", 5020
FOREIGN_MAC = "02:99:00:00:00:01"
CHANGES = {
    f"address {FOREIGN_MAC}": ("interface_mac", f"has the MAC {FOREIGN_MAC}"),
    "multicast off": ("interface_no_multicast", "multicast off"),
    "arp off": ("interface_no_arp", "ARP off"),
    "mtu 1500": ("interface_mtu", "has an MTU of 1500"),
    "mtu 1279": ("interface_mtu", "has an MTU of 1279"),
    "name foo": ("interface_renamed", f"{INTERFACE} is called foo now"),
}
HARMLESS = ("allmulticast on", "promisc on", "mtu 1300", "txqueuelen 100")


def problems(node: TreecastNode) -> list[Problem]:
    return fetch_status(node.directory).problems


def mac_of(node: TreecastNode) -> str:
    return node.machine.run(["cat", f"/sys/class/net/{INTERFACE}/address"]).stdout.strip()


def test_each_change_that_does_harm_is_one_problem_with_the_command_that_mends_it(overlay: OverlayFactory) -> None:
    n0, n1 = overlay(2).nodes
    machine = n1.machine
    talk(n0.machine, n1.ipv4)
    mtu = machine.run(["cat", f"/sys/class/net/{INTERFACE}/mtu"]).stdout.strip()
    for words in HARMLESS:
        machine.run(["ip", "link", "set", INTERFACE, *words.split()])
    for words, (kind, text) in CHANGES.items():
        machine.run(["ip", "link", "set", INTERFACE, *words.split()])
        wait_until(lambda: bool(problems(n1)), LIMIT_S, f"{words} is a problem")
        (problem,) = problems(n1)
        assert (problem.kind, text in problem.text) == (kind, True), problem
        status = fetch_status(n1.directory)
        assert status.interface == ("foo" if "name" in words else INTERFACE)
        assert status.on[0].startswith(f"groups by {status.interface}: ")
        command = problem.text.rsplit(": ", 1)[1]
        machine.run(["sh", "-ec", command])
        wait_until(lambda: not problems(n1), LIMIT_S, f"{command} puts back what {words} changed")
    for words, kind in (
        (f"address add {n0.ipv4}/16 dev {INTERFACE}", "address_of_another_node"),
        (f"address add {n0.ipv6}/64 dev {INTERFACE}", "address_of_another_node"),
        (f"link set {INTERFACE} address {mac_of(n0)}", "interface_mac"),
    ):
        machine.run(["ip", *words.split()])
        wait_until(lambda: bool(problems(n1)), LIMIT_S, f"{words} is a problem")
        (problem,) = problems(n1)
        assert (problem.kind, f"which is node {n0.name}'s" in problem.text) == (kind, True), problem
        machine.run(["sh", "-ec", problem.text.rsplit(": ", 1)[1]])
        wait_until(lambda: not problems(n1), LIMIT_S, "it is over with the command in the text")
    assert machine.run(["cat", f"/sys/class/net/{INTERFACE}/mtu"]).stdout.strip() == mtu
    talk(n0.machine, n1.ipv4)
    talk(machine, n0.ipv6)
    receiver = Receiver(machine, GROUP, PORT, interface=INTERFACE)
    sender = Sender(n0.machine, GROUP, PORT, interface=INTERFACE, rate_pps=200)
    wait_received(receiver, 100)
    sender.stop()
    assert "not put back" not in n1.log_tail()
    assert "claimed by two" not in n1.log_tail() + n0.log_tail()
    assert not any(host.conflicts for host in fetch_hosts(n1.directory))
    assert problems(n0) == []


def test_a_route_that_forbids_what_is_sent_to_a_linked_node_is_said_before_its_link_ends(
    overlay: OverlayFactory,
) -> None:
    n0, n1 = overlay(2).nodes
    machine, there = n1.machine, n0.machine.underlay_ipv4
    for last, kind in enumerate(("prohibit", "unreachable", "blackhole"), start=1):
        for address in (f"192.0.2.{last}", f"2001:db8:9::{last}"):
            machine.run(["ip", "route", "add", kind, address])
            with machine.enter():
                assert underlay_route_type(ip_address(address)) is UnderlayRouteType.NONE, (kind, address)
                assert routes_to([ip_address(address)]) == {}
    wait_until(lambda: n1.peers_up() == {n0.name}, LIMIT_S, "they are linked")
    machine.run(["ip", "route", "add", "prohibit", there])
    wait_until(lambda: bool(problems(n1)), LIMIT_S, "it is said")
    (problem,) = problems(n1)
    assert (problem.kind, problem.subject, n1.peers_up()) == ("underlay_route_lost", n0.name, {n0.name})
    assert f"no route any more to {n0.name} ({there}), so what it sends there is lost" in problem.text
    machine.run(["ip", "route", "del", "prohibit", there])
    wait_until(lambda: not problems(n1), LIMIT_S, "it is over")
