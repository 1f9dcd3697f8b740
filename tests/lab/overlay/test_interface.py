"""The node's interface outlives the daemon where it is to, and comes back as it was when somebody has changed it."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import LIMIT_S, wait_peers, wait_received
from tests.lab.overlay.machines import ping
from treecast.adapters.multicast_routes import group_route_command
from treecast.adapters.signals import MEANINGLESS_SIGNALS
from treecast.api.client import fetch_status
from treecast.daemon.interface_watch import KEEPER_TIME

GROUP, GROUP6 = "239.50.0.9", "ff15::50:9"
PORT = 5019
AGAIN = 500  # datagrams that arrive after a restart


def runs_for_3_s(node: TreecastNode) -> bool:
    return fetch_status(node.directory).uptime_s > 3.0


def restart(node: TreecastNode, peer: TreecastNode, *options: str) -> None:
    node.start(peer.endpoint, options=options)
    node.wait_ready()
    wait_peers(node, {peer.name}, LIMIT_S)


def test_a_program_that_listened_before_the_daemon_was_restarted_listens_after_it(overlay: OverlayFactory) -> None:
    net = overlay(2, start=False)
    n0, n1 = net.nodes
    n0.start()
    n0.wait_ready()
    restart(n1, n0, "--keep-interface")
    for node in net.nodes:
        wait_until(partial(runs_for_3_s, node), LIMIT_S, "the kernel has reported its groups")
        assert fetch_status(node.directory).drops == {}, "a node that has just started has dropped nothing"
    receivers = [
        Receiver(n1.machine, group, PORT + port, interface=INTERFACE) for port, group in enumerate((GROUP, GROUP6))
    ]
    senders = [
        Sender(n0.machine, group, PORT + port, interface=INTERFACE, rate_pps=500)
        for port, group in enumerate((GROUP, GROUP6))
    ]
    for receiver in receivers:
        wait_received(receiver, AGAIN)
    for end in (n1.stop, n1.kill):
        end()
        before = [receiver.snapshot().received for receiver in receivers]
        restart(n1, n0, "--keep-interface")
        for receiver, count in zip(receivers, before, strict=True):
            wait_received(receiver, count + AGAIN)
    ping(n0.machine, n1.ipv4)
    for sender in senders:
        sender.stop()
    for receiver in receivers:
        receiver.stop()
    n1.stop()
    assert "kept for treecast" in n1.machine.run(["ip", "link", "show", INTERFACE]).stdout
    restart(n1, n0, "--route", "239.50.0.0/16")
    routes = n1.machine.run(["ip", "route", "show", "dev", INTERFACE]).stdout
    assert ("239.50.0.0/16" in routes, "224.0.0.0/4" in routes) == (True, False), "routes are those of this start"
    n1.stop()
    assert n1.machine.run(["ip", "link", "show", INTERFACE], check=False).returncode != 0, "without the flag it goes"


def test_a_tap_of_the_operator_s_is_taken_again_and_again_and_nothing_else_is(overlay: OverlayFactory) -> None:
    net = overlay(2, start=False)
    n0, n1 = net.nodes
    machine = n1.machine
    n0.start()
    n0.wait_ready()
    for command in (["tuntap", "add", INTERFACE, "mode", "tun"], ["link", "add", INTERFACE, "type", "bridge"]):
        machine.run(["ip", *command])
        refused_up(n1, n1.directory, "no TAP: choose another name with --interface")
        machine.run(["ip", "link", "del", INTERFACE])
    add_tap(n1)
    with taken_again_and_again(n1, n0):
        ping(n0.machine, n1.ipv6)
        wait_until(lambda: fetch_status(n1.directory).uptime_s > KEEPER_TIME + 2.0, LIMIT_S, "a problem would be said")
        assert fetch_status(n1.directory).problems == [], "groups leave by it, though from its other address"
    machine.run(["ip", "link", "set", INTERFACE, "name", "foo"])
    restart(n1, n0, "--keep-interface")
    n1.wait_logged(f"there is no {INTERFACE}, but foo, which has this node's MAC")
    assert (fetch_status(n1.directory).interface, fetch_status(n1.directory).problems) == ("foo", [])
    assert INTERFACE not in machine.run(["ip", "-o", "link"]).stdout, "no second one is made beside it"
    n1.stop()


@pytest.mark.soak
def test_a_tap_of_the_operator_s_with_many_queues_is_taken_again_and_again(overlay: OverlayFactory) -> None:
    net = overlay(2, start=False)
    n0, n1 = net.nodes
    n0.start()
    n0.wait_ready()
    add_tap(n1, "multi_queue")
    with taken_again_and_again(n1, n0):
        ping(n0.machine, n1.ipv6)


def add_tap(node: TreecastNode, *queues: str) -> None:
    """The operator's interface, with an address of the operator's, and one of the network's that is not the node's."""
    node.machine.run(["ip", "tuntap", "add", "dev", INTERFACE, "mode", "tap", "user", "nobody", *queues])
    node.machine.run(["ip", "address", "add", "192.0.2.1/32", "dev", INTERFACE])
    node.machine.run(["ip", "address", "add", "10.77.9.9/16", "dev", INTERFACE])


@contextmanager
def taken_again_and_again(node: TreecastNode, peer: TreecastNode) -> Iterator[None]:
    """The node starts on the operator's interface, is killed and starts again, runs, and leaves it as it was."""
    index = index_of(node)
    copy = shutil.copytree(node.directory, node.directory.with_name("copy"))
    restart(node, peer)
    refused_up(node, copy, "another program uses the interface treecast0")
    node.kill()
    restart(node, peer)
    ping(peer.machine, node.ipv4)
    yield
    node.stop()
    assert index_of(node) == index
    shown = node.machine.run(["ip", "-4", "-o", "address", "show", INTERFACE]).stdout
    assert "192.0.2.1/32" in shown, "an address of the operator's stays"
    assert "10.77.9.9/16" not in shown, "an address of the network's that is not this node's goes"


def refused_up(node: TreecastNode, directory: Path, sentence: str) -> None:
    up = node.machine.run([PROGRAM, "up", directory], check=False)
    assert (up.returncode, up.stderr.count(sentence)) == (1, 1), up.stderr


def index_of(node: TreecastNode) -> int:
    return int(node.machine.run(["ip", "-o", "link", "show", INTERFACE]).stdout.split(":")[0])


def routes_and_addresses(node: TreecastNode) -> list[str]:
    """The interface's, as ``ip`` shows them, but the routes of the kernel's own."""
    shown = [
        node.machine.run(["ip", "-o", *words, "dev", INTERFACE], check=False).stdout
        for words in (["address", "show"], ["route", "show"], ["-6", "route", "show", "table", "local"])
    ]
    lines = [" ".join(line.split()) for text in shown for line in text.splitlines()]
    return sorted(line for line in lines if "metric 256" not in line and not line.startswith(("local ", "anycast ")))


def wait_problems(node: TreecastNode, kinds: set[str]) -> None:
    what = f"{node.name} has the problems {sorted(kinds)}"
    wait_until(lambda: {p.kind for p in fetch_status(node.directory).problems} == kinds, LIMIT_S, what)


def test_what_the_interface_loses_is_put_back_and_its_end_is_the_node_s(overlay: OverlayFactory) -> None:
    node = overlay(1, start=False)[0]
    machine = node.machine
    Receiver(machine, GROUP, PORT, interface=machine.underlay_interface)  # a program of the LAN's
    node.start()
    node.wait_ready()
    node.wait_logged(f"not the groups that others joined elsewhere, {GROUP} on eth0: they must")
    before = routes_and_addresses(node)
    assert sum("224.0.0.0/4" in line or "ff00::/8" in line for line in before) == 2

    machine.run(["ip", "link", "set", INTERFACE, "down"])
    wait_problems(node, {"interface_down"})
    assert routes_and_addresses(node) != before
    machine.run(["ip", "link", "set", INTERFACE, "up"])
    wait_until(lambda: routes_and_addresses(node) == before, LIMIT_S, "addresses and routes are back")
    wait_problems(node, set())
    machine.run(["ip", "address", "flush", "dev", INTERFACE])
    wait_until(lambda: routes_and_addresses(node) == before, LIMIT_S, "what was flushed is back")
    node.wait_logged(": put back", times=2)
    said = re.findall(f'"{INTERFACE} had lost (.*): put back" interface={INTERFACE}', node.log_tail())
    assert [("10.77.0.1/16" in what, "and the routes to 224.0.0.0/4" in what) for what in said] == [
        (False, True),
        (True, True),
    ], said

    machine.run(["ip", "route", "del", "224.0.0.0/4", "dev", INTERFACE])
    machine.run(f"ip -6 route del multicast ff00::/8 dev {INTERFACE} table local metric 1".split())
    wait_problems(node, {"group_route_elsewhere"})
    (lost,) = [problem.text for problem in fetch_status(node.directory).problems if problem.subject == "224.0.0.0/4"]
    assert f"nowhere, not by {INTERFACE}: ip route add 224.0.0.0/4 dev {INTERFACE}, or " in lost
    for prefix in (IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8")):
        machine.run(group_route_command(INTERFACE, prefix).split())
    wait_problems(node, set())

    machine.run(["ip", "route", "replace", "224.0.0.0/4", "dev", machine.underlay_interface])
    wait_problems(node, {"group_route_elsewhere"})
    machine.run(["ip", "route", "replace", "224.0.0.0/4", "dev", INTERFACE])
    for number in MEANINGLESS_SIGNALS:
        node.process.send_signal(number)
    wait_problems(node, set())

    machine.run(["ip", "route", "add", "10.77.0.0/24", "dev", machine.underlay_interface])
    wait_problems(node, {"overlay_route_elsewhere"})
    machine.run(["ip", "route", "del", "10.77.0.0/24"])
    machine.run(["ip", "link", "add", "br7", "type", "bridge"])
    machine.run(["ip", "link", "set", INTERFACE, "master", "br7"])
    wait_problems(node, {"interface_in_bridge"})
    machine.run(["ip", "link", "set", INTERFACE, "nomaster"])
    wait_problems(node, set())

    machine.run(["ip", "link", "del", INTERFACE])
    assert node.process.wait(LIMIT_S) == 1
    assert node.log_tail().splitlines()[-1].startswith("treecast: the interface treecast0 has been deleted: ")
    node.start(options=["--route", "239.77.0.0/16", "--route", "ff15::/16"])
    node.wait_ready()
    narrow = routes_and_addresses(node)
    assert any("239.77.0.0/16" in line for line in narrow)
    assert not any("224.0.0.0/4" in line for line in narrow)
    node.wait_logged("reach 239.77.0.0/16, ff15::/16 by treecast0 now")
    node.process.send_signal(signal.SIGQUIT)
    assert node.process.wait(LIMIT_S) == 0
