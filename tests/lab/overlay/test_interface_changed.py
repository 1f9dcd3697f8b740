"""The node's interface changed by hand: one problem says what was changed, and which command puts it back."""

from __future__ import annotations

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import LIMIT_S, wait_received
from tests.lab.overlay.machines import talk
from treecast.api.client import fetch_hosts, fetch_status
from treecast.api.records import Problem

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
