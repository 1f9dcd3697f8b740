"""LANs behind nodes: switch mode's lab.

Two LANs, as ``Lan(lab, 1)`` and ``Lan(lab, 2)`` build them, and a node on each after ``lan.connect(machine)``::

      h1.1 10.99.1.1/16   h1.2 10.99.1.2/16                    h2.1 10.99.2.1/16   h2.2 10.99.2.2/16
          eth0                eth0                                 eth0                eth0
     ======++==================++=======++ LAN 1              LAN 2 ++======++==================++======
                                        ||                          ||
                            eth1 10.99.1.254/16            eth1 10.99.2.254/16
                                   n0                               n1
                            eth0 198.18.0.1                eth0 198.18.0.2
                                    ||                              ||
     ===============================++======== underlay switch =====++==================================

All hosts are in one subnet: what reaches another LAN reaches it as Ethernet frames, over the overlay or not at all.
"""

from __future__ import annotations

from lab.machine import Machine
from lab.topology import Lab, Switch

PREFIX_LENGTH = 16


class Lan:
    """A switch of its own that floods what is for groups, and hosts on it that do multicast."""

    def __init__(self, lab: Lab, number: int, hosts: int = 2) -> None:
        """``number`` is from 1 and one of the lab's own."""
        self.number = number
        self.switch: Switch = lab.switch()
        self.hosts = [lab.machine(f"h{number}-{host}", self.switch) for host in range(1, hosts + 1)]
        for host, machine in enumerate(self.hosts, 1):
            enable_multicast(machine, "eth0")
            _address(machine, "eth0", self.host_ipv4(host))

    def host_ipv4(self, host: int) -> str:
        """The address of the host of this number, from 1, on all LANs' common subnet."""
        return f"10.99.{self.number}.{host}"

    def connect(self, lab: Lab, machine: Machine, last: int = 254) -> str:
        """A further interface of a machine, on this LAN: its name."""
        interface = lab.attach(machine, self.switch).interface
        enable_multicast(machine, interface)
        _address(machine, interface, self.host_ipv4(last))
        return interface


def enable_multicast(machine: Machine, interface: str) -> None:
    """Gives an interface multicast and the default route of groups, as any real one has."""
    machine.run(["ip", "link", "set", interface, "multicast", "on"])
    machine.run(["ip", "route", "replace", "224.0.0.0/4", "dev", interface, "metric", "500"])


def link_local(machine: Machine, interface: str) -> str:
    """Its IPv6 link-local address."""
    words = machine.run(["ip", "-6", "-o", "addr", "show", "dev", interface, "scope", "link"]).stdout.split()
    return words[words.index("inet6") + 1].split("/")[0]


def _address(machine: Machine, interface: str, ipv4: str) -> None:
    machine.run(["ip", "addr", "add", f"{ipv4}/{PREFIX_LENGTH}", "dev", interface])
