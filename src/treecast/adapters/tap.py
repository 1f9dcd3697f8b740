"""A TAP that is there before the node starts: left by a node with ``--keep-interface``, or made by the operator.

Nobody else may use it. What a node has left has an alias (``ip link`` shows it), which says how to get rid of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from treecast.adapters.bridge_record import load_record
from treecast.adapters.link import read_link, refusals
from treecast.base.errors import OperatorError

KEPT_ALIAS = "kept for treecast, to be rid of it: ip link del"
_IFLA_TUN_TYPE_TAP = 2


@dataclass(frozen=True, slots=True)
class FoundTap:
    """``kept``: a node made it and left it."""

    kept: bool


def find_tap(name: str, directory: Path) -> FoundTap | None:
    """The TAP of this name, out of the node's own bridge; None when there is no such interface.

    OperatorError when it cannot be taken.
    """
    with refusals(f"take {name}"), IPRoute() as ipr:
        found = ipr.link_lookup(ifname=name)
        if not found:
            return None
        message = ipr.get_links(found[0])[0]
        link = read_link(ipr, found[0])
        details = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA") if link.kind == "tun" else None
        if details is None or details.get_attr("IFLA_TUN_TYPE") != _IFLA_TUN_TYPE_TAP:
            kind = f"a {link.kind}" if link.kind else "not made by software"
            raise OperatorError(f"the interface {name} is {kind}, no TAP: choose another name with --interface")
        if message.get_attr("IFLA_CARRIER"):
            raise OperatorError(f"another program uses the interface {name}: choose another name with --interface")
        record = load_record(directory)
        if link.master and record is not None and read_link(ipr, link.master).name == record.bridge:
            ipr.link("set", index=link.index, master=0)  # its addresses are given again, and it is bridged again
        return FoundTap(kept=message.get_attr("IFLA_IFALIAS") == KEPT_ALIAS)
