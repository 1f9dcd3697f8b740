"""The lab: machines on switches, and its guaranteed end.

One switch and three machines, as ``lab.switch()`` and ``lab.machine(name, lan)`` build them::

      namespace tcPID.START-N-n0      ...-n1                  ...-n2
     +----------------------+  +----------------------+  +----------------------+
     | lo                   |  | lo                   |  | lo                   |
     | eth0 198.18.0.1/24   |  | eth0 198.18.0.2/24   |  | eth0 198.18.0.3/24   |
     |      2001:db8::1/64  |  |      2001:db8::2/64  |  |      2001:db8::3/64  |
     +---------||-----------+  +---------||-----------+  +---------||-----------+
               || veth                   ||                        ||
     +---------p1------------------------p2------------------------p3-----------+
     | br0: no STP, no IGMP or MLD of its own, no addresses     ...-switch0     |
     +---------------------------------------------------------------------------+

A second switch is 198.18.1.0/24 and 2001:db8:0:1::/64; ``lab.attach(machine, switch)`` puts eth1 of a machine on it.
198.18.0.0/15 is RFC 2544's range for benchmarks, 2001:db8::/32 RFC 3849's for documentation.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from types import FrameType, TracebackType

from lab import leftovers
from lab.impairment import set_in_order, set_loss, set_port_blocked
from lab.machine import Machine, Port
from lab.namespace import Namespace

DEFAULT_MTU_BYTES = 1500
MOST_PORTS = 254  # hosts of a /24
MOST_SWITCHES = 256
NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Switch:
    """A Linux bridge in a namespace of its own. Made by ``Lab.switch``."""

    def __init__(self, number: int, namespace: Namespace, mtu_bytes: int) -> None:
        self.number = number
        self.mtu_bytes = mtu_bytes
        self._namespace = namespace
        self._ports = 0
        for interface in ("all", "default"):  # it is a cable box: it sends nothing of its own
            namespace.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", 1)
        namespace.netlink.link(
            "add", ifname="br0", kind="bridge", br_mcast_snooping=0, br_stp_state=0, br_forward_delay=0
        )
        self._bridge: int = namespace.netlink.link_lookup(ifname="br0")[0]
        namespace.netlink.link("set", index=self._bridge, mtu=mtu_bytes, state="up")

    @property
    def namespace(self) -> str:
        return self._namespace.name

    def plug(self, namespace_fd: int, interface: str) -> Port:
        """Makes a cable: one end in a port here, the other as ``interface`` in a machine's namespace."""
        if self._ports == MOST_PORTS:
            raise ValueError(f"a switch has {MOST_PORTS} ports")
        self._ports += 1
        name = f"p{self._ports}"
        peer = {"ifname": interface, "net_ns_fd": namespace_fd, "mtu": self.mtu_bytes}
        netlink = self._namespace.netlink
        netlink.link("add", ifname=name, kind="veth", peer=peer, mtu=self.mtu_bytes)
        index = netlink.link_lookup(ifname=name)[0]
        netlink.link("set", index=index, master=self._bridge, state="up")
        return Port(
            interface=interface,
            ipv4=IPv4Interface(f"198.{18 + self.number // 256}.{self.number % 256}.{self._ports}/24"),
            ipv6=IPv6Interface(f"2001:db8:0:{self.number:x}::{self._ports:x}/64"),
            switch_namespace=self.namespace,
            switch_port=name,
        )


class Lab:
    """Makes switches and machines; everything they have made is gone when the block is left, whatever the reason.

    An exception, SIGTERM and SIGINT leave the block; what ends without leaving it (``sys.exit`` in a thread, a missing
    ``with``) is caught at the interpreter's exit; what a killed lab has left is removed when the next one starts.
    """

    def __init__(self) -> None:
        self.removed_leftovers = leftovers.remove_leftovers()
        self._owner = os.getpid()
        self._prefix = leftovers.new_prefix()
        self._namespaces: list[Namespace] = []
        self._machines: dict[str, Machine] = {}
        self._switches = 0
        self._handler_before: Callable[[int, FrameType | None], object] | int | None = None
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self._prefix}-"))
        atexit.register(self.close)

    def __enter__(self) -> Lab:
        if threading.current_thread() is threading.main_thread():
            self._handler_before = signal.signal(signal.SIGTERM, _end_on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._handler_before is not None:
            signal.signal(signal.SIGTERM, self._handler_before)

    @property
    def prefix(self) -> str:
        """The beginning of its namespaces' names."""
        return self._prefix

    @property
    def machines(self) -> tuple[Machine, ...]:
        return tuple(self._machines.values())

    def switch(self, mtu_bytes: int = DEFAULT_MTU_BYTES) -> Switch:
        """A network that carries unicast; what it does with multicast (flood it) nobody here relies on."""
        if self._switches == MOST_SWITCHES:
            raise ValueError(f"a lab has at most {MOST_SWITCHES} switches")
        number = self._switches
        self._switches += 1
        return Switch(number, self._namespace(f"switch{number}"), mtu_bytes)

    def machine(self, name: str, *switches: Switch) -> Machine:
        """A machine with one interface on each of the switches, eth0 on the first."""
        if NAME.fullmatch(name) is None or name in self._machines:
            raise ValueError(f"{name!r} is not a new machine's name of letters, digits, - and _")
        machine = Machine(name, self._namespace(name))
        self._machines[name] = machine
        for switch in switches:
            self.attach(machine, switch)
        return machine

    def attach(self, machine: Machine, switch: Switch) -> Port:
        """A further interface of a machine, up and with addresses."""
        port = switch.plug(machine.namespace_fd, f"eth{len(machine.ports)}")
        machine.add_port(port)
        return port

    def loss(self, machine: Machine, percent: float) -> None:
        """Drops this share of the IP packets that arrive on a machine's underlay, at random; 0 ends it."""
        set_loss(machine, percent)

    def keep_order(self, machine: Machine) -> None:
        """Packets that a machine sends and gets on its underlay come in the order in which they were sent."""
        set_in_order(machine)

    def block(self, machine: Machine) -> None:
        """Nothing comes to the machine's underlay and nothing leaves it, as if a cable beyond the switch were cut."""
        set_port_blocked(machine.ports[0], blocked=True)

    def unblock(self, machine: Machine) -> None:
        set_port_blocked(machine.ports[0], blocked=False)

    def close(self) -> None:
        """Ends all processes and removes all namespaces and files. Signals wait until it is done. May be repeated.

        A forked child of the owner that comes here leaves everything alone.
        """
        if os.getpid() != self._owner:
            return
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            for machine in self._machines.values():
                machine.end_processes()
            leftovers.kill_all_in([namespace.name for namespace in self._namespaces])
        finally:
            for namespace in self._namespaces:
                namespace.close()
            self._namespaces.clear()
            self._machines.clear()
            shutil.rmtree(self.directory, ignore_errors=True)
            atexit.unregister(self.close)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def _namespace(self, name: str) -> Namespace:
        namespace = Namespace(f"{self._prefix}-{name}")
        self._namespaces.append(namespace)
        return namespace


def _end_on_signal(number: int, _frame: FrameType | None) -> None:
    """SIGTERM leaves the ``with`` blocks as Ctrl-C does.

    Not with SystemExit: pytest takes that for the failure of one test, and goes on with the next.
    """
    raise KeyboardInterrupt(signal.Signals(number).name)
