"""Cables of the underlay: order, loss, a cut one."""

from __future__ import annotations

import subprocess

from lab.machine import Machine, Port
from lab.process import in_namespace

TABLE = "lab_loss"
SCALE = 100_000  # steps of 0.001 %
LIMIT_S = 10.0


def loss_ruleset(interface: str, percent: float) -> str:
    """The nftables script that drops ``percent`` of the IPv4 and IPv6 packets at an interface's ingress.

    It replaces the one before. ARP and ND pass: a lost one costs a second of the kernel's own timers, which would
    measure those. A super-packet of segmentation offload is one packet here, as it is to the veth pair.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is not a percentage")
    empty = f"table netdev {TABLE} {{}}\ndelete table netdev {TABLE}\n"
    if percent == 0:
        return empty
    random = "" if percent == 100 else f"numgen random mod {SCALE} < {round(percent * SCALE / 100)} "
    return empty + (
        f"table netdev {TABLE} {{\n"
        f"  chain ingress {{\n"
        f'    type filter hook ingress device "{interface}" priority 0; policy accept;\n'
        f"    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n"
        f"    meta protocol {{ ip, ip6 }} {random}drop\n"
        f"  }}\n"
        f"}}\n"
    )


def set_loss(machine: Machine, percent: float) -> None:
    machine.run(["nft", "-f", "-"], stdin=loss_ruleset(machine.underlay_interface, percent), limit_s=LIMIT_S)


def set_port_blocked(port: Port, *, blocked: bool) -> None:
    """Sets the switch port's state (bridge(8)): disabled ports neither take nor give frames; the carrier stays."""
    command = ["bridge", "link", "set", "dev", port.switch_port, "state", "disabled" if blocked else "forwarding"]
    subprocess.run(in_namespace(port.switch_namespace, command), check=True, capture_output=True, timeout=LIMIT_S)


def set_in_order(machine: Machine) -> None:
    """Both ends of the underlay's cable give all packets to one core (RPS), whichever core sent them.

    A veth pair leaves a packet to the core that sends it, and under a queueing discipline that is any core, so that a
    later packet can overtake an earlier one, as it can on the Internet.
    """
    port = machine.ports[0]
    for namespace, interface in ((port.switch_namespace, port.switch_port), (machine.namespace, port.interface)):
        every = f"for mask in /sys/class/net/{interface}/queues/rx-*/rps_cpus; do echo 1 > $mask; done"
        subprocess.run(
            in_namespace(namespace, ["sh", "-e", "-c", every]), check=True, capture_output=True, timeout=LIMIT_S
        )
