"""One machine of the lab: a network namespace with interfaces on switches, in which programs run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from pyroute2.ethtool.ioctl import IoctlEthtool

from lab.capture import Capture
from lab.counting import Counters, parse_net_dev
from lab.namespace import Namespace
from lab.process import Argument, Process, Stream, in_namespace
from lab.waiting import wait_until

RUN_LIMIT_S = 30.0
READY_LIMIT_S = 10.0
IFF_MULTICAST = 0x1000  # linux/if.h
IFA_F_NODAD = 0x02  # linux/if_addr.h
# Features that let an interface carry more than one packet of MTU size at a time (ethtool's long names).
OFFLOADS = ("tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation", "tx-generic-segmentation", "rx-gro")


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a machine and the switch port at the other end of its cable."""

    interface: str
    ipv4: IPv4Interface
    ipv6: IPv6Interface
    switch_namespace: str
    switch_port: str


class Machine:
    """Made by ``Lab.machine``. Netlink is used while it is made only; all methods may be called from any thread."""

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self.ports: list[Port] = []
        self._namespace = namespace
        self._processes: list[Process] = []
        # IPv6 addresses are usable at once (no duplicate address detection), nothing is asked of routers.
        for interface in ("all", "default"):
            self.sysctl(f"net/ipv6/conf/{interface}/accept_dad", 0)
            self.sysctl(f"net/ipv6/conf/{interface}/accept_ra", 0)
            self.sysctl(f"net/ipv6/conf/{interface}/router_solicitations", 0)
        self.sysctl("net/ipv6/conf/default/dad_transmits", 0)
        namespace.netlink.link("set", index=1, state="up")

    @property
    def namespace(self) -> str:
        """The name under /run/netns."""
        return self._namespace.name

    @property
    def namespace_fd(self) -> int:
        return self._namespace.fd

    @property
    def underlay_interface(self) -> str:
        """The interface on the first switch it was attached to; the underlay addresses are this one's."""
        return self.ports[0].interface

    @property
    def underlay_ipv4(self) -> str:
        return str(self.ports[0].ipv4.ip)

    @property
    def underlay_ipv6(self) -> str:
        return str(self.ports[0].ipv6.ip)

    def add_port(self, port: Port) -> None:
        """Brings up the interface that a switch has put here, with its addresses."""
        netlink = self._namespace.netlink
        index = netlink.link_lookup(ifname=port.interface)[0]
        for address in (port.ipv4, port.ipv6):
            # Whatever accept_dad says, an address is tentative until a worker of the kernel has looked at it, and no
            # program can bind it until then. Not with this flag.
            flags = IFA_F_NODAD if address.version == 6 else 0
            words = {"address": str(address.ip), "prefixlen": address.network.prefixlen}
            netlink.addr("add", index=index, flags=flags, **words)
        # Without the MULTICAST flag no program takes the underlay for a multicast interface; ND works without it.
        netlink.link("set", index=index, flags=0, change=IFF_MULTICAST)
        netlink.link("set", index=index, state="up")
        wait_until(lambda: self._hears_solicitations(port), READY_LIMIT_S, f"{self.name} is there for ND", poll_s=0.001)
        self.ports.append(port)

    def _hears_solicitations(self, port: Port) -> bool:
        """Whether its address on the port can be resolved: a worker of the kernel joins the group of solicitations."""
        solicited = bytes.fromhex("ff02" + 18 * "0" + "01ff") + port.ipv6.packed[-3:]
        with self.enter():
            groups = Path("/proc/thread-self/net/igmp6").read_text()
        return any(row.split()[1:3] == [port.interface, solicited.hex()] for row in groups.splitlines())

    def spawn(
        self,
        command: Sequence[Argument],
        *,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Starts a program here. It is killed, with its process group, when the lab ends."""
        process = Process(self.namespace, command, stdout=stdout, stderr=stderr, env=env, cwd=cwd)
        self._processes = [known for known in self._processes if known.running]
        self._processes.append(process)
        return process

    def run(
        self, command: Sequence[Argument], *, stdin: str = "", check: bool = True, limit_s: float = RUN_LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end, with what it wrote as text.

        RuntimeError with its stderr on a non-zero exit unless ``check`` is false; subprocess.TimeoutExpired.
        """
        words = [str(argument) for argument in command]
        command_line = in_namespace(self.namespace, words)
        done = subprocess.run(command_line, input=stdin, capture_output=True, text=True, timeout=limit_s, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: exit {done.returncode}: {done.stderr or done.stdout}")
        return done

    @contextmanager
    def enter(self) -> Iterator[None]:
        """The calling thread is on this machine during the block: sockets opened there belong to it."""
        with self._namespace.enter():
            yield

    def counters(self, interface: str | None = None) -> Counters:
        """Counters of an interface (the underlay's if not named). KeyError when it is not there."""
        with self.enter():
            text = Path("/proc/thread-self/net/dev").read_text(encoding="ascii")
        return parse_net_dev(text, interface or self.underlay_interface)

    def capture(self, path: Path, filter_: str = "", *, interface: str | None = None) -> Capture:
        """tcpdump on an interface (the underlay's if not named) into a pcap file, as a context manager."""
        return Capture(self.namespace, interface or self.underlay_interface, path, filter_)

    def sysctl(self, key: str, value: int | str) -> None:
        """Writes ``net/...`` under /proc/sys of this machine."""
        self._namespace.sysctl(key, value)

    def disable_ipv6(self) -> None:
        """Keeps every interface without IPv6 addresses, now and later, as an administrator does."""
        for interface in ("all", "default"):
            self.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", 1)

    def offload(self, on: bool, interface: str | None = None) -> None:
        """Switches segmentation offload and GRO of an interface on or off."""
        with self.enter():
            ethtool = IoctlEthtool(interface or self.underlay_interface)
            features = ethtool.get_features()
            for name in OFFLOADS:
                features[name] = on
            ethtool.set_features(features)
            ethtool.close()

    def end_processes(self) -> None:
        """Kills what was spawned here and still runs."""
        for process in self._processes:
            process.kill()
        self._processes.clear()
