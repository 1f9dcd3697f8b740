"""Properties of an interface that are read without netlink, so that an event loop may read them (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Any

from treecast.base.addresses import IPAddress, MacAddress

_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGIFHWADDR = 0x8913, 0x8921, 0x8927
_IFREQ = struct.Struct("=16s i 20x")
_IFREQ_FLAGS = struct.Struct("=16s H 22x")
_IFREQ_ADDRESS = struct.Struct("=16s H 6s 16x")  # a sockaddr: family, then bytes
IFF_UP, IFF_RUNNING, IFF_NOARP, IFF_MULTICAST = 0x1, 0x40, 0x80, 0x1000


def index_of(interface: str) -> int:
    """Its number, which no interface after it gets; 0 where there is none."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def name_of(index: int) -> str:
    """Its name; empty where there is none of this number."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def _ask(request: int, layout: struct.Struct, interface: str, *empty: int | bytes) -> tuple[Any, ...]:
    """The kernel's answer about it, without its name; empty where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, request, layout.pack(interface.encode(), *empty))
        except OSError:
            return ()
    return layout.unpack(answer)[1:]


def flags_of(interface: str) -> int:
    """IFF_*; 0 where there is none."""
    return next(iter(_ask(_SIOCGIFFLAGS, _IFREQ_FLAGS, interface, 0)), 0)


def mtu_of(interface: str) -> int:
    """The MTU in bytes; 0 where there is none."""
    return next(iter(_ask(_SIOCGIFMTU, _IFREQ, interface, 0)), 0)


def mac_of(interface: str) -> MacAddress | None:
    """None where there is no such interface."""
    answer = _ask(_SIOCGIFHWADDR, _IFREQ_ADDRESS, interface, 0, b"")
    return MacAddress(answer[1]) if answer else None


def is_own_address(address: IPAddress) -> bool:
    """Whether any interface of this machine has it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.bind((str(address), 0))
        except OSError:
            return False
    return True
