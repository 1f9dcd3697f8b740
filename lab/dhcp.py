"""A DHCP server (dnsmasq) on a machine of the lab, and a client (udhcpc) that configures an interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.machine import Machine
from lab.process import Process
from lab.waiting import wait_until

LIMIT_S = 15.0
SHORTEST_LEASE_S = 120
"""dnsmasq grants none for less than two minutes."""

# As Debian's script for it does, without its resolv.conf, and with the lifetimes that dhclient sets.
_SCRIPT = """#!/bin/sh
case $1 in
deconfig) ip link set $interface up; ip -4 addr flush dev $interface;;
bound|renew) ip addr replace $ip/$mask dev $interface valid_lft $lease preferred_lft $lease; echo "$1 $ip $serverid";;
esac
"""


@contextmanager
def serving_dhcp(server: Machine, directory: Path, first: str, last: str, lease: str = "2m") -> Iterator[None]:
    """dnsmasq on eth0, with addresses from ``first`` to ``last`` of a /16; its files are in ``directory``."""
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--no-ping"]
    options += [f"--dhcp-range={first},{last},255.255.0.0,{lease}", f"--dhcp-leasefile={directory / 'leases'}"]
    options += ["--user=root", f"--pid-file={directory / 'pid'}"]
    dnsmasq = server.spawn(["dnsmasq", *options], stderr=directory / "dnsmasq.log")
    try:
        wait_until((directory / "pid").exists, LIMIT_S, "dnsmasq serves")
        yield
    finally:
        dnsmasq.stop()


def dhcp_client(machine: Machine, interface: str, directory: Path) -> Process:
    """udhcpc in the foreground. It writes ``bound ADDRESS SERVER`` and ``renew ADDRESS SERVER`` to its stdout."""
    script = directory / "udhcpc.script"
    script.write_text(_SCRIPT, encoding="ascii")
    script.chmod(0o755)
    command = ["udhcpc", "-i", interface, "-f", "-t", "5", "-T", "1", "-s", str(script)]
    return machine.spawn(command, stdout=subprocess.PIPE, stderr=directory / "udhcpc.log")
