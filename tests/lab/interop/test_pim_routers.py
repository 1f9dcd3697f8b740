"""PIM routers on nodes: what is behind one reaches receivers behind the other, and sources on the overlay reach both.

::

     source              n0: pimd, the RP                  n1: pimd           receiver
      eth0               eth1   treecast0             treecast0   eth1          eth0
     ==+==== a subnet ====+         |                     |         +==== a subnet ==+==
                                    +====== overlay ======+
                                               |
                                         n2: a source too
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from lab.process import Process
from lab.sites import LIMIT_S, Sites
from tests.lab.conftest import OverlayFactory
from tests.lab.interop.routers import PROGRAMS, beyond
from tests.lab.interop.test_gateways import subnet
from tests.lab.overlay.asking import wait_received

PORT = 5013
TTL = 8
JOIN_LIMIT_S = 10.0
OPTIONS = ("--router-groups", "239.70.0.0/16", "--keep-interface")
CONVERGENCE_LIMIT_S = 40.0
"""pimd looks at its configuration's rendezvous point only after 20 s."""
ATTEMPT_S = 4.0


@contextmanager
def pimd(machine: Machine, directory: Path, rendezvous_point: str, *interfaces: str) -> Iterator[Process]:
    """The router while it runs."""
    conf, log = directory / f"{machine.name}.conf", directory / f"{machine.name}.log"
    lines = [*(f"phyint {interface}" for interface in interfaces), f"rp-address {rendezvous_point}", ""]
    conf.write_text("\n".join(lines), encoding="ascii")
    machine.sysctl("net/ipv4/conf/all/forwarding", 1)
    machine.sysctl("net/ipv4/conf/all/rp_filter", 0)
    process = machine.spawn([PROGRAMS / "pimd", "-f", "-N", "-c", conf], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(SIGCONT)
        process.stop()
        print(log.read_text(encoding="utf-8")[-4000:])


def converge(receiver: Machine, source: Machine, group: str) -> None:
    """Waits until the receiver gets a stream. It joins again and again: a report from before pimd knew a rendezvous
    point counts only when it is repeated, to pimd's next query, half a minute after the first.
    """
    sender = Sender(source, group, PORT, interface="eth0", rate_pps=50, ttl=TTL)

    def is_heard() -> bool:
        joined = Receiver(receiver, group, PORT, interface="eth0")
        with suppress(TimeoutError):
            wait_received(joined, 1, ATTEMPT_S)
        return joined.stop().received > 0

    wait_until(is_heard, CONVERGENCE_LIMIT_S, f"{group} reaches who joins it")
    sender.stop()


def hears(receiver: Machine, source: Machine, group: str, limit_s: float, *, sends_on: str = "eth0") -> None:
    """The receiver gets a stream that runs already, within the limit after it has joined."""
    sender = Sender(source, group, PORT, interface=sends_on, rate_pps=50, ttl=TTL)
    joined = Receiver(receiver, group, PORT, interface="eth0")
    wait_received(joined, 1, limit_s)
    wait_received(joined, 50, LIMIT_S)
    sender.stop()
    joined.stop()


def hears_through_a_restart(routed: Routed, group: str) -> None:
    """The node of a router starts again while that router is stopped, so that no Join of it can come."""
    node = routed.net[1]
    sender = Sender(routed.hosts[0], group, PORT, interface="eth0", rate_pps=50, ttl=TTL)
    joined = Receiver(routed.hosts[1], group, PORT, interface="eth0")
    wait_received(joined, 50, JOIN_LIMIT_S)
    routed.routers[1].send_signal(SIGSTOP)
    node.stop()
    before = joined.snapshot().received
    node.start(routed.net[0].endpoint, options=OPTIONS)
    node.wait_ready()
    wait_received(joined, before + 50, LIMIT_S)
    sender.stop()
    joined.stop()


@dataclass(frozen=True, slots=True)
class Routed:
    net: Overlay
    hosts: tuple[Machine, Machine]
    routers: tuple[Process, Process]


@pytest.fixture
def routed(lab: Lab, overlay: OverlayFactory, tmp_path: Path) -> Iterator[Routed]:
    net = overlay(3, start=False)
    subnets = [subnet(lab, net[site].machine, f"host{site}") for site in (0, 1)]
    net.start(options=OPTIONS)
    hosts = (subnets[0][0], subnets[1][0])
    for site in (0, 1):
        beyond_other = hosts[1 - site].ports[0].ipv4.network
        net[site].machine.run(["ip", "route", "add", str(beyond_other), "via", net[1 - site].ipv4, "dev", INTERFACE])
    rendezvous_point = net[0].ipv4
    with (
        pimd(
            net[0].machine, tmp_path, rendezvous_point, f"{subnets[0][1]} enable", f"{INTERFACE} enable dr-priority 9"
        ) as first,
        pimd(net[1].machine, tmp_path, rendezvous_point, f"{subnets[1][1]} enable", f"{INTERFACE} enable") as second,
    ):
        yield Routed(net, hosts, (first, second))


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_receivers_behind_pim_routers_on_nodes_hear_sources_elsewhere_also_after_a_restart(routed: Routed) -> None:
    """Sources are first behind the other router; then one is on the overlay itself, whose designated router, the
    rendezvous point, joins nothing: its node gets the group by the prefix. At last the node of a router that says
    nothing more.
    """
    net, hosts = routed.net, routed.hosts
    converge(hosts[1], hosts[0], "239.67.1.1")
    hears(hosts[1], hosts[0], "239.67.1.2", JOIN_LIMIT_S)
    (joined,) = [group for group in net[1].groups() if group.group == "239.67.1.2" and group.source == "*"]
    assert [member.node for member in joined.members] == ["n1"]
    assert joined.here[0].joins[0].upstream == net[0].ipv4
    hears(hosts[0], net[2].machine, "239.70.1.1", JOIN_LIMIT_S, sends_on=INTERFACE)
    shown = [group for group in net[2].groups() if group.group == "239.70.0.0/16"]
    assert [member.node for member in shown[0].members] == ["n0", "n1", "n2"]
    hears_through_a_restart(routed, "239.67.1.3")


@contextmanager
def without(machine: Machine, interface: str, address: str) -> Iterator[None]:
    """pimd speaks from an interface's first address."""
    machine.run(["ip", "addr", "del", address, "dev", interface])
    yield
    machine.run(["ip", "addr", "add", address, "dev", interface])


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_a_receiver_behind_a_pim_router_on_a_bridged_lan_hears_a_source_elsewhere(sites: Sites, tmp_path: Path) -> None:
    """One router is on the machine that bridges LAN 2, the other is behind the node of LAN 1."""
    gateway, bridge = sites.overlay[1].machine, f"tcbr-{sites.interfaces[1]}"
    source, upstream = subnet(sites.lab, gateway, "pim-source")
    rendezvous_point = sites.lans[1].host_ipv4(254)
    with beyond(sites, "pim-behind") as behind:
        far = behind.router
        far.run(["ip", "addr", "add", "10.99.1.77/16", "dev", "eth0"])
        with (
            without(gateway, bridge, str(gateway.ports[1].ipv4)),
            without(far, "eth0", str(far.ports[0].ipv4)),
        ):
            far.run(["ip", "route", "add", str(source.ports[0].ipv4.network), "via", rendezvous_point])
            with (
                pimd(gateway, tmp_path, rendezvous_point, f"{upstream} enable", f"{bridge} enable"),
                pimd(far, tmp_path, rendezvous_point, "eth0 enable", "eth1 enable"),
            ):
                converge(behind.host, source, "239.67.2.1")
                hears(behind.host, source, "239.67.2.2", JOIN_LIMIT_S)
