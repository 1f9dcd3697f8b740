"""Switch mode as the router side sees it: our TAP in a Linux bridge, with the machine itself and LAN hosts on it.

host1 --- h1 [        br0         ] treecast0 [TAP] -- this process: SwitchMembership
host2 --- h2 [ 10.77.0.1, fe80::. ]
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from random import Random

from lab.leftovers import new_prefix
from lab.namespace import Namespace
from lab.waiting import wait_until
from tests.lab.multicast.kernel_port import Program
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.membership import SourceFilter
from treecast.base.time import Instant
from treecast.multicast import MembershipConfig, SwitchMembership, SwitchOutput
from treecast.wire import ethernet, igmp, ipv6, mld
from treecast.wire.ethernet import EtherType
from treecast.wire.group_membership import MembershipQuery

MAC = MacAddress(b"\x02\x54\0\0\0\x01")
LINK_LOCAL = IPv6Address("fe80::54:ff:fe00:1")
HIGHEST = IPv4Address("10.77.255.254"), IPv6Address("fe80::ffff:ffff:ffff:fffe")
"""Addresses that lose every election."""

BRIDGE_IPV4 = IPv4Address("10.77.0.1")
_TUNSETIFF, _IFF_TAP_NO_PI = 0x400454CA, 0x1002


class BridgedTap:
    """Close it. ``hosts``: the sysctls of each host's interface, one host each; ``source``: our queries' addresses."""

    def __init__(
        self,
        config: MembershipConfig,
        bridge_options: str = "",
        hosts: list[dict[str, int]] | None = None,
        source: tuple[IPv4Address, IPv6Address] = (BRIDGE_IPV4, LINK_LOCAL),
    ) -> None:
        prefix = new_prefix()
        self._sockets: list[socket.socket] = []
        self.drops = Drops()
        self.namespaces = [Namespace(f"{prefix}-tclan")]
        self.namespace = self.namespaces[0]
        self.namespace.sysctl("net/ipv6/conf/default/accept_dad", 0)
        with self.namespace.enter():
            self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self.tap, _TUNSETIFF, struct.pack("16sH22x", b"treecast0", _IFF_TAP_NO_PI))
        self._ip(f"link add br0 type bridge mcast_snooping 0 {bridge_options}")
        self._ip("link set treecast0 master br0 up")
        for number, sysctls in enumerate(hosts or [], start=1):
            self._add_host(f"{prefix}-tch{number}", number, sysctls)
        self._ip(f"addr add {BRIDGE_IPV4}/16 dev br0")
        self._ip("link set br0 up")
        self.switch = SwitchMembership(config, self.drops, mac=MAC, link_local=source[1], rng=Random(1), ipv4=source[0])
        wait_until(
            lambda: all(self._has_link_local(own) for own in self.namespaces), 10, "all have link-local addresses"
        )

    def _add_host(self, name: str, number: int, sysctls: dict[str, int]) -> None:
        host = Namespace(name)
        self.namespaces.append(host)
        host.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self._ip(f"link add h{number} type veth peer name eth0 netns {name}")
        self._ip(f"link set h{number} master br0 up")
        for key, value in sysctls.items():
            host.sysctl(key, value)
        self._ip(f"addr add 10.77.0.{100 + number}/16 dev eth0", host)
        self._ip("link set eth0 up", host)

    def _ip(self, arguments: str, where: Namespace | None = None) -> None:
        with (where or self.namespace).enter():
            subprocess.run(["ip", *arguments.split()], check=True)

    def _has_link_local(self, own: Namespace) -> bool:
        return any(not entry["flags"] & 0x40 for entry in own.netlink.get_addr(family=socket.AF_INET6, scope=253))

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        os.close(self.tap)
        for own in self.namespaces:
            own.close()

    def program(self, host: int, version: int) -> Program:
        """A program on a host; 0: on the machine itself."""
        own = self.namespaces[host]
        with own.enter():
            sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
            index = socket.if_nametoindex("eth0" if host else "br0")
        self._sockets.append(sock)
        return Program(sock, index)

    def start(self) -> None:
        self.carry_out(self.switch.start(now()))

    def start_with_a_query(self, version: int, limit_s: float) -> None:
        """The switch sends nothing before another router's query of this IP version: a bridge gives way to any that it
        hears, also to one from 0.0.0.0, which RFC 4541 section 2.1.1 lets nobody win with."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if select.select([self.tap], [], [], 0.1)[0]:
                data = os.read(self.tap, 4096)
                with suppress(MalformedError):
                    frame = ethernet.parse(data)
                    parse = igmp.parse_frame if version == 4 else mld.parse_frame
                    if isinstance(parse(frame).message, MembershipQuery):
                        self.carry_out(self.switch.receive(now(), 0, frame))
                        return
        raise TimeoutError(f"no query of IPv{version} within {limit_s:g} s")

    def pump(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Serve the TAP and the timers until the condition holds. TimeoutError after the limit."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {limit_s:g} s: {self.switch.filters()} {self.drops.snapshot()}")
            deadline = self.switch.next_deadline()
            pause = 0.02 if deadline is None else min(max(deadline - now(), 0), 0.02)
            if select.select([self.tap], [], [], pause)[0]:
                with suppress(BlockingIOError, MalformedError):
                    self._receive(os.read(self.tap, 4096))
            self.carry_out(self.switch.advance(now()))

    def pump_for(self, duration_s: float) -> None:
        end = time.monotonic() + duration_s
        self.pump(lambda: time.monotonic() >= end, duration_s + 5)

    def filter(self, group: IPAddress) -> SourceFilter:
        return self.switch.filter(0, group)

    def carry_out(self, output: SwitchOutput) -> None:
        for sent in output.frames:
            os.write(self.tap, sent.frame)

    def _receive(self, data: bytes) -> None:
        """Takes IGMP and MLD only, as the data plane's classifier does."""
        frame = ethernet.parse(data)
        if frame.ethertype == EtherType.IPV4:
            igmp.parse_frame(frame)
        elif frame.ethertype != EtherType.IPV6 or not mld.is_mld(ipv6.parse(frame.payload)):
            return
        self.carry_out(self.switch.receive(now(), 0, frame))


def now() -> Instant:
    return Instant(time.monotonic())
