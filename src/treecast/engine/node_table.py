"""The nodes that this one has learned of, by index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from treecast.base.addresses import IPAddress, IPNetwork, MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.dataplane.frame_sources import FrameSources, GivenSources
from treecast.engine.certificates import EndingCertificates
from treecast.engine.older_certificates import OlderCertificates
from treecast.identity.certificate import Certificate
from treecast.identity.ids import node_mac
from treecast.identity.rights import Role


class NodeTable:
    """Certificates of this node, of linked nodes, and of those that Broadcast has learned of."""

    def __init__(self, own: Certificate, authenticated: tuple[IPNetwork, ...] = ()) -> None:
        """``authenticated``: groups of which no frame counts that came on a tree."""
        self._own = own
        self._certificates: dict[NodeIndex, Certificate] = {own.node_index: own}
        self._named = Counter([own.name])
        """How many nodes have each name."""
        self._shared: set[str] = set()
        """Names that several have."""
        self._relaying: dict[NodeIndex, Relaying] = {}
        self.ending = EndingCertificates(own)
        self.older = OlderCertificates()
        self.sources = FrameSources(authenticated)
        """Frames that each may send, for the data plane."""
        self._certify(own)

    def put(self, node: NodeIndex, certificate: Certificate) -> None:
        before = self._certificates.get(node)
        self._certificates[node] = certificate
        if before is None or before.name != certificate.name:
            self._named[certificate.name] += 1
            if self._named[certificate.name] > 1:
                self._shared.add(certificate.name)
            if before is not None:
                self._unname(before.name)
        self.ending.put(certificate)
        self._certify(certificate)

    def _certify(self, certificate: Certificate) -> None:
        given = (interface.ip for interface in (certificate.ipv4, certificate.ipv6) if interface)
        addresses: tuple[IPAddress, ...] = (*given, certificate.mac.link_local)
        rights = certificate.rights
        bridge = Role.BRIDGE in rights.roles
        given_sources = GivenSources(addresses, bridge, certificate.signing_key, rights.send_to)
        self.sources.certify(certificate.node_index, given_sources)

    def remove(self, node: NodeIndex) -> None:
        if node != self._own.node_index:
            before = self._certificates.pop(node, None)
            if before is not None:
                self._unname(before.name)
            self._relaying.pop(node, None)
            self.ending.remove(node)
            self.older.forget(node)
            self.sources.uncertify(node)

    def put_relaying(self, node: NodeIndex, relaying: Relaying) -> bool:
        """The node advertises this relaying and uplink; whether it advertised something else before."""
        is_other = self.relaying(node) != relaying
        self._relaying[node] = relaying
        return is_other

    def relaying(self, node: NodeIndex) -> Relaying:
        """The relaying that the node advertises; none advertised is no bound."""
        return self._relaying.get(node, UNBOUNDED)

    def _unname(self, name: str) -> None:
        """One node fewer has the name."""
        self._named[name] -= 1
        if self._named[name] < 2:
            self._shared.discard(name)
        if not self._named[name]:
            del self._named[name]

    def of_one_name(self) -> Iterator[tuple[str, list[NodeIndex]]]:
        """Each name that several nodes have, and which; a walk over all nodes only where there is one."""
        for name in sorted(self._shared):
            yield name, sorted(node for node, certificate in self._certificates.items() if certificate.name == name)

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

    def name_and_address(self, node: NodeIndex) -> str:
        """The node's name with its address in the overlay, by which people find it."""
        certificate = self._certificates.get(node)
        address = certificate and (certificate.ipv4 or certificate.ipv6)
        return f"{self.name(node)} ({address.ip})" if address else self.name(node)
