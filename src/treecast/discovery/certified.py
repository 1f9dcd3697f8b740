"""The addresses that certificates give to nodes, whichever host claims them, and the nodes that may carry hosts."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.ids import NodeIndex


@dataclass(frozen=True, slots=True)
class Given:
    """The addresses and the right that a certificate gives a node.

    ``bridges``: it may carry hosts that are not its own machine (role bridge).
    """

    mac: MacAddress
    addresses: tuple[IPAddress, ...]
    bridges: bool

    def is_of_its_machine(self, address: IPAddress) -> bool:
        """Whether this is an address of the node's own interface: one of the certificate, or its MAC's link-local."""
        return address in self.addresses or address == self.mac.link_local


class CertifiedAddresses:
    """The MAC and the IP addresses of each node that is known. Bounded by the nodes that Broadcast holds."""

    def __init__(self) -> None:
        self._given: dict[NodeIndex, Given] = {}
        self._owners: dict[MacAddress | IPAddress, NodeIndex] = {}

    def give(self, node: NodeIndex, given: Given) -> bool:
        """A node's certificate. False: it gave the same before."""
        if self._given.get(node) == given:
            return False
        self.take(node)
        self._given[node] = given
        self._owners.update(dict.fromkeys((given.mac, *given.addresses), node))
        return True

    def take(self, node: NodeIndex) -> None:
        """The node is gone."""
        given = self._given.pop(node, None)
        if given is not None:
            for owned in (given.mac, *given.addresses):
                if self._owners.get(owned) == node:
                    del self._owners[owned]

    def given(self, node: NodeIndex) -> Given | None:
        return self._given.get(node)

    def owner(self, what: MacAddress | IPAddress) -> NodeIndex | None:
        return self._owners.get(what)
