"""Whether this machine routes IPv4 multicast that comes in by an interface (ip_mroute), and when that may have changed.

A router's interfaces have ``mc_forwarding`` on (ip-sysctl.rst). The kernel announces each change of that, and of links.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from pyroute2 import IPRoute

_CONF = Path("/proc/sys/net/ipv4/conf")
_RTNLGRP_LINK, _RTNLGRP_IPV4_NETCONF = 1, 24  # linux/rtnetlink.h
_RECEIVE_BYTES = 2**16


class RoutingNews:
    """A netlink socket, readable when something may have changed."""

    def __init__(self) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self.socket.bind((0, 1 << (_RTNLGRP_LINK - 1) | 1 << (_RTNLGRP_IPV4_NETCONF - 1)))

    def discard(self) -> None:
        """Forget what has come, lost or not; what it is about is looked up."""
        while True:
            try:
                self.socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        self.socket.close()


def routes_multicast(interface: str) -> bool:
    """Whether a multicast router has this interface, its bridge, or what is on top of these (a VLAN, a macvlan) here.

    Asks netlink only where there is a router at all, but not in an event loop.
    """
    if not _is_on("all"):
        return False
    with IPRoute() as ipr:
        links = list(ipr.get_links())
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
    below = {link["index"]: link.get_attr("IFLA_LINK") for link in links}
    own = {index for index, name in names.items() if name == interface}
    own |= {link.get_attr("IFLA_MASTER") for link in links if link["index"] in own} - {None}
    grown = True
    while grown:
        above = {index for index, lower in below.items() if lower in own} - own
        own |= above
        grown = bool(above)
    return any(_is_on(names[index]) for index in own if index in names)


def _is_on(interface: str) -> bool:
    try:
        return (_CONF / interface / "mc_forwarding").read_text(encoding="ascii").strip() != "0"
    except OSError:  # it is gone
        return False
