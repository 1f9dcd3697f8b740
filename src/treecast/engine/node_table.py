"""The nodes this one has heard of, by index."""

from __future__ import annotations

from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate
from treecast.identity.ids import node_mac


class NodeTable:
    """Certificates of this node, of linked nodes, and of those that Broadcast told of."""

    def __init__(self, own: Certificate) -> None:
        self._own = own
        self._certificates: dict[NodeIndex, Certificate] = {own.node_index: own}

    def put(self, node: NodeIndex, certificate: Certificate) -> None:
        self._certificates[node] = certificate

    def remove(self, node: NodeIndex) -> None:
        if node != self._own.node_index:
            self._certificates.pop(node, None)

    def is_other_nodes(self, mac: MacAddress) -> bool:
        """Whether this is the TAP of another node: what it sends on a shared LAN, no host sent."""
        node = NodeIndex(int.from_bytes(mac.packed[2:], "big"))
        return node != self._own.node_index and node in self._certificates and mac == node_mac(node)

    def name(self, node: NodeIndex) -> str:
        """The node's name; its index while its certificate is unknown."""
        certificate = self._certificates.get(node)
        return certificate.name if certificate else f"#{node}"
