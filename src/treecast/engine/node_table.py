"""The nodes that this one has learned of, by index."""

from __future__ import annotations

from collections.abc import Iterable

from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.engine.certificates import EndingCertificates
from treecast.identity.certificate import Certificate
from treecast.identity.ids import node_mac


class NodeTable:
    """Certificates of this node, of linked nodes, and of those that Broadcast has learned of."""

    def __init__(self, own: Certificate) -> None:
        self._own = own
        self._certificates: dict[NodeIndex, Certificate] = {own.node_index: own}
        self.ending = EndingCertificates(own)

    def put(self, node: NodeIndex, certificate: Certificate) -> None:
        self._certificates[node] = certificate
        self.ending.put(certificate)

    def remove(self, node: NodeIndex) -> None:
        if node != self._own.node_index:
            self._certificates.pop(node, None)
            self.ending.remove(node)

    def other_with_mac(self, mac: MacAddress) -> NodeIndex | None:
        """The other node whose TAP this is: what that sends on a shared LAN, no host sent."""
        node = NodeIndex(int.from_bytes(mac.packed[2:], "big"))
        is_known = node != self._own.node_index and node in self._certificates
        return node if is_known and mac == node_mac(node) else None

    def certificates(self) -> Iterable[Certificate]:
        """This node's too."""
        return self._certificates.values()

    def certificate(self, node: NodeIndex) -> Certificate | None:
        return self._certificates.get(node)

    def name(self, node: NodeIndex) -> str:
        """The node's name; its index while its certificate is unknown."""
        certificate = self._certificates.get(node)
        return certificate.name if certificate else f"#{node}"
