"""One network interface as the kernel describes it, and what may be done to it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from treecast.base.addresses import MacAddress
from treecast.base.errors import OperatorError

_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_ARPHRD_ETHER = 1
_ONE_OF_MANY = ("bond", "team")
"""Kinds of interfaces made of several: the one that is made leads to the LAN."""


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """``master``: the index of the bridge or bond it is in, 0 for none; ``kind``: as ``ip link`` has it, or empty."""

    index: int
    name: str
    mac: MacAddress
    mtu_bytes: int
    kind: str
    master: int
    up: bool
    loopback: bool
    ethernet: bool


def find_link(ipr: IPRoute, name: str) -> NetworkInterface | None:
    """The interface of this name; None when there is none."""
    found = ipr.link_lookup(ifname=name)
    return read_link(ipr, found[0]) if found else None


def require_lan_interface(ipr: IPRoute, name: str, tap: str, bridge: str, bridged: str) -> NetworkInterface:
    """The interface of this name; OperatorError when it is the node's own or no Ethernet: it leads to no LAN.

    ``bridge``, ``bridged``: what the node has made, and of which interface; empty for none.
    """
    link = find_link(ipr, name)
    if link is None:
        raise OperatorError(f"there is no interface {name}: ip link lists those there are")
    if name == tap:
        raise OperatorError(f"{name} is the node's own interface: name one that leads to a LAN")
    if bridge and name == bridge:
        raise OperatorError(f"{name} is this node's own bridge, and {bridged} is in it: its LAN is carried already")
    if link.loopback or not link.ethernet:
        raise OperatorError(f"{name} is no Ethernet interface: name one that leads to a LAN")
    return link


def require_free(ipr: IPRoute, link: NetworkInterface) -> None:
    """OperatorError when it is in another interface."""
    if link.master:
        master = read_link(ipr, link.master)
        raise OperatorError(taken(link.name, master.name, master.kind))


def taken(name: str, master: str, kind: str) -> str:
    """A sentence on an interface that is in another, of this kind, and what to do."""
    advice = f"take it out first (ip link set {name} nomaster)"
    if kind == "bridge":
        advice += f", or {_give_port(master)}"
    elif kind in _ONE_OF_MANY:
        advice = f"name {master}"
    return f"{name} is in {master} already: {advice}"


def require_no_bridge(link: NetworkInterface) -> None:
    """OperatorError when it is a bridge, which cannot be in another."""
    if link.kind == "bridge":
        text = f"{link.name} is a bridge itself, and a bridge cannot be in another"
        raise OperatorError(f"{text}: {_give_port(link.name)}")


def _give_port(bridge: str) -> str:
    """A pair of interfaces, one end of it in the bridge, leads to the bridge's LAN like a cable."""
    commands = f"ip link add tc0 up type veth peer name tc1; ip link set tc1 up master {bridge}"
    return f"give {bridge} a port for this ({commands}) and name tc0"


def read_link(ipr: IPRoute, index: int) -> NetworkInterface:
    message = ipr.get_links(index)[0]
    info = message.get_attr("IFLA_LINKINFO")
    return NetworkInterface(
        index=index,
        name=message.get_attr("IFLA_IFNAME"),
        mac=MacAddress.parse(message.get_attr("IFLA_ADDRESS") or "00:00:00:00:00:00"),
        mtu_bytes=message.get_attr("IFLA_MTU"),
        kind=(info.get_attr("IFLA_INFO_KIND") if info else None) or "",
        master=message.get_attr("IFLA_MASTER") or 0,
        up=bool(message["flags"] & _IFF_UP),
        loopback=bool(message["flags"] & _IFF_LOOPBACK),
        ethernet=message["ifi_type"] == _ARPHRD_ETHER,
    )


def ports_of(ipr: IPRoute, bridge: int) -> list[str]:
    """The names of the interfaces that are in a bridge."""
    return sorted(m.get_attr("IFLA_IFNAME") for m in ipr.get_links() if m.get_attr("IFLA_MASTER") == bridge)


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """A refusal of the kernel inside becomes the sentence ``cannot WHAT (REASON)``."""
    try:
        yield
    except (NetlinkError, OSError) as error:
        code = error.code if isinstance(error, NetlinkError) else error.errno
        reason = str(error.args[-1]).lower()
        advice = "run this as root" if code == errno.EPERM else "nothing has changed, see to it and try again"
        if code == errno.EACCES:  # rtnetlink(7): not who asks, but what for
            advice = "is IPv6 off there? sysctl -a -r disable_ipv6 lists where; nothing has changed"
        raise OperatorError(f"cannot {what} ({reason}): {advice}") from error
