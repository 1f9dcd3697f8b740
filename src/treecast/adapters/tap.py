"""A TAP that is there before the node starts: left by a node with ``--keep-interface``, or made by the operator.

Nobody else may use it. What a node has left has an alias (``ip link`` shows it): how to get rid of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink import nlmsg

from treecast.adapters.bridge_record import BridgeRecord, load_record
from treecast.adapters.interface import Settings
from treecast.adapters.interface_configuration import read_configuration
from treecast.adapters.link import read_link, refusals
from treecast.adapters.rtnetlink import RouteSocket
from treecast.base.errors import OperatorError

KEPT_ALIAS = "kept for treecast, to be rid of it: ip link del"
_IFLA_TUN_TYPE_TAP = 2


@dataclass(frozen=True, slots=True)
class FoundTap:
    """``kept``: a node made it and left it."""

    name: str
    kept: bool

    def renamed(self, wanted: str) -> str:
        """A sentence on one that is called ``wanted`` no more, and what to do."""
        back = f"ip link set {self.name} down && ip link set {self.name} name {wanted}"
        return (
            f"there is no {wanted}, but {self.name}, which has this node's MAC and addresses, so that is taken: start "
            f"with --interface {self.name}, or give it its name back while the node is stopped ({back})"
        )


def find_tap(name: str, directory: Path, settings: Settings) -> FoundTap | None:
    """The TAP of this name, or the node's own that somebody has renamed, out of the node's own bridge; None for none.

    ``settings``: what the node's own has. OperatorError when the one of this name cannot be taken.
    """
    with refusals(f"take {name}"), IPRoute() as ipr, RouteSocket() as kernel:
        record = load_record(directory)
        found = ipr.link_lookup(ifname=name) or _renamed(ipr, kernel, settings, record)
        if not found:
            return None
        message = ipr.get_links(found[0])[0]
        link = read_link(ipr, found[0])
        if not _is_tap(message):
            kind = f"a {link.kind}" if link.kind else "not made by software"
            raise OperatorError(f"the interface {name} is {kind}, no TAP: choose another name with --interface")
        if message.get_attr("IFLA_CARRIER"):
            raise OperatorError(f"another program uses the interface {name}: choose another name with --interface")
        if link.master and record is not None and read_link(ipr, link.master).name == record.bridge:
            ipr.link("set", index=link.index, master=0)  # its addresses are given again, and it is bridged again
        return FoundTap(link.name, kept=message.get_attr("IFLA_IFALIAS") == KEPT_ALIAS)


def _renamed(ipr: IPRoute, kernel: RouteSocket, settings: Settings, record: BridgeRecord | None) -> list[int]:
    """The index of the TAP that nobody uses and that has this node's MAC and addresses, or is in its bridge; or none.

    A MAC alone may be that of another network's node on this machine.
    """
    for message in ipr.get_links():
        index, master = message["index"], message.get_attr("IFLA_MASTER")
        if message.get_attr("IFLA_ADDRESS") != str(settings.mac) or message.get_attr("IFLA_CARRIER"):
            continue
        carried = {str(address) for address in read_configuration(kernel, index).addresses if not address.is_link_local}
        is_in_bridge = master and record is not None and read_link(ipr, master).name == record.bridge
        if _is_tap(message) and (is_in_bridge or carried & set(map(str, settings.addresses))):
            return [index]
    return []


def _is_tap(message: nlmsg) -> bool:
    info = message.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "tun":
        return False
    details = info.get_attr("IFLA_INFO_DATA")
    return details is not None and details.get_attr("IFLA_TUN_TYPE") == _IFLA_TUN_TYPE_TAP
