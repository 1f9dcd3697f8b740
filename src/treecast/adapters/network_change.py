"""Announcements of the kernel that this machine's network has changed (rtnetlink(7)). The change itself is looked up.

Only the kinds of messages are read. To parse them as AsyncIPRoute does costs 75 us each, and a machine with a full
routing table changes thousands of routes a second. The kernel reports when it had to drop messages (ENOBUFS): then all
may have changed. So nothing has to be looked up now and then for safety's sake.
"""

from __future__ import annotations

import socket
from enum import Flag, auto

from treecast.adapters.netlink_messages import received

_GROUPS = (1, 5, 7, 8, 9, 11, 19, 24, 32)
"""RTNLGRP_* (linux/rtnetlink.h): LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE,
IPV4_NETCONF, NEXTHOP."""
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_MOST_READS = 1024
"""More than the socket's buffer has room for by default."""


class NetworkChange(Flag):
    """The part of the network that may have changed."""

    LINKS = auto()
    """Interfaces: there, up, MTU, name, MAC, bridge."""
    ADDRESSES = auto()
    ROUTES = auto()
    """Routes, and the rules and next hops that they go by."""
    MULTICAST_ROUTING = auto()
    """Whether an interface's ``mc_forwarding`` is on."""


EVERYTHING = ~NetworkChange(0)
_KINDS = {
    **dict.fromkeys((16, 17), NetworkChange.LINKS),  # RTM_NEWLINK, RTM_DELLINK
    **dict.fromkeys((20, 21), NetworkChange.ADDRESSES),  # RTM_NEWADDR, RTM_DELADDR
    **dict.fromkeys((24, 25, 32, 33, 104, 105), NetworkChange.ROUTES),  # RTM_*ROUTE, RTM_*RULE, RTM_*NEXTHOP
    **dict.fromkeys((80, 81), NetworkChange.MULTICAST_ROUTING),  # RTM_*NETCONF
}


class NetworkChangeSocket:
    """A netlink socket of the calling thread's network namespace; needs no privilege."""

    def __init__(self, source: socket.socket | None = None) -> None:
        """``source``: another non-blocking socket to read messages from."""
        self._socket = source if source is not None else _subscribed()

    def fileno(self) -> int:
        """Readable when there is a change."""
        return self._socket.fileno()

    def take(self) -> NetworkChange:
        """All that has come since; if there is very much, some of it stays for the next call."""
        changes = NetworkChange(0)
        for message in received(self._socket, _MOST_READS):
            changes |= EVERYTHING if message is None else _KINDS.get(message[0], NetworkChange(0))
        return changes

    def close(self) -> None:
        self._socket.close()


def _subscribed() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    try:
        made.bind((0, 0))
        for group in _GROUPS:
            made.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError:
        made.close()
        raise
    return made
