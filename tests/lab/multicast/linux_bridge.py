"""A real Linux bridge that snoops, asked one question: would a frame of this group and source leave that port?

 sender --- s0 [        br0        ] p1 --- host1
                [ mcast_snooping 1  ] p2 --- host2
                [ mcast_querier 1   ] p3 --- host3

Hosts and sender are AF_PACKET sockets on the outer ends of veths, in the bridge's own namespace. The answer comes
from frames that the bridge forwards or not; ``bridge -j -d mdb show`` explains it.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from lab.leftovers import new_prefix
from lab.namespace import Namespace
from lab.waiting import wait_until
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.membership import FilterMode, SourceFilter
from treecast.multicast import MembershipConfig
from treecast.wire import ethernet, ipv4, ipv6
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

PORTS = (1, 2, 3)
SENDER_MAC = MacAddress(b"\x02\0\0\0\1\0")
NOBODYS: tuple[tuple[IPAddress, IPAddress], ...] = (
    (IPv4Address("192.0.2.254"), IPv4Address("239.255.255.254")),
    (IPv6Address("2001:db8::fffe"), IPv6Address("ff15::ffff")),
)
"""Sources, and groups that no test joins."""
Question = tuple[int, IPAddress, IPAddress]
"""Port, source, group."""

_PROBE_PORT = 7
_PROTOCOL_UDP = 17
_USER_HZ = 100


@dataclass(frozen=True, slots=True)
class MdbEntry:
    """A port's row for a group (``source`` None), or for a source of a group. ``forwarding``: the sources of an
    INCLUDE row whose timers run; ``blocked``: those of an EXCLUDE row whose timers have run out.
    """

    port: int
    group: IPAddress
    source: IPAddress | None
    mode: FilterMode
    forwarding: frozenset[IPAddress]
    blocked: frozenset[IPAddress]

    @property
    def filter(self) -> SourceFilter:
        return SourceFilter(self.mode, self.forwarding if self.mode is FilterMode.INCLUDE else self.blocked)


class LinuxBridge:
    """Close it. Its intervals are those of ``config``, which must have a robustness of 2."""

    def __init__(self, config: MembershipConfig, *, igmp_version: int = 3, mld_version: int = 2) -> None:
        self._serial = 0
        self.namespace = Namespace(f"{new_prefix()}-tcbr")
        try:
            self._make(config, igmp_version, mld_version)
        except BaseException:
            self.namespace.close()
            raise

    def _make(self, config: MembershipConfig, igmp_version: int, mld_version: int) -> None:
        self.namespace.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self._ip("link add br0 type bridge mcast_snooping 1")
        for outer, inner in (("sender", "s0"), *((f"host{n}", f"p{n}") for n in PORTS)):
            self._ip(f"link add {outer} type veth peer name {inner}")
            for name in (outer, inner):
                self.namespace.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", 1)
                self._ip(f"link set {name} up")
            self._ip(f"link set {inner} master br0")
        for option, value in _intervals(config, igmp_version, mld_version).items():
            self._ip(f"link set br0 type bridge {option} {value}")
        self._ip("link set br0 up")
        self.sockets = {name: self._open(name) for name in ("sender", *(f"host{n}" for n in PORTS))}
        wait_until(self._forwards, 10, "the bridge's ports forward")
        wait_until(self._filters, 10, "the bridge trusts its own snooping, of IPv4 and of IPv6")

    def _ip(self, arguments: str) -> None:
        with self.namespace.enter():
            subprocess.run(["ip", *arguments.split()], check=True)

    def _open(self, name: str) -> socket.socket:
        with self.namespace.enter():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((name, 0))
        sock.setblocking(False)
        return sock

    def _forwards(self) -> bool:
        """All ports forward, and the bridge has its link-local address: without one it does not snoop MLD."""
        tentative = 0x40
        addresses = self.namespace.netlink.get_addr(family=socket.AF_INET6)
        with self.namespace.enter():
            shown = subprocess.run(["bridge", "-j", "link", "show"], check=True, capture_output=True, text=True)
        states = [port["state"] for port in json.loads(shown.stdout)]
        has_address = any(not entry["flags"] & tentative for entry in addresses)
        return has_address and states == ["forwarding"] * (1 + len(PORTS))

    def _filters(self) -> bool:
        """Groups that nobody joined leave by no port.

        The bridge floods until its first queries are out, and for a query response interval after them.
        Its query of MLD waits for the link-local address, and may be the second one.
        """
        return not self.forwarded(NOBODYS)

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()
        self.namespace.close()

    def hear(self, port: int, frame: bytes) -> None:
        """A frame enters the bridge at a host's port; 0: the sender's."""
        self.sockets[f"host{port}" if port else "sender"].send(frame)

    def forwarded(self, flows: Iterable[tuple[IPAddress, IPAddress]]) -> set[Question]:
        """The ports that one frame from the sender left by, for each (source, group)."""
        for port in PORTS:
            self._drain(port)
        asked: dict[int, tuple[IPAddress, IPAddress]] = {}
        for source, group in flows:
            self._serial += 1
            asked[self._serial] = (source, group)
            self.sockets["sender"].send(_probe(source, group, self._serial))
        return {(port, *asked[serial]) for port in PORTS for serial in self._drain(port) if serial in asked}

    def _drain(self, port: int) -> list[int]:
        """The serial numbers of the probes that arrived: veth and bridge deliver before ``send`` returns."""
        serials = []
        with suppress(BlockingIOError):
            while True:
                data = self.sockets[f"host{port}"].recv(2048)
                if data[6:12] == SENDER_MAC.packed and data[-12:-4] == _MARK:
                    serials.append(int.from_bytes(data[-4:], "big"))
        return serials

    def mdb(self) -> list[MdbEntry]:
        """The entries of ``bridge -d mdb show``."""
        with self.namespace.enter():
            shown = subprocess.run(["bridge", "-j", "-d", "mdb", "show"], check=True, capture_output=True, text=True)
        return [_mdb_entry(entry) for entry in json.loads(shown.stdout)[0]["mdb"] if entry["port"] != "br0"]


_MARK = b"treecast"


def _mdb_entry(entry: dict[str, Any]) -> MdbEntry:
    sources = {ip_address(source["address"]): float(source["timer"]) for source in entry.get("source_list", ())}
    return MdbEntry(
        port=int(entry["port"].removeprefix("p").removeprefix("s")),
        group=ip_address(entry["grp"]),
        source=ip_address(entry["src"]) if "src" in entry else None,
        mode=FilterMode(entry["filter_mode"]),
        forwarding=frozenset(source for source, timer in sources.items() if timer > 0),
        blocked=frozenset(source for source, timer in sources.items() if timer == 0),
    )


def _intervals(config: MembershipConfig, igmp_version: int, mld_version: int) -> dict[str, int]:
    intervals = config.intervals
    seconds = {
        "mcast_query_interval": intervals.query_interval,
        "mcast_startup_query_interval": intervals.query_interval,
        "mcast_query_response_interval": intervals.query_response_interval,
        "mcast_last_member_interval": intervals.last_member_query_interval,
        "mcast_membership_interval": intervals.group_membership_interval,
        "mcast_querier_interval": intervals.other_querier_present_interval - 0.1,  # its timers run late, see the test
    }
    options = {name: round(value * _USER_HZ) for name, value in seconds.items()}
    # The querier last: from then on the bridge lets one query response interval pass before it trusts its snooping.
    versions = {"mcast_igmp_version": igmp_version, "mcast_mld_version": mld_version}
    return {**options, **versions, "mcast_last_member_count": intervals.last_member_query_count, "mcast_querier": 1}


def _probe(source: IPAddress, group: IPAddress, serial: int) -> bytes:
    """A UDP datagram whose last four octets say which question it is."""
    data = _MARK + serial.to_bytes(4, "big")
    udp = struct.pack("!HHHH", _PROBE_PORT, _PROBE_PORT, 8 + len(data), 0) + data
    if isinstance(source, IPv4Address) and isinstance(group, IPv4Address):
        head, packet = EtherType.IPV4, ipv4.emit(Ipv4Packet(source, group, _PROTOCOL_UDP, 16, udp))
    elif isinstance(source, IPv6Address) and isinstance(group, IPv6Address):
        head, packet = EtherType.IPV6, ipv6.emit(Ipv6Packet(source, group, _PROTOCOL_UDP, 16, udp))
    else:
        raise TypeError(f"{source} cannot send to {group}")
    return ethernet.emit(EthernetFrame(ethernet.multicast_mac(group), SENDER_MAC, head, packet))
