"""The configuration of an interface: its IP addresses and the routes over it; given to another, taken from the old one.

Given before taken, so that no address is ever missing and connections go on. What the kernel makes by itself with an
address (its local and broadcast routes) is left to the kernel.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

from treecast.adapters.rtnetlink import (
    APPEND,
    CREATE,
    EXCLUSIVE,
    HOP,
    ROUTE_HEADER,
    Attribute,
    RouteSocket,
    attributes,
    packed,
)

_IPV4, _IPV6 = 2, 10  # AF_INET, AF_INET6
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26

_ADDRESS_HEADER = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, interface
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_CACHEINFO = 1, 2, 3, 4, 6
_IFA_FLAGS, _IFA_RT_PRIORITY, _IFA_PROTO = 8, 9, 11
_IFA_F_SECONDARY, _IFA_F_NODAD, _IFA_F_DADFAILED, _IFA_F_TENTATIVE, _IFA_F_PERMANENT = 0x01, 0x02, 0x08, 0x40, 0x80
_IFA_F_NOPREFIXROUTE = 0x200
_KEPT_OF_ADDRESS = (_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_RT_PRIORITY, _IFA_PROTO)

_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_METRICS, _RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
_RTA_CACHEINFO, _RTA_TABLE, _RTA_EXPIRES, _RTA_NH_ID = 12, 15, 23, 30
_RTAX_MTU = 2
_RTNH_F_ONLINK = 0x04  # the other flags are what the kernel found, not what was configured
_RTA_PREF = 20
_SIMPLE = {_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE, _RTA_PREF}
_LOCAL_TABLE, _PROTO_KERNEL, _PROTO_BOOT, _PROTO_STATIC, _PROTO_RA = 255, 2, 3, 4, 9
_BY_HAND = (_PROTO_BOOT, _PROTO_STATIC)
_RA_METRIC = 1024  # IP6_RT_PRIO_USER
_RTN_UNICAST, _RTN_MULTICAST = 1, 5
_SCOPE_GLOBAL, _SCOPE_LINK = 0, 253
_RTM_F_CLONED = 0x200
_USER_HZ = 100

_HAS_IT = (errno.EEXIST,)
_HAS_IT_OR_NO_IPV6 = (errno.EEXIST, errno.EACCES)
"""EACCES: IPv6 is switched off on the interface, and only IPv6 is refused so; who may not gets EPERM."""
_LACKS_IT = (errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ENODEV)
_U32 = struct.Struct("=I")
_CACHE_INFO = struct.Struct("=II")  # ifa_cacheinfo begins with the preferred and the valid lifetime
_FOREVER = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """``flags``: IFA_F_*."""

    family: int
    prefix_length: int
    scope: int
    flags: int
    attributes: tuple[Attribute, ...]

    @property
    def packed(self) -> bytes:
        values = dict(self.attributes)
        return values.get(_IFA_LOCAL, values.get(_IFA_ADDRESS, bytes(4)))

    @property
    def ends_in_s(self) -> int | None:
        """Its valid lifetime: a lease, or a router's word; None: it stays."""
        info = dict(self.attributes).get(_IFA_CACHEINFO, b"")
        valid_s = _CACHE_INFO.unpack_from(info)[1] if len(info) >= _CACHE_INFO.size else _FOREVER
        return None if valid_s == _FOREVER else int(valid_s)

    @property
    def is_link_local(self) -> bool:
        return self.scope == _SCOPE_LINK

    def __str__(self) -> str:
        """``192.0.2.5/24``: what it is recorded as."""
        return f"{ip_address(self.packed)}/{self.prefix_length}"


@dataclass(frozen=True, slots=True)
class InterfaceRoute:
    """``header``: struct rtmsg. The attributes name ``interface`` wherever they name the one it was read of."""

    header: tuple[int, ...]
    attributes: tuple[Attribute, ...]
    interface: int

    @property
    def is_connected(self) -> bool:
        """The route that the kernel makes for an address's prefix."""
        return self.header[5] == _PROTO_KERNEL

    @property
    def family(self) -> int:
        return self.header[0]

    def __str__(self) -> str:
        """``10.77.0.0/16 254 0``, destination, table and metric: what it is recorded as."""
        values = dict(self.attributes)
        any_address = bytes(4) if self.family == _IPV4 else bytes(16)
        table = _U32.unpack(values[_RTA_TABLE])[0] if _RTA_TABLE in values else self.header[4]
        metric = _U32.unpack(values[_RTA_PRIORITY])[0] if _RTA_PRIORITY in values else 0
        return f"{ip_address(values.get(_RTA_DST, any_address))}/{self.header[1]} {table} {metric}"

    @property
    def is_static(self) -> bool:
        """Given by an operator or a script, over this interface alone."""
        return self.header[5] in _BY_HAND and dict(self.attributes).keys() <= _SIMPLE

    def in_words(self) -> str:
        """``0.0.0.0/0 254 100 192.0.2.1``: as ``str``, and the next hop, ``-`` for none."""
        values = dict(self.attributes)
        return f"{self} {ip_address(values[_RTA_GATEWAY]) if _RTA_GATEWAY in values else '-'}"


@dataclass(frozen=True, slots=True)
class InterfaceConfiguration:
    """Addresses and routes in the kernel's order: the first IPv4 address of a prefix is its primary one."""

    addresses: tuple[InterfaceAddress, ...]
    routes: tuple[InterfaceRoute, ...]


def read_configuration(kernel: RouteSocket, interface: int) -> InterfaceConfiguration:
    """The configuration of the interface of this index now."""
    addresses = [
        _address(body) for body in kernel.dump(_GETADDR, bytes(_ADDRESS_HEADER.size)) if _owner(body) == interface
    ]
    routes: list[InterfaceRoute] = []
    for family in (_IPV4, _IPV6):
        bodies = kernel.dump(_GETROUTE, bytes((family,)).ljust(ROUTE_HEADER.size, b"\0"))
        routes += [route for body in bodies if (route := _route(body, interface)) is not None]
    return InterfaceConfiguration(tuple(addresses), tuple(routes))


def add_addresses(kernel: RouteSocket, interface: int, addresses: Iterable[InterfaceAddress]) -> None:
    """Adds addresses: those that it has already are left alone, IPv6 ones are left out where IPv6 is off."""
    for address in addresses:
        body, fine = _address_body(address, interface), _fine(address.family)
        kernel.change(_NEWADDR, CREATE | EXCLUSIVE, body, fine=fine)


def delete_addresses(kernel: RouteSocket, interface: int, addresses: Iterable[InterfaceAddress]) -> None:
    """The last first: a primary IPv4 address takes its secondary ones with it."""
    for address in reversed(tuple(addresses)):
        kernel.change(_DELADDR, 0, _address_body(address, interface), fine=_LACKS_IT)


def add_routes(kernel: RouteSocket, interface: int, routes: Iterable[InterfaceRoute]) -> None:
    """The same routes over this interface, beside those over the old one, but IPv6 ones where IPv6 is off; ``given``:
    those that differ.
    """
    for route in routes:
        kernel.change(_NEWROUTE, CREATE | APPEND, _route_body(given(route), interface), fine=_fine(route.family))


def _fine(family: int) -> tuple[int, ...]:
    return _HAS_IT_OR_NO_IPV6 if family == _IPV6 else _HAS_IT


def given(route: InterfaceRoute) -> InterfaceRoute:
    """A route as another interface gets it: one of a router advertisement with a metric higher by one.

    The kernel takes no prefix from an advertisement whose default route is there already, but not as its own
    (ndisc_router_discovery). So the copy stands behind what the interface will learn, and ends when its time is over.
    """
    if route.family != _IPV6 or route.header[5] != _PROTO_RA:
        return route
    values = dict(route.attributes)
    metric = _U32.unpack(values[_RTA_PRIORITY])[0] if _RTA_PRIORITY in values else _RA_METRIC
    kept = [item for item in route.attributes if item[0] != _RTA_PRIORITY]
    return replace(route, attributes=(*kept, (_RTA_PRIORITY, _U32.pack(metric + 1))))


def delete_routes(kernel: RouteSocket, interface: int, routes: Iterable[InterfaceRoute]) -> None:
    for route in routes:
        kernel.change(_DELROUTE, 0, _route_body(route, interface), fine=_LACKS_IT)


def without_prefix_route(address: InterfaceAddress) -> InterfaceAddress:
    """The same address, for which the kernel makes no route to its prefix."""
    return replace(address, flags=address.flags | _IFA_F_NOPREFIXROUTE)


def labelled(address: InterfaceAddress, label: str) -> InterfaceAddress:
    """The same address under another label than its interface's name, an alias; IPv6 addresses have none.

    DHCP clients flush the addresses that are labelled as the interface is (Debian's dhclient-script).
    """
    if address.family != _IPV4:
        return address
    return replace(address, attributes=(*address.attributes, (_IFA_LABEL, label.encode() + b"\0")))


def with_prefix_route(address: InterfaceAddress) -> InterfaceAddress:
    return replace(address, flags=address.flags & ~_IFA_F_NOPREFIXROUTE)


def narrowed(route: InterfaceRoute, mtu_bytes: int, source: bytes | None) -> InterfaceRoute:
    """The same route for packets of at most ``mtu_bytes``, sent from ``source`` unless the program says otherwise."""
    added: list[Attribute] = [(_RTA_METRICS, packed([(_RTAX_MTU, _U32.pack(mtu_bytes))]))]
    if source is not None:
        added.append((_RTA_PREFSRC, source))
    kept = [item for item in route.attributes if item[0] not in dict(added)]
    return replace(route, attributes=(*kept, *added))


def widened(route: InterfaceRoute) -> InterfaceRoute:
    """``narrowed``, undone."""
    kept = [item for item in route.attributes if item[0] not in (_RTA_METRICS, _RTA_PREFSRC)]
    return replace(route, attributes=tuple(kept))


def address_of(text: str) -> InterfaceAddress:
    """``192.0.2.5/24``: the inverse of ``str(address)``, with what is usual of the rest."""
    own = ip_interface(text)
    packed_address = own.ip.packed
    if own.version == 6:
        scope = _SCOPE_LINK if own.ip.is_link_local else _SCOPE_GLOBAL
        return InterfaceAddress(_IPV6, own.network.prefixlen, scope, _IFA_F_NODAD, ((_IFA_ADDRESS, packed_address),))
    items = [(_IFA_ADDRESS, packed_address), (_IFA_LOCAL, packed_address)]
    items.append((_IFA_BROADCAST, own.network.broadcast_address.packed))
    return InterfaceAddress(_IPV4, own.network.prefixlen, _SCOPE_GLOBAL, 0, tuple(items))


def route_of(text: str, interface: int, *, connected: bool) -> InterfaceRoute:
    """``10.77.0.0/16 254 0``: the inverse of ``str(route)`` and ``in_words``; ``connected``: as if of the kernel's."""
    prefix, table, metric, *hops = text.split()
    destination = ip_network(prefix)
    family = _IPV4 if destination.version == 4 else _IPV6
    kind = _RTN_MULTICAST if family == _IPV6 and int(table) == _LOCAL_TABLE else _RTN_UNICAST
    protocol = _PROTO_KERNEL if connected else _PROTO_STATIC
    scope = _SCOPE_LINK if family == _IPV4 and (connected or "-" in hops) else _SCOPE_GLOBAL
    header = (family, destination.prefixlen, 0, 0, min(int(table), _LOCAL_TABLE), protocol, scope, kind, 0)
    items = [(_RTA_DST, destination.network_address.packed), (_RTA_OIF, _U32.pack(interface))]
    items += [(_RTA_TABLE, _U32.pack(int(table))), (_RTA_PRIORITY, _U32.pack(int(metric)))]
    items += [(_RTA_GATEWAY, ip_address(hop).packed) for hop in hops if hop != "-"]
    return InterfaceRoute(header, tuple(items), interface)


def _owner(body: bytes) -> int:
    return int(_ADDRESS_HEADER.unpack_from(body)[4])


def _address(body: bytes) -> InterfaceAddress:
    family, prefix_length, flags, scope, _ = _ADDRESS_HEADER.unpack_from(body)
    values = dict(attributes(body[_ADDRESS_HEADER.size :]))
    if _IFA_FLAGS in values:
        flags = _U32.unpack(values[_IFA_FLAGS])[0]
    # In use on this link already: no duplicate address detection (RFC 4862 section 5.4), no moment without it.
    flags &= ~(_IFA_F_SECONDARY | _IFA_F_PERMANENT | _IFA_F_TENTATIVE | _IFA_F_DADFAILED)
    flags |= _IFA_F_NODAD if family == _IPV6 else 0
    kept = tuple((kind, values[kind]) for kind in _KEPT_OF_ADDRESS if kind in values)
    return InterfaceAddress(family, prefix_length, scope, flags, kept)


def _address_body(address: InterfaceAddress, interface: int) -> bytes:
    header = _ADDRESS_HEADER.pack(address.family, address.prefix_length, address.flags & 0xFF, address.scope, interface)
    return header + packed([*address.attributes, (_IFA_FLAGS, _U32.pack(address.flags))])


def _route(body: bytes, interface: int) -> InterfaceRoute | None:
    """A route over the interface; None for any other, and for what the kernel keeps for itself."""
    header = list(ROUTE_HEADER.unpack_from(body))
    items = attributes(body[ROUTE_HEADER.size :])
    values = dict(items)
    out = _U32.unpack(values[_RTA_OIF])[0] if _RTA_OIF in values else 0
    if out != interface and interface not in [hop[0] for hop in _hops(values.get(_RTA_MULTIPATH, b""))]:
        return None
    if header[8] & _RTM_F_CLONED or (header[4] == _LOCAL_TABLE and header[5] == _PROTO_KERNEL):
        return None
    header[8] &= _RTNH_F_ONLINK
    kept = [item for item in items if item[0] not in (_RTA_CACHEINFO, _RTA_NH_ID)]
    expires = struct.unpack_from("=IIi", values[_RTA_CACHEINFO])[2] if _RTA_CACHEINFO in values else 0
    if expires > 0:
        kept.append((_RTA_EXPIRES, _U32.pack(max(expires // _USER_HZ, 1))))
    return InterfaceRoute(tuple(header), tuple(kept), interface)


def _route_body(route: InterfaceRoute, interface: int) -> bytes:
    return ROUTE_HEADER.pack(*route.header) + packed(
        (kind, _over(kind, value, route.interface, interface)) for kind, value in route.attributes
    )


def _over(kind: int, value: bytes, old: int, new: int) -> bytes:
    """A route's attribute with one interface in the place of another."""
    if kind == _RTA_OIF:
        return _U32.pack(new) if value == _U32.pack(old) else value
    if kind == _RTA_MULTIPATH:
        return b"".join(
            _hop(new if out == old else out, flags, weight, rest) for out, flags, weight, rest in _hops(value)
        )
    return value


def _hops(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Interface, flags, weight - 1 and attributes of each next hop."""
    hops: list[tuple[int, int, int, bytes]] = []
    at = 0
    while at + HOP.size <= len(data):
        length, flags, weight, out = HOP.unpack_from(data, at)
        if length < HOP.size:
            break
        hops.append((out, flags & _RTNH_F_ONLINK, weight, data[at + HOP.size : at + length]))
        at += length + 3 & ~3
    return hops


def _hop(out: int, flags: int, weight: int, rest: bytes) -> bytes:
    return (HOP.pack(HOP.size + len(rest), flags, weight, out) + rest).ljust(HOP.size + (len(rest) + 3 & ~3), b"\0")
