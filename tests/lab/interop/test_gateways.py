"""Gateway programs on the node's own machine: told by the node what hosts of other nodes want, they bring it.

::

     source                n0: igmpproxy                  n1
      eth0                 eth1   treecast0               treecast0: a viewer
     ==+==== a subnet =====+         |                       |
                                     +======= overlay =======+
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import Lab, Machine, wait_until
from lab.lan import enable_multicast
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from lab.sites import LIMIT_S, make_sites
from tests.lab.conftest import OverlayFactory
from tests.lab.interop.routers import PROGRAMS, beyond
from tests.lab.overlay.asking import wait_received

PORT = 5012
GROUP = "239.69.0.1"
GATEWAY = "10.99.1.77/16"
"""The gateway is in the LAN's second subnet, which has the bridging machine as its .254."""
TTL = 8


@contextmanager
def igmpproxy(machine: Machine, directory: Path, *, upstream: str, downstream: str) -> Iterator[Path]:
    """The proxy while it runs, and its log."""
    conf, log = directory / "conf", directory / "log"
    interfaces = f"phyint {upstream} upstream\nphyint {downstream} downstream\nphyint lo disabled\n"
    conf.write_text(interfaces, encoding="ascii")
    process = machine.spawn([PROGRAMS / "igmpproxy", "-d", "-v", conf], stdout=log, stderr=log)
    try:
        yield log
    finally:
        process.stop()
        print(log.read_text(encoding="utf-8"))


def subnet(lab: Lab, machine: Machine, name: str) -> tuple[Machine, str]:
    """A host in a subnet of its own beyond a machine, and the machine's interface there."""
    switch = lab.switch()
    host, port = lab.machine(name, switch), lab.attach(machine, switch)
    enable_multicast(host, "eth0")
    enable_multicast(machine, port.interface)
    return host, port.interface


def serves(source: Machine, viewer: Machine, interface: str, log: Path, group: str = GROUP) -> None:
    """The viewer gets the stream, all of it once it runs, and the proxy hears it leave."""
    receiver = Receiver(viewer, group, PORT, interface=interface)
    first = Sender(source, group, PORT, interface="eth0", rate_pps=20, ttl=TTL)
    wait_received(receiver, 5, LIMIT_S)
    first.stop()
    receiver.stop()
    wait_until(lambda: "RECV Leave message" in log.read_text(encoding="utf-8"), LIMIT_S, "the proxy hears of the leave")


def test_igmpproxy_on_a_node_serves_a_viewer_at_another_node(lab: Lab, overlay: OverlayFactory, tmp_path: Path) -> None:
    net = overlay(2)
    source, upstream = subnet(lab, net[0].machine, "source")
    with igmpproxy(net[0].machine, tmp_path, upstream=upstream, downstream=INTERFACE) as log:
        serves(source, net[1].machine, INTERFACE, log)
    assert "igmp_own_query" not in net[0].status().drops


def test_igmpproxy_on_a_bridging_machine_serves_a_viewer_on_another_lan(lab: Lab, tmp_path: Path) -> None:
    """The LANs are its own: its queries keep their hosts at IGMPv2 for minutes after its end."""
    sites = make_sites(lab)
    sites.bridge_all()
    machine = sites.overlay[0].machine
    source, upstream = subnet(sites.lab, machine, "gateway-source")
    downstream = f"tcbr-{sites.interfaces[0]}"
    with igmpproxy(machine, tmp_path, upstream=upstream, downstream=downstream) as log:
        serves(source, sites.lans[1].hosts[0], "eth0", log)


def test_igmpproxy_in_the_second_subnet_of_a_lan_serves_a_viewer_on_another_lan(lab: Lab, tmp_path: Path) -> None:
    """The bridging machine has an address in both; the proxy refuses what comes from the first. The LANs are its own:
    it stays their querier for minutes after its end.
    """
    sites = make_sites(lab)
    sites.bridge_all()
    with beyond(sites, "gateway") as lan:
        lan.router.run(["ip", "address", "del", str(lan.router.ports[0].ipv4), "dev", "eth0"])
        lan.router.run(["ip", "address", "add", GATEWAY, "dev", "eth0"])
        with igmpproxy(lan.router, tmp_path, upstream="eth1", downstream="eth0") as log:
            wait_until(lambda: "RECV Membership query" in log.read_text(encoding="utf-8"), LIMIT_S, "the proxy queries")
            serves(lan.host, sites.lans[1].hosts[0], "eth0", log, "239.69.0.2")
