"""Events of one interface from the kernel (rtnetlink(7)): of its link and its addresses."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from treecast.adapters.netlink_messages import received

_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
_NEWLINK, _DELLINK, _DELADDR = 16, 17, 21
_INDEX_AT = 4  # of ifinfomsg as of ifaddrmsg
_INTERFACE = struct.Struct("=iI")  # index, flags or attributes
_IFF_UP = 0x1
_AF_BRIDGE = 7
_MOST_READS = 64


@dataclass(frozen=True, slots=True)
class InterfaceEvent:
    """``changed``: something of the interface or of the bridge that it is in, or an address of another;
    ``down``: it was down, or its bridge was, and so the routes are lost.
    """

    changed: bool = False
    down: bool = False


class InterfaceEvents:
    """A socket of the calling thread's network namespace; needs no privilege."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._master = 0
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))

    def follow_master(self, index: int) -> None:
        """Events of the bridge that it is in are its own, too; 0 for none."""
        self._master = index

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> InterfaceEvent:
        """Events since the last call, as one; all may have happened, where the kernel's queue was full."""
        changed = down = False
        for message in received(self._socket, _MOST_READS):
            if message is None:
                changed = down = True
                continue
            kind, body = message
            if len(body) < _INDEX_AT + _INTERFACE.size:
                continue
            index, flags = _INTERFACE.unpack_from(body, _INDEX_AT)
            is_own = index == self._index
            changed |= is_own or kind == _DELADDR or (kind == _NEWLINK and index == self._master)
            deleted = kind == _DELLINK and body[0] != _AF_BRIDGE  # else: taken out of a bridge
            is_down = kind == _NEWLINK and not flags & _IFF_UP
            down |= (is_own and deleted) or (is_down and index in (self._index, self._master))
        return InterfaceEvent(changed, down)
