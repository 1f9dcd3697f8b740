"""The node's interface as the kernel sees it: addresses, routes, state; and this machine's own addresses.

Uses netlink and the interface's sysctls. Nothing needs undoing: all of it goes with the TAP.
"""

from __future__ import annotations

import errno
import fcntl
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, ip_address
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.errors import OperatorError

_IPV4, _IPV6 = 2, 10  # AF_INET, AF_INET6
_IFA_F_NODAD = 0x02
_IFA_F_TENTATIVE = 0x40
_LOCAL_TABLE = 255
_RTN_MULTICAST = 5
_ROUTE_METRIC = 1
"""Before the kernel's own ff00::/8 routes, one per interface, which have 256."""

GSO_MAX_SEGMENTS = 44
"""As many segments as fit one UDP GSO send of 65,507 bytes at the default MTU, and no more."""

TX_QUEUE_FRAMES = 4000
"""Measured: at the limit, loss is overflow of the source's TAP queue; longer than this gains nothing."""

_CONF = Path("/proc/sys/net/ipv6/conf")
_IF_INET6 = Path("/proc/thread-self/net/if_inet6")
_SIOCGIFADDR, _SIOCGIFNETMASK, _IFREQ_BYTES = 0x8915, 0x891B, 40


def ipv6_is_on() -> bool:
    """Whether this network namespace has IPv6 and gives it to new interfaces."""
    try:
        switches = [(_CONF / name / "disable_ipv6").read_text().strip() for name in ("all", "default")]
    except OSError:
        return False
    return "1" not in switches


class Interface:
    """One interface, by name. NetlinkError becomes OperatorError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def configure(
        self, *, mac: MacAddress, ipv4: IPv4Interface | None, ipv6: IPv6Interface | None, routes: bool
    ) -> list[str]:
        """Addresses, queue, routes, up. Returns sentences on what was left alone."""
        notes: list[str] = []
        if ipv6 is not None:
            self._sysctl("addr_gen_mode", "1")  # none: the link-local address is ours to give, without the wait of DAD
            self._sysctl("accept_ra", "0")  # a member of the overlay is no authority on this machine's routes
        with _netlink() as ipr:
            index = ipr.link_lookup(ifname=self.name)[0]
            ipr.link("set", index=index, txqlen=TX_QUEUE_FRAMES, gso_max_segs=GSO_MAX_SEGMENTS)
            # The TAP's own queues hold what waits. The kernel would put a discipline on each of the 256 that a TAP with
            # several could have, for 18 MB of its memory.
            ipr.tc("replace", "noqueue", index)
            if ipv4 is not None:
                ipr.addr(
                    "add",
                    index=index,
                    family=_IPV4,
                    address=str(ipv4.ip),
                    prefixlen=ipv4.network.prefixlen,
                    broadcast=str(ipv4.network.broadcast_address),
                )
            if ipv6 is not None:
                for address, length in ((ipv6.ip, ipv6.network.prefixlen), (mac.link_local, 64)):
                    ipr.addr(
                        "add", index=index, family=_IPV6, address=str(address), prefixlen=length, flags=_IFA_F_NODAD
                    )
            ipr.link("set", index=index, state="up", multicast=True)
            if routes:
                if ipv4 is not None and not _add_route(ipr, dst="224.0.0.0/4", oif=index, family=_IPV4):
                    notes.append("another interface has the route for 224.0.0.0/4: programs must name the interface")
                if ipv6 is not None:
                    _add_route(
                        ipr,
                        dst="ff00::/8",
                        oif=index,
                        family=_IPV6,
                        table=_LOCAL_TABLE,
                        type=_RTN_MULTICAST,
                        priority=_ROUTE_METRIC,
                    )
        return notes

    def _sysctl(self, name: str, value: str) -> None:
        (_CONF / self.name / name).write_text(value)


def machine_addresses(without: str) -> tuple[IPAddress, ...]:
    """This machine's own unicast addresses of global or private scope, but those of one interface; in order."""
    with _netlink() as ipr:
        skipped = ipr.link_lookup(ifname=without)
        found = [
            ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
            for message in ipr.get_addr()
            if message["index"] not in skipped
        ]
    usable = [a for a in found if not a.is_loopback and not a.is_link_local and not a.is_multicast]
    return tuple(sorted(usable, key=lambda address: (address.version, int(address))))


def addresses_of(interface: str) -> tuple[IPv4Address | None, IPv6Address | None]:
    """The first IPv4 address of an interface and the IPv6 link-local one that may be used; None for none.

    Without netlink, so that it may be asked in an event loop (netdevice(7), proc_net(5)).
    """
    name = interface.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFADDR, name.ljust(_IFREQ_BYTES, b"\0"))
            ipv4 = IPv4Address(answer[20:24])  # behind the name: a sockaddr_in
        except OSError:
            ipv4 = None
    with suppress(OSError):  # no IPv6 here
        for line in _IF_INET6.read_text(encoding="ascii").splitlines():
            digits, _, _, _, flags, owner = line.split()
            address = IPv6Address(bytes.fromhex(digits))
            if owner == interface and address.is_link_local and not int(flags, 16) & _IFA_F_TENTATIVE:
                return ipv4, address
    return ipv4, None


def index_of(interface: str) -> int:
    """Its number, which no interface after it gets; 0 where there is none."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def lan_ipv4(interfaces: Sequence[str], apart: IPv4Network) -> IPv4Interface | None:
    """The first IPv4 address of these interfaces, as far as they are there, unless it is of the overlay's network."""
    for name in interfaces:
        address = addresses_of(name)[0]
        if address is not None and address not in apart:
            return IPv4Interface((int(address), _netmask_of(name)))
    return None


def _netmask_of(interface: str) -> str:
    """Of its first IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFNETMASK, interface.encode().ljust(_IFREQ_BYTES, b"\0"))
        except OSError:  # the address has gone meanwhile
            return "255.255.255.255"
    return str(IPv4Address(answer[20:24]))


def source_addresses(destinations: Iterable[Endpoint]) -> set[IPAddress]:
    """From which addresses of this machine datagrams to these endpoints would leave; nothing is sent."""
    found: set[IPAddress] = set()
    for endpoint in destinations:
        family = socket.AF_INET if endpoint.address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):  # no route: from none
            probe.connect((str(endpoint.address), endpoint.port))
            found.add(ip_address(probe.getsockname()[0].split("%")[0]))
    return found


@contextmanager
def _netlink() -> Iterator[IPRoute]:
    try:
        with IPRoute() as ipr:
            yield ipr
    except NetlinkError as error:
        raise OperatorError(f"the kernel refused to set up the interface: {error.args[-1]}") from error


def _add_route(ipr: IPRoute, **route: object) -> bool:
    """False when there is such a route already."""
    try:
        ipr.route("add", **route)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
        return False
    return True
