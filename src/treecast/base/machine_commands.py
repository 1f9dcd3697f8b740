"""Commands about this node's own machine. See ``base.commands``."""

from __future__ import annotations

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.command import DataPlaneCommand


class SetBridgeMac(DataPlaneCommand, frozen=True):
    """The MAC of the bridge that has these addresses of the machine: what it sends from them gets the node's own.

    None: no bridge has them.
    """

    mac: MacAddress | None
    addresses: tuple[IPAddress, ...]
