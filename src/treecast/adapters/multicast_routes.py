"""Multicast routes: the interface by which this machine's programs reach groups, when they name none.

The kernel takes the route to the group, for joining and for sending. So the node gives its interface routes for
``224.0.0.0/4`` and ``ff00::/8``, or for the prefixes that the operator names.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from treecast.adapters.underlay import routes_to
from treecast.base.addresses import IPAddress, IPNetwork

_IPV4, _IPV6 = 2, 10  # AF_INET, AF_INET6
_LOCAL_TABLE = 255
_RTN_MULTICAST = 5
_ROUTE_METRIC = 1
"""A metric before the kernel's own ff00::/8 routes, one per interface, which have 256."""

_IGMP, _IGMP6 = Path("/proc/thread-self/net/igmp"), Path("/proc/thread-self/net/igmp6")
_ANY_PORT = 9  # nothing is sent: connect(2) of a UDP socket looks the route up
_SCOPE_NIBBLE = 1 << 112
_GLOBAL_SCOPE = 0xE
_OF_THE_KERNEL: tuple[IPNetwork, ...] = (
    IPv4Network("224.0.0.1/32"),
    IPv4Network("224.0.0.2/32"),
    IPv4Network("224.0.0.106/32"),  # RFC 4286: bridges
    IPv6Network("ff01::/16"),
    IPv6Network("ff02::1/128"),
    IPv6Network("ff02::2/128"),
    IPv6Network("ff02::6a/128"),
    IPv6Network("ff02::1:ff00:0/104"),  # solicited-node
    IPv6Network("ff05::2/128"),
)


@dataclass(frozen=True, slots=True, order=True)
class Joined:
    """A group that a program on this machine has joined."""

    interface: str
    group: IPAddress

    def __str__(self) -> str:
        return f"{self.group} on {self.interface}"


def add_group_routes(ipr: IPRoute, index: int, prefixes: Iterable[IPNetwork]) -> list[IPNetwork]:
    """The prefixes whose route another interface has already; it keeps it. Those that this one has are left alone."""
    return [prefix for prefix in prefixes if not _add(ipr, index, prefix)]


def _add(ipr: IPRoute, index: int, prefix: IPNetwork) -> bool:
    route: dict[str, object] = {"dst": str(prefix), "oif": index, "family": _IPV4 if prefix.version == 4 else _IPV6}
    if prefix.version == 6:
        route |= {"table": _LOCAL_TABLE, "type": _RTN_MULTICAST, "priority": _ROUTE_METRIC}
    try:
        ipr.route("add", **route)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
        return _is_over(ipr, index, prefix)
    return True


def group_route_command(name: str, prefix: IPNetwork) -> str:
    """The command, for people, that makes the route as ``add_group_routes`` does."""
    if prefix.version == 4:
        return f"ip route add {prefix} dev {name}"
    return f"ip -6 route add multicast {prefix} dev {name} table local metric {_ROUTE_METRIC}"


def _is_over(ipr: IPRoute, index: int, prefix: IPNetwork) -> bool:
    family = _IPV4 if prefix.version == 4 else _IPV6
    return any(
        message.get_attr("RTA_OIF") == index
        for message in ipr.get_routes(family=family)
        if message.get_attr("RTA_DST") == str(prefix.network_address)
        and message["dst_len"] == prefix.prefixlen
        and (prefix.version == 4 or message.get_attr("RTA_PRIORITY") == _ROUTE_METRIC)  # not the kernel's own
    )


def source_to(prefix: IPNetwork) -> IPAddress | None:
    """The address from which a program that names no interface would send to a group of this prefix; None: no route."""
    return source_of(_group_of(prefix))


def source_of(destination: IPAddress) -> IPAddress | None:
    """The address from which this machine would send to another, or to a group; None: no route."""
    family = socket.AF_INET if destination.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(destination), _ANY_PORT))
        except OSError:
            return None
        return ip_address(probe.getsockname()[0].split("%")[0])


def interface_to(prefix: IPNetwork) -> str:
    """The interface by which the kernel routes a group of this prefix; empty for none. Uses netlink."""
    return interface_of(_group_of(prefix))


def interface_of(destination: IPAddress) -> str:
    """The interface by which the kernel routes to an address; empty for none. Uses netlink."""
    route = routes_to([destination]).get(destination)
    return route.interface if route is not None else ""


def joined_elsewhere(interfaces: Sequence[str], prefixes: Sequence[IPNetwork]) -> list[Joined]:
    """Groups of these prefixes that programs have joined on other interfaces than these; in order."""
    found = [*_joined_ipv4(_lines(_IGMP)), *_joined_ipv6(_lines(_IGMP6))]
    return sorted(
        (
            joined
            for joined in set(found)
            if joined.interface not in interfaces
            and _within(joined.group, prefixes)
            and not _within(joined.group, _OF_THE_KERNEL)
        ),
        key=lambda joined: (joined.interface, joined.group.version, int(joined.group)),
    )


def _joined_ipv4(lines: Iterable[str]) -> Iterable[Joined]:
    """``2 eth0 : 1 V3`` begins an interface; ``FB0000E0 1 0:00000000 0``, indented, is a group in this host's order."""
    interface = ""
    for line in lines:
        words = line.split()
        if not line.startswith((" ", "\t")):
            interface = words[1].rstrip(":") if len(words) > 1 else ""
        elif interface:
            yield Joined(interface, IPv4Address(int(words[0], 16).to_bytes(4, sys.byteorder)))


def _joined_ipv6(lines: Iterable[str]) -> Iterable[Joined]:
    """``2 eth0 ff0200000000000000000000000000fb 1 00000004 0``."""
    for line in lines:
        _, interface, digits, *_ = line.split()
        yield Joined(interface, IPv6Address(bytes.fromhex(digits)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:  # no IPv6 here
        return []


def _within(address: IPAddress, prefixes: Iterable[IPNetwork]) -> bool:
    return any(address.version == prefix.version and address in prefix for prefix in prefixes)


def needs_interface(prefix: IPNetwork) -> bool:
    """Whether a program must name an interface for these groups anyway (RFC 4007 section 6: scopes 1 and 2)."""
    return prefix.version == 6 and prefix.prefixlen >= 16 and prefix.network_address.packed[1] & 0xF in (1, 2)


def _group_of(prefix: IPNetwork) -> IPAddress:
    """A group of the prefix that is known to nobody, and of IPv6 one that needs no interface."""
    if prefix.version == 4 or prefix.prefixlen >= 16:
        return prefix.broadcast_address if prefix.num_addresses == 1 else prefix.broadcast_address - 1
    return IPv6Address(int(prefix.network_address) | _GLOBAL_SCOPE * _SCOPE_NIBBLE | 1)
