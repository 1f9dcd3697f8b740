"""The node's interface as the kernel sees it: addresses, routes, state; and this machine's own addresses.

Uses netlink and the interface's sysctls. Nothing needs undoing: all of it goes or stays with the TAP.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path

from pyroute2 import IPRoute

from treecast.adapters.interface_configuration import delete_addresses, delete_routes, read_configuration
from treecast.adapters.link import find_link, refusals
from treecast.adapters.multicast_routes import add_group_routes
from treecast.adapters.put_back import PutBack
from treecast.adapters.rtnetlink import RouteSocket
from treecast.adapters.sysfs import ipv6_is_off
from treecast.base.addresses import Endpoint, IPAddress, IPNetwork, MacAddress

_IPV4, _IPV6 = 2, 10  # AF_INET, AF_INET6
_IFA_F_NODAD = 0x02
_IFA_F_TENTATIVE = 0x40

IPV6_MTU = 1280
"""No interface with a smaller one has IPv6 (RFC 8200 section 5)."""

GSO_MAX_SEGMENTS = 44
"""The segments that fit one UDP GSO send of 65,507 bytes at the default MTU, and no more."""

TX_QUEUE_FRAMES = 4000
"""Measured: at the limit, loss is overflow of the source's TAP queue; longer than this gains nothing."""

_CONF = Path("/proc/sys/net/ipv6/conf")
_IF_INET6 = Path("/proc/thread-self/net/if_inet6")
_SIOCGIFCONF, _SIOCGIFNETMASK, _IFREQ_BYTES = 0x8912, 0x891B, 40
_IFCONF = "iP"
"""``struct ifconf``: the length of a buffer of ``struct ifreq``, and its address."""


def opens_ipv6_sockets() -> bool:
    """Whether this system has IPv6 at all: which interfaces have it may change at any time."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration that the node's interface is to have. ``ipv6`` None: it is to have none.

    ``prefixes``: the network's, of which it is to have no other address. ``groups``: what gets routes.
    """

    mac: MacAddress
    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None
    prefixes: tuple[IPNetwork, ...]
    groups: tuple[IPNetwork, ...]

    def within(self, mtu_bytes: int) -> Settings:
        """The part that an interface with this MTU can have."""
        return self if mtu_bytes >= IPV6_MTU else replace(self, ipv6=None)

    def allowed_on(self, name: str) -> Settings:
        """The part that the interface of this name may have: without IPv6 where somebody has switched that off."""
        return replace(self, ipv6=None) if ipv6_is_off(name) else self

    @property
    def addresses(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """All addresses, the link-local one included."""
        own6 = (self.ipv6, IPv6Interface((self.mac.link_local, 64))) if self.ipv6 is not None else ()
        return (self.ipv4, *own6) if self.ipv4 is not None else own6

    def is_stale(self, address: IPv4Interface | IPv6Interface, *, kept: bool) -> bool:
        """Whether an address of the interface must go: an operator's own are left alone."""
        ours = address.ip.is_link_local or any(
            address.version == prefix.version and address.ip in prefix for prefix in self.prefixes
        )
        return address not in self.addresses and (kept or ours)

    def is_stale_route(self, route: str) -> bool:
        """Whether a route, as ``InterfaceRoute`` prints it, is one to groups of an earlier start."""
        prefix = ip_network(route.split(maxsplit=1)[0])
        return prefix.is_multicast and prefix not in self.groups

    @property
    def usable_groups(self) -> tuple[IPNetwork, ...]:
        """The groups of those families that it has an address of."""
        has = {address.version for address in self.addresses}
        return tuple(prefix for prefix in self.groups if prefix.version in has)


class Interface:
    """One interface, by name. NetlinkError becomes OperatorError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def configure(self, settings: Settings, *, kept: bool = False, alias: str | None = None) -> list[IPNetwork]:
        """Queue, up, addresses, routes: the groups whose route another interface has.

        Up first: before that, what the kernel sends for a new address (MLD) is lost, and counted as a drop of the TAP.
        ``kept``: another node's addresses may be on it, and go. ``alias``: as ``ip link`` shows it; None leaves it.
        """
        wanted, settings = settings, settings.allowed_on(self.name)
        if settings.ipv6 is not None:
            self._sysctl("addr_gen_mode", "1")  # none: the link-local address is ours to give, without the wait of DAD
            self._sysctl("accept_ra", "0")  # a member of the overlay is no authority on this machine's routes
        with _netlink() as (ipr, kernel):
            index = ipr.link_lookup(ifname=self.name)[0]
            ipr.link("set", index=index, txqlen=TX_QUEUE_FRAMES, gso_max_segs=GSO_MAX_SEGMENTS)
            if alias is not None:
                ipr.link("set", index=index, ifalias=alias)
            # The TAP's own queues hold what waits. The kernel would put a discipline on each of the 256 that a TAP with
            # several could have, for 18 MB of its memory.
            ipr.tc("replace", "noqueue", index)
            carried = read_configuration(kernel, index)
            stale = [a for a in carried.addresses if settings.is_stale(ip_interface(str(a)), kept=kept)]
            delete_addresses(kernel, index, stale)
            if kept or settings.groups:
                delete_routes(kernel, index, [route for route in carried.routes if settings.is_stale_route(str(route))])
            ipr.link("set", index=index, state="up", multicast=True)
            _add_addresses(ipr, index, settings.addresses)
            impossible = [group for group in wanted.usable_groups if group not in settings.usable_groups]
            return [*impossible, *add_group_routes(ipr, index, settings.usable_groups)]

    def put_back(self, settings: Settings, *, routes: bool) -> PutBack | None:
        """The addresses that it has lost, and then its routes; ``routes``: these in any case.

        None while it is down, or in a bridge, which has its addresses then.
        """
        with _netlink() as (ipr, kernel):
            link = find_link(ipr, self.name)
            if link is None or not link.up or link.master:
                return None
            settings = settings.within(link.mtu_bytes).allowed_on(self.name)
            before = read_configuration(kernel, link.index)
            carried = {str(address) for address in before.addresses}
            missing = [address for address in settings.addresses if str(address) not in carried]
            _add_addresses(ipr, link.index, missing)
            if not missing and not routes:
                return PutBack(self.name)
            refused = add_group_routes(ipr, link.index, settings.usable_groups)
            reached = {str(route).split(maxsplit=1)[0] for route in before.routes}
            lost = [
                str(group) for group in settings.usable_groups if group not in refused and str(group) not in reached
            ]
            return PutBack(self.name, tuple(map(str, missing)), tuple(lost))

    def _sysctl(self, name: str, value: str) -> None:
        (_CONF / self.name / name).write_text(value)


def _add_addresses(ipr: IPRoute, index: int, addresses: Iterable[IPv4Interface | IPv6Interface]) -> None:
    for address in addresses:
        options: dict[str, object] = {"broadcast": str(address.network.broadcast_address)}
        if isinstance(address, IPv6Interface):
            options = {"flags": _IFA_F_NODAD}
        family, length = (_IPV4 if address.version == 4 else _IPV6), address.network.prefixlen
        ipr.addr("replace", index=index, family=family, address=str(address.ip), prefixlen=length, **options)


def machine_addresses(without: str) -> tuple[IPAddress, ...]:
    """This machine's own unicast addresses of global or private scope, but those of one interface; in order."""
    with _netlink() as (ipr, _):
        skipped = ipr.link_lookup(ifname=without)
        found = [
            ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
            for message in ipr.get_addr()
            if message["index"] not in skipped
        ]
    usable = [a for a in found if not a.is_loopback and not a.is_link_local and not a.is_multicast]
    return tuple(sorted(usable, key=lambda address: (address.version, int(address))))


def addresses_of(interface: str) -> tuple[tuple[IPv4Interface, ...], IPv6Address | None]:
    """The IPv4 addresses of an interface and the IPv6 link-local one that may be used; None for none.

    Without netlink, so that an event loop may call it (netdevice(7), proc_net(5)).
    """
    ipv4 = _ipv4_of(interface)
    with suppress(OSError):  # no IPv6 here
        for line in _IF_INET6.read_text(encoding="ascii").splitlines():
            digits, _, _, _, flags, owner = line.split()
            address = IPv6Address(bytes.fromhex(digits))
            if owner == interface and address.is_link_local and not int(flags, 16) & _IFA_F_TENTATIVE:
                return ipv4, address
    return ipv4, None


def lan_addresses(interfaces: Sequence[str], apart: IPv4Network) -> tuple[IPv4Interface, ...]:
    """The IPv4 addresses of the first of these interfaces that has any, but those of the overlay's network."""
    found = ([own for own in _ipv4_of(name) if own.ip not in apart] for name in interfaces)
    return tuple(next(filter(None, found), ()))


def own_addresses() -> list[tuple[str, IPv4Interface | IPv6Interface]]:
    """All addresses of this machine, each behind its interface, in the kernel's order; without netlink."""
    found: list[tuple[str, IPv4Interface | IPv6Interface]] = [*_all_ipv4()]
    with suppress(OSError):  # no IPv6 here
        for line in _IF_INET6.read_text(encoding="ascii").splitlines():
            digits, _, length, _, _, owner = line.split()
            found.append((owner, IPv6Interface((bytes.fromhex(digits), int(length, 16)))))
    return found


def _ipv4_of(interface: str) -> tuple[IPv4Interface, ...]:
    """All IPv4 addresses of an interface, in the kernel's order; none where it is not there."""
    return tuple(own for _, own in _all_ipv4(interface))


def _all_ipv4(only: str = "") -> list[tuple[str, IPv4Interface]]:
    """``only``: of this interface, if one is named: netmasks cost a call each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        buffer = ctypes.create_string_buffer(_length_of_all(any_socket) + _IFREQ_BYTES)
        answer = fcntl.ioctl(any_socket, _SIOCGIFCONF, struct.pack(_IFCONF, len(buffer), ctypes.addressof(buffer)))
        (length, _) = struct.unpack(_IFCONF, answer)
        records = (buffer.raw[at : at + _IFREQ_BYTES] for at in range(0, length, _IFREQ_BYTES))
        return [
            (_name_in(record), IPv4Interface((int.from_bytes(record[20:24]), _netmask_of(any_socket, record))))
            for record in records
            if not only or _name_in(record) == only
        ]


def _length_of_all(any_socket: socket.socket) -> int:
    """Bytes of the records of all IPv4 addresses of this machine."""
    answer = fcntl.ioctl(any_socket, _SIOCGIFCONF, struct.pack(_IFCONF, 0, 0))
    return int(struct.unpack(_IFCONF, answer)[0])


def _name_in(record: bytes) -> str:
    """The interface of an address, whose label may have more behind a colon."""
    return record[:16].split(b"\0")[0].split(b":")[0].decode(errors="replace")


def _netmask_of(any_socket: socket.socket, record: bytes) -> str:
    """The netmask of an address: a ``struct ifreq`` with its label and the address itself (netdevice(7))."""
    try:
        answer = fcntl.ioctl(any_socket, _SIOCGIFNETMASK, record)
    except OSError:  # the address has gone meanwhile
        return "255.255.255.255"
    return str(IPv4Address(answer[20:24]))


def source_addresses(destinations: Iterable[Endpoint]) -> set[IPAddress]:
    """The addresses of this machine from which datagrams to these endpoints would leave; nothing is sent."""
    found: set[IPAddress] = set()
    for endpoint in destinations:
        family = socket.AF_INET if endpoint.address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):  # no route: from none
            probe.connect((str(endpoint.address), endpoint.port))
            found.add(ip_address(probe.getsockname()[0].split("%")[0]))
    return found


@contextmanager
def _netlink() -> Iterator[tuple[IPRoute, RouteSocket]]:
    with refusals("set up the interface"), IPRoute() as ipr, RouteSocket() as kernel:
        yield ipr, kernel
