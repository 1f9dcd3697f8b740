"""The interfaces by which other nodes are reached, and how long a packet each carries. Needs no privilege."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from treecast.adapters.netdevice import IFF_UP, flags_of, mtu_of, name_of
from treecast.adapters.rtnetlink import HOP, ROUTE_HEADER, RouteSocket, attributes, packed
from treecast.base.addresses import IPAddress
from treecast.base.underlay_routes import UnderlayRouteType

_GETROUTE = 26
_RTM_F_FIB_MATCH = 0x2000
"""The route as it stands: not what a router's ICMP message, which anybody may have sent, has made of it."""
_RTA_DST, _RTA_OIF, _RTA_METRICS, _RTA_MULTIPATH, _RTAX_MTU = 1, 4, 8, 9, 2
_TYPE, _RTN_BROADCAST = 7, 3
_FORBIDDING = (6, 7, 8)  # RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT
_NUMBER = struct.Struct("=I")
_IFF_LOOPBACK = 0x8


@dataclass(frozen=True, slots=True)
class UnderlayRoute:
    """An interface's name and number, and the MTU of the route over it; 0: it has none of its own."""

    interface: str
    route_mtu_bytes: int
    index: int = 0

    @property
    def interface_now(self) -> str:
        """The name that the interface has now; the one that it had when it is gone."""
        return (name_of(self.index) if self.index else "") or self.interface

    @property
    def mtu_bytes(self) -> int:
        """The interface's MTU now; 0 when it is gone."""
        own = mtu_of(self.interface_now)
        return min(own, self.route_mtu_bytes) if self.route_mtu_bytes else own


def routes_to(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
    """The present routes to these addresses; those without one are left out."""
    with RouteSocket() as kernel:
        return {address: found for address in addresses if (found := _underlay_route_to(kernel, address)) is not None}


def underlay_route_type(address: IPAddress) -> UnderlayRouteType:
    """Where a datagram to this address would go."""
    with RouteSocket() as kernel:
        header, route = _route_to(kernel, address, _RTM_F_FIB_MATCH)
        if _underlay_route_of(header, route) is None:
            return UnderlayRouteType.NONE
        return UnderlayRouteType.BROADCAST if header[_TYPE] == _RTN_BROADCAST else UnderlayRouteType.UNICAST


def path_mtus_to(addresses: Iterable[IPAddress]) -> dict[IPAddress, int]:
    """The least MTU of the route or a router's ICMP message, in bytes; none where neither has any."""
    with RouteSocket() as kernel:
        found = {address: _route_mtu(_route_to(kernel, address, 0)[1]) for address in addresses}
    return {address: mtu for address, mtu in found.items() if mtu}


def smallest_mtu(without: str) -> int | None:
    """The smallest MTU of all interfaces that are up, but one and loopback; None when there is none."""
    names = [name for _, name in socket.if_nameindex() if name != without]
    found = [mtu_of(name) for name in names if flags_of(name) & (IFF_UP | _IFF_LOOPBACK) == IFF_UP]
    return min((mtu for mtu in found if mtu), default=None)


def _underlay_route_to(kernel: RouteSocket, address: IPAddress) -> UnderlayRoute | None:
    return _underlay_route_of(*_route_to(kernel, address, _RTM_F_FIB_MATCH))


def _underlay_route_of(header: bytes, route: Mapping[int, bytes]) -> UnderlayRoute | None:
    """None where there is no route, or one that forbids it: of IPv6 such a route has an interface, too."""
    if not header or header[_TYPE] in _FORBIDDING:
        return None
    index = 0
    if _RTA_OIF in route:
        index = _NUMBER.unpack(route[_RTA_OIF])[0]
    elif len(route.get(_RTA_MULTIPATH, b"")) >= HOP.size:
        index = HOP.unpack_from(route[_RTA_MULTIPATH])[3]
    name = name_of(index) if index else ""
    return UnderlayRoute(name, _route_mtu(route), index) if name else None


def _route_to(kernel: RouteSocket, address: IPAddress, flags: int) -> tuple[bytes, dict[int, bytes]]:
    """The route that the kernel takes, its header and its attributes; none of these when there is no route."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    header = ROUTE_HEADER.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, flags)
    try:
        bodies = kernel.get(_GETROUTE, header + packed([(_RTA_DST, address.packed)]))
    except OSError:
        return b"", {}
    if not bodies:
        return b"", {}
    return bodies[0][: ROUTE_HEADER.size], dict(attributes(bodies[0][ROUTE_HEADER.size :]))


def _route_mtu(route: Mapping[int, bytes]) -> int:
    """The route's MTU in bytes; 0 when it has none of its own."""
    metrics = dict(attributes(route.get(_RTA_METRICS, b"")))
    return int(_NUMBER.unpack(metrics[_RTAX_MTU])[0]) if _RTAX_MTU in metrics else 0
