"""How a node starts, is refused a start, ends, dies and comes back."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lab import Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import peers_up, quiet_since, wait_members, wait_peers, wait_received
from tests.lab.overlay.machines import ping
from treecast.api.client import fetch_peers

GROUP = "239.50.0.1"
PORT = 5012
GONE_LIMIT_S = 10.0
BACK_LIMIT_S = 5.0
ROOT_STOPS_LIMIT_S = 15.0
LIMIT_S = 30.0


def has_interface(machine: Machine, interface: str = INTERFACE) -> bool:
    try:
        machine.counters(interface)
    except KeyError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from a node's death until all had given it up and its root was quiet; from a start until it was back."""

    gone: float
    root_stops: float
    back: float
    first_back: float


def test_a_killed_node_is_given_up_and_found_again_whoever_it_knew(overlay: OverlayFactory) -> None:
    killed_and_found_again(overlay)


@pytest.mark.soak
def test_a_killed_node_is_given_up_within_10_s_and_found_again_within_5(overlay: OverlayFactory) -> None:
    took = killed_and_found_again(overlay)
    assert took.gone <= GONE_LIMIT_S
    assert took.root_stops <= ROOT_STOPS_LIMIT_S
    assert took.back <= BACK_LIMIT_S
    assert took.first_back <= BACK_LIMIT_S


def killed_and_found_again(overlay: OverlayFactory) -> Took:
    """n1 stays and loses nothing; n2 is killed while it subscribes; then n0, the only one the others were told of."""
    net = overlay(3)
    n0, n1, n2 = net.nodes
    steady = Receiver(n1.machine, GROUP, PORT, interface=INTERFACE)
    Receiver(n2.machine, GROUP, PORT, interface=INTERFACE)
    wait_members(n0, GROUP, {"n1", "n2"})
    stream = Sender(n0.machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000)
    wait_received(steady, 1000)

    n2.kill()
    killed_at = time.monotonic()
    for node in (n0, n1):
        wait_peers(node, {"n0", "n1"} - {node.name}, LIMIT_S)
    gone_s = time.monotonic() - killed_at
    underlay = n2.machine.counters
    quiet_at = quiet_since(lambda: underlay().rx_packets, window_s=0.2, at_most=20, limit_s=LIMIT_S)

    back_s = restarted(n2, others=(n0, n1))  # without a --peer: the others find it
    wait_members(n0, GROUP, {"n1"})  # until then it gets what its former run wanted
    again = Receiver(n2.machine, GROUP, PORT, interface=INTERFACE)
    wait_received(again, 1000)
    assert again.stop().lost == 0
    sent = stream.stop()
    wait_received(steady, sent.sent)
    got = steady.stop()
    assert (got.received, got.lost, got.duplicated) == (sent.sent, 0, 0)

    n0.kill()
    first_back_s = restarted(n0, others=(n1, n2))  # those find it that know its address
    took = Took(gone_s, quiet_at - killed_at, back_s, first_back_s)
    print(f"\nseconds after a death and a start: {took}")
    for node in net.nodes:
        ping(node.machine, next(other.ipv4 for other in net.nodes if other is not node))
    return took


def restarted(node: TreecastNode, others: tuple[TreecastNode, ...]) -> float:
    """Starts it without any ``--peer``: seconds from then until all have working links to it, and it to them."""
    started_at = time.monotonic()
    node.start()
    node.wait_ready()
    everyone = (node, *others)
    what = f"{node.name} is back"
    wait_until(lambda: all(len(peers_up(one)) == len(others) for one in everyone), LIMIT_S, what)
    return time.monotonic() - started_at


def test_after_a_reboot_of_all_nodes_each_finds_the_others_where_they_were(overlay: OverlayFactory) -> None:
    """None is given a --peer; one died, so that only the others remember it as it was."""
    net = overlay(3)
    n0, n1, n2 = net.nodes
    n0.stop()
    n2.stop()
    n1.kill()
    for node in net.nodes:
        node.start()
    for node in net.nodes:
        node.wait_ready()
    net.wait_linked(LIMIT_S)
    for node in net.nodes:
        assert "remembered" not in node.log.read_text(), "no warning"


def test_signals_end_a_node_cleanly_and_wrong_starts_are_refused_with_a_sentence(
    overlay: OverlayFactory, tmp_path: Path
) -> None:
    net = overlay(2)
    n0, n1 = net.nodes
    for number in (signal.SIGTERM, signal.SIGINT):
        assert n1.process.stop(LIMIT_S, number) == 0
        assert not has_interface(n1.machine)
        wait_peers(n0, set(), LIMIT_S)
        (gone,) = fetch_peers(n0.directory)
        assert gone.state == "offline", "it said goodbye: one that died would be sought"
        n1.start(n0.endpoint)
        n1.wait_ready()
        wait_peers(n0, {"n1"}, LIMIT_S)

    refused(up(n0.machine, n0.directory), "running")
    assert peers_up(n0) == {"n1"}
    n1.stop()
    refused(up(n0.machine, n1.directory, "--interface", "other0"), "port")
    assert not has_interface(n0.machine, "other0")
    refused(up(n0.machine, n1.directory, "--listen", "0.0.0.0:7701"), "interface")
    assert has_interface(n0.machine)
    refused(up(n1.machine, n1.directory, before=("setpriv", "--bounding-set", "-net_admin")), "root")
    refused(up(n1.machine, n1.directory, "--listen", "203.0.113.1:7700"), "address")
    refused(up(n1.machine, tmp_path / "nothing"), "nothing")
    assert not has_interface(n1.machine)
    n1.start(n0.endpoint)
    n1.wait_ready()
    wait_peers(n0, {"n1"}, LIMIT_S)


def up(machine: Machine, directory: Path, *options: str, before: tuple[str, ...] = ()) -> CompletedProcess[str]:
    return machine.run([*before, PROGRAM, "up", directory, *options], check=False, limit_s=10.0)


def refused(done: CompletedProcess[str], word: str) -> None:
    """The verb ended with one sentence, which has this word, and printed nothing else."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("treecast: ")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr, done.stderr


def test_a_machine_without_ipv6_carries_on_with_ipv4_and_one_with_it_has_an_underlay_of_ipv6(
    overlay: OverlayFactory,
) -> None:
    """n1 has none at all; n2 has it on eth0, but not on new interfaces, and thus not on the node's own."""
    net = overlay(3, start=False)
    n0, n1, n2 = net.nodes
    n1.machine.disable_ipv6()
    n2.machine.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    n0.start()
    n1.start(n0.endpoint)
    n2.start(f"[{n0.machine.underlay_ipv6}]:7700")
    for node in net.nodes:
        node.wait_ready()
    net.wait_linked()
    for node in (n1, n2):
        assert node.ipv6 == ""
        assert node.status().ipv6 == ""
        node.wait_logged("IPv6")
        (line,) = [line for line in node.log.read_text().splitlines() if "IPv6" in line]
        assert f"IPv6 is off on {INTERFACE} as on new interfaces (net.ipv6.conf.default.disable_ipv6)" in line
        assert node.status().problems == []
        assert node.status().listening == n0.status().listening
    assert "IPv6 is off" not in n0.log.read_text()
    ping(n0.machine, n1.ipv4)
    receiver = Receiver(n1.machine, GROUP, PORT, interface=INTERFACE)
    wait_members(n0, GROUP, {"n1"})
    stream = Sender(n0.machine, GROUP, PORT, interface=INTERFACE, rate_pps=1000, count=1000)
    assert stream.wait(10.0).sent == 1000
    wait_received(receiver, 1000)
    for switch, off, there in (("all", 0, True), ("all", 1, False), (INTERFACE, 0, True)):
        n1.machine.sysctl(f"net/ipv6/conf/{switch}/disable_ipv6", off)
        wait_until(partial(lambda want: bool(n1.status().problems) is want, there), LIMIT_S, f"disable_ipv6 {off}")
    said = f"IPv6 came on after the start, and {INTERFACE} goes on with IPv4 only: "
    for advice in ("start the node again", "sysctl -w net.ipv6.conf.default.disable_ipv6=0, and start the node again"):
        wait_until(partial(lambda text: text in n1.log_tail(), f"{said}{advice}"), LIMIT_S, advice)
    n1.stop()
    assert not has_interface(n1.machine)
