"""Addresses that certificates give to nodes, whichever host claims them."""

from __future__ import annotations

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.ids import NodeIndex


class CertifiedAddresses:
    """The MAC and the IP addresses of each node that is known. Bounded by the nodes that Broadcast holds."""

    def __init__(self) -> None:
        self._given: dict[NodeIndex, tuple[MacAddress, tuple[IPAddress, ...]]] = {}
        self._owners: dict[MacAddress | IPAddress, NodeIndex] = {}

    def give(self, node: NodeIndex, mac: MacAddress, addresses: tuple[IPAddress, ...]) -> bool:
        """A node's certificate. False: it gave the same before."""
        if self._given.get(node) == (mac, addresses):
            return False
        self.take(node)
        self._given[node] = (mac, addresses)
        self._owners.update(dict.fromkeys((mac, *addresses), node))
        return True

    def take(self, node: NodeIndex) -> None:
        """The node is gone."""
        given = self._given.pop(node, None)
        if given is not None:
            for owned in (given[0], *given[1]):
                if self._owners.get(owned) == node:
                    del self._owners[owned]

    def owner(self, what: MacAddress | IPAddress) -> NodeIndex | None:
        return self._owners.get(what)
