"""Whether this machine routes IPv4 multicast that comes in by an interface (ip_mroute).

A router's interfaces have ``mc_forwarding`` on (ip-sysctl.rst).
"""

from __future__ import annotations

from pathlib import Path

from pyroute2 import IPRoute

_CONF = Path("/proc/sys/net/ipv4/conf")


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
