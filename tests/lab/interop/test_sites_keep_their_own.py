"""Each site keeps its own routers and DHCP servers (dnsmasq): nothing that configures its hosts leaves the LAN.

::

      h1-3: DHCP, router of fd00:1::/64       h2-3: router of fd00:2::/64, no DHCP
     ==++===== LAN 1 ====== n0 .. overlay .. n1 ====== LAN 2 ==++==
                                                               visitor
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path

from lab import Machine, wait_until
from lab.dhcp import serving_dhcp
from lab.lan import link_local
from lab.node import PROGRAM
from lab.sites import LIMIT_S, Sites, verb
from treecast.api.client import fetch_bridge
from treecast.base.addresses import MacAddress
from treecast.wire import ethernet, ndp

FIRST, LAST = "10.99.60.10", "10.99.60.20"
ALL_ROUTERS = IPv6Address("ff02::2")


@contextmanager
def advertising(router: Machine, directory: Path, prefix: str) -> Iterator[None]:
    """dnsmasq on eth0 is the router of a prefix for as long."""
    directory.mkdir()
    router.run(["ip", "addr", "add", f"{prefix}1/64", "dev", "eth0"])
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--enable-ra"]
    options += [f"--dhcp-range={prefix},ra-only,64", "--ra-param=eth0,60,600", "--user=root"]
    options += [f"--pid-file={directory / 'pid'}", f"--dhcp-leasefile={directory / 'leases'}"]
    dnsmasq = router.spawn(["dnsmasq", *options], stderr=directory / "log")
    try:
        wait_until((directory / "pid").exists, LIMIT_S, "dnsmasq advertises")
        yield
    finally:
        dnsmasq.stop()
        router.run(["ip", "addr", "del", f"{prefix}1/64", "dev", "eth0"])


def solicit(host: Machine) -> None:
    """Makes the routers of its LAN advertise to all at once (RFC 4861 section 6.2.6: the source is unspecified)."""
    mac = MacAddress.parse(host.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip())
    frame = ndp.frame(
        ndp.RouterSolicitation(()),
        source_mac=mac,
        source=IPv6Address("::"),
        destination_mac=ethernet.multicast_mac(ALL_ROUTERS),
        destination=ALL_ROUTERS,
    )
    with host.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as own:
        own.bind(("eth0", 0))
        own.send(frame)


def default_routers(machine: Machine, interface: str) -> set[str]:
    words = machine.run(["ip", "-6", "route", "show", "default", "dev", interface]).stdout.split()
    return {word for before, word in itertools.pairwise(words) if before == "via"}


def prefixes(machine: Machine, interface: str) -> set[str]:
    """The prefixes of the addresses that a machine made of what routers advertise."""
    words = machine.run(["ip", "-6", "-o", "addr", "show", "dev", interface, "scope", "global"]).stdout.split()
    return {word[:6] for before, word in itertools.pairwise(words) if before == "inet6" and "fd00:" in word}


def test_a_site_s_hosts_and_the_bridging_machine_get_its_own_routers_and_nobody_s_dhcp_from_afar(
    sites: Sites, tmp_path: Path
) -> None:
    here, there = sites.lans[:2]
    node = sites.overlay[1]
    near, far = there.hosts[2], here.hosts[2]
    visitor = sites.lab.machine("guest", there.switch)
    visitor.run(["ip", "-4", "addr", "flush", "dev", "eth0"])
    hosts = [(visitor, "eth0"), (node.machine, "tcbr-eth1")]
    for machine, interface in hosts:
        machine.sysctl(f"net/ipv6/conf/{interface}/accept_ra", 2)
    before = fetch_bridge(sites.overlay[0].directory).kept_local
    with (
        serving_dhcp(far, tmp_path, FIRST, LAST),
        advertising(far, tmp_path / "far", "fd00:1::"),
        advertising(near, tmp_path / "near", "fd00:2::"),
    ):

        def kept() -> dict[str, int]:
            now = fetch_bridge(sites.overlay[0].directory).kept_local
            return {word: now[word] - before[word] for word in now}

        solicit(here.hosts[0])
        wait_until(lambda: kept()["ra"] >= 2, LIMIT_S, "the far router has been asked, and has answered")
        solicit(there.hosts[0])
        own = {link_local(near, "eth0")}

        def has_its_own(machine: Machine, interface: str) -> bool:
            return default_routers(machine, interface) == own

        for machine, interface in hosts:
            wait_until(partial(has_its_own, machine, interface), LIMIT_S, "its router is known")
        asked = visitor.run(["udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T", "1"], check=False)
        assert asked.returncode != 0 and "no lease" in asked.stderr
        for machine, interface in hosts:
            assert default_routers(machine, interface) == own
            assert prefixes(machine, interface) == {"fd00:2"}
        shown = verb(node, "show")
        assert "keeps local" in shown and "ra, dhcp" in shown and "Frames that stayed on their LANs" in shown
    for machine, interface in hosts:
        machine.sysctl(f"net/ipv6/conf/{interface}/accept_ra", 0)
    assert "forwarding" in node.machine.run([PROGRAM, "bridge", "show", node.directory]).stdout
