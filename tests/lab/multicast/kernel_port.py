"""A real Linux host behind a TAP, with our router on the TAP's other end, in real time.

kernel (sockets) -- treecast0 [TAP] -- this process: PortMembership
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from lab.leftovers import new_prefix
from lab.namespace import Namespace
from lab.waiting import wait_until
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.membership import NO_SOURCE, SourceFilter
from treecast.base.time import Instant
from treecast.multicast import MembershipConfig, Output, PortMembership
from treecast.wire import ethernet, igmp, ipv4, ipv6, mld
from treecast.wire.ethernet import EtherType
from treecast.wire.group_membership import MembershipMessage, ReceivedMessage

INTERFACE = "treecast0"
MAC = MacAddress(b"\x02\0\0\0\0\x01")
KERNEL_IPV4 = IPv4Address("10.77.0.1")
LINK_LOCAL = IPv6Address("fe80::ff:fe00:1")
QUICK = MembershipConfig(
    query_interval=1.5, query_response_interval=0.3, startup_query_interval=0.5, last_member_query_interval=0.3
)
JOIN_GROUP, BLOCK_SOURCE, UNBLOCK_SOURCE, LEAVE_GROUP, JOIN_SOURCE_GROUP, LEAVE_SOURCE_GROUP = range(42, 48)

_TUNSETIFF, _IFF_TAP_NO_PI = 0x400454CA, 0x1002
T = TypeVar("T")


class KernelPort:
    """Close it. The namespace has the TAP with an IPv4 and a link-local address."""

    def __init__(self, sysctls: dict[str, int] | None = None, config: MembershipConfig = QUICK) -> None:
        self.namespace = Namespace(f"{new_prefix()}-tcwire")
        self._sockets: list[socket.socket] = []
        self.heard: list[ReceivedMessage] = []
        self.drops = Drops()
        self.router = PortMembership(config, self.drops, mac=MAC, link_local=LINK_LOCAL)
        with self.namespace.enter():
            self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self.tap, _TUNSETIFF, struct.pack("16sH22x", INTERFACE.encode(), _IFF_TAP_NO_PI))
        no_duplicate_address_detection = {f"net/ipv6/conf/{INTERFACE}/accept_dad": 0}
        for key, value in {**no_duplicate_address_detection, **(sysctls or {})}.items():
            self.namespace.sysctl(key, value)
        self._configure()

    def _configure(self) -> None:
        netlink = self.namespace.netlink
        self._index = netlink.link_lookup(ifname=INTERFACE)[0]
        netlink.link("set", index=self._index, address=str(MAC), state="up")
        netlink.addr("add", index=self._index, address=str(KERNEL_IPV4), prefixlen=16)
        wait_until(self._has_link_local, 10, "the TAP has a link-local address")

    def _has_link_local(self) -> bool:
        addresses = self.namespace.netlink.get_addr(family=socket.AF_INET6, index=self._index)
        tentative = 0x40
        return any(not entry["flags"] & tentative for entry in addresses)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        os.close(self.tap)
        self.namespace.close()

    # The host's programs.

    def program(self, version: int) -> Program:
        """A program with one socket; version 4 or 6."""
        with self.namespace.enter():
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(sock)
        return Program(sock, self._index)

    # The router's side.

    def start(self) -> None:
        self._carry_out(self.router.start(_now()))

    def pump(self, condition: Callable[[], T], limit_s: float) -> T:
        """Serve the TAP and the timers until the condition holds; its value then. TimeoutError after the limit."""
        end = time.monotonic() + limit_s
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {limit_s:g} s: {self.router.filters()} {self.drops.snapshot()}")
            self._step()
        return value

    def pump_for(self, duration_s: float) -> None:
        end = time.monotonic() + duration_s
        self.pump(lambda: time.monotonic() >= end, duration_s + 5)

    def filter(self, group: IPAddress) -> SourceFilter:
        return self.router.filters().get(group, NO_SOURCE)

    def pump_until_filter_is(self, group: IPAddress, wanted: SourceFilter, limit_s: float) -> None:
        self.pump(lambda: self.filter(group) == wanted, limit_s)

    def messages(self) -> list[MembershipMessage]:
        return [received.message for received in self.heard]

    def write(self, frame: bytes) -> None:
        os.write(self.tap, frame)

    def _step(self) -> None:
        deadline = self.router.next_deadline()
        pause = 0.02 if deadline is None else min(max(deadline - _now(), 0), 0.02)
        if select.select([self.tap], [], [], pause)[0]:
            with suppress(BlockingIOError):
                self._receive(os.read(self.tap, 4096))
        self._carry_out(self.router.advance(_now()))

    def _receive(self, data: bytes) -> None:
        """Takes IGMP and MLD only, as the data plane's classifier does."""
        frame = ethernet.parse(data)
        with suppress(MalformedError):
            if frame.ethertype == EtherType.IPV4 and ipv4.parse(frame.payload).protocol == ipv4.PROTOCOL_IGMP:
                self.heard.append(igmp.parse_frame(frame))
            elif frame.ethertype == EtherType.IPV6 and mld.is_mld(ipv6.parse(frame.payload)):
                self.heard.append(mld.parse_frame(frame))
            else:
                return
        self._carry_out(self.router.receive(_now(), frame))

    def _carry_out(self, output: Output) -> None:
        for frame in output.frames:
            self.write(frame)


class Program:
    """A socket and the RFC 3678 calls on it."""

    def __init__(self, sock: socket.socket, interface: int) -> None:
        self._socket = sock
        self._interface = interface
        self._level = socket.IPPROTO_IP if sock.family == socket.AF_INET else socket.IPPROTO_IPV6

    def call(self, option: int, group: IPAddress, source: IPAddress | None = None) -> None:
        """``struct group_req`` or ``struct group_source_req`` (linux/in.h)."""
        request = struct.pack("@I4x", self._interface) + _sockaddr_storage(group)
        if source is not None:
            request += _sockaddr_storage(source)
        self._socket.setsockopt(self._level, option, request)


def _sockaddr_storage(address: IPAddress) -> bytes:
    if address.version == 4:
        head = struct.pack("@HH", socket.AF_INET, 0) + address.packed
    else:
        head = struct.pack("@HHI", socket.AF_INET6, 0, 0) + address.packed
    return head.ljust(128, b"\0")


def addresses(*texts: str) -> tuple[IPAddress, ...]:
    return tuple(ip_address(text) for text in texts)


def _now() -> Instant:
    return Instant(time.monotonic())
