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
        self._lost: set[NodeIndex] = set()
        """Nodes with the role bridge to which no way leads any more."""

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
        self._lost.discard(node)
        if given is not None:
            for owned in (given.mac, *given.addresses):
                if self._owners.get(owned) == node:
                    del self._owners[owned]

    def lose(self, node: NodeIndex) -> bool:
        """No way leads to the node any more. True: it may carry a LAN, which another one may have taken over with its
        machine on it.
        """
        given = self._given.get(node)
        if given is None or not given.bridges:
            return False
        self._lost.add(node)
        return True

    def find(self, node: NodeIndex) -> bool:
        """The node is there again. False: it was not lost."""
        was_lost = node in self._lost
        self._lost.discard(node)
        return was_lost

    def is_lost(self, node: NodeIndex) -> bool:
        return node in self._lost

    def may_have(self, node: NodeIndex, vlan: int, address: IPAddress) -> bool:
        """Whether a host of this node may have the address: no other node has it by its certificate, or one that is
        lost, whose machine may be on this node's LAN. A machine has its addresses untagged.
        """
        owner = self._owners.get(address)
        return owner in (None, node) or (owner in self._lost and vlan == 0)

    def is_believed(self, node: NodeIndex, vlan: int, address: IPAddress) -> bool:
        """Whether solicitations of an address of the node get replies: it is reached, and its host may have that."""
        return node not in self._lost and self.may_have(node, vlan, address)

    def given(self, node: NodeIndex) -> Given | None:
        return self._given.get(node)

    def owner(self, what: MacAddress | IPAddress) -> NodeIndex | None:
        return self._owners.get(what)
