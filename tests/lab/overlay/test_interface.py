"""The node's interface outlives the daemon where it is to, and comes back as it was when somebody has changed it."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import LIMIT_S, wait_received
from tests.lab.overlay.machines import ping

GROUP, GROUP6 = "239.50.0.9", "ff15::50:9"
PORT = 5019
AGAIN = 500  # datagrams that arrive after a restart


def restart(node: TreecastNode, peer: TreecastNode, *options: str) -> None:
    node.start(peer.endpoint, options=options)
    node.wait_ready()
    node.wait_linked({peer.name})


def test_a_program_that_listened_before_the_daemon_was_restarted_listens_after_it(overlay: OverlayFactory) -> None:
    net = overlay(2, start=False)
    n0, n1 = net.nodes
    n0.start()
    n0.wait_ready()
    restart(n1, n0, "--keep-interface")
    for node in net.nodes:
        wait_until(lambda node=node: node.status().uptime_s > 3.0, LIMIT_S, "the kernel has reported its groups")
        assert node.status().drops == {}, "a node that has just started has dropped nothing"
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
    for program in (*senders, *receivers):
        program.stop()
    n1.stop()
    assert "kept for treecast" in n1.machine.run(["ip", "link", "show", INTERFACE]).stdout
    restart(n1, n0)
    ping(n0.machine, n1.ipv4)
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
    copy = shutil.copytree(n1.directory, net.directory / "copy")
    for queues in ([], ["multi_queue"]):
        machine.run(["ip", "tuntap", "add", "dev", INTERFACE, "mode", "tap", "user", "nobody", *queues])
        machine.run(["ip", "address", "add", "192.0.2.1/32", "dev", INTERFACE])
        machine.run(["ip", "address", "add", "10.77.9.9/16", "dev", INTERFACE])
        index = index_of(n1)
        restart(n1, n0)
        refused_up(n1, copy, "another program uses the interface treecast0")
        n1.kill()
        restart(n1, n0)
        ping(n0.machine, n1.ipv4)
        ping(n0.machine, n1.ipv6)
        n1.stop()
        assert index_of(n1) == index
        shown = machine.run(["ip", "-4", "-o", "address", "show", INTERFACE]).stdout
        assert "192.0.2.1/32" in shown, "an address of the operator's stays"
        assert "10.77.9.9/16" not in shown, "an address of the network's that is not this node's goes"
        machine.run(["ip", "link", "del", INTERFACE])


def refused_up(node: TreecastNode, directory: Path, sentence: str) -> None:
    up = node.machine.run([PROGRAM, "up", directory], check=False)
    assert (up.returncode, up.stderr.count(sentence)) == (1, 1), up.stderr


def index_of(node: TreecastNode) -> int:
    return int(node.machine.run(["ip", "-o", "link", "show", INTERFACE]).stdout.split(":")[0])
