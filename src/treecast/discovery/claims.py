"""Claims of nodes to hosts, as far as their certificates let them (docs/protocol.md section 7, Hosts).

Decides which claims, and which addresses in them, count at all; which of several claims to one host counts is
``remote_hosts``'. This node's own claims are held to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REFUSED_CLAIMS
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.discovery.certified import CertifiedAddresses, Given
from treecast.discovery.disputed import Disputed
from treecast.discovery.local_hosts import HostKey, LocalHost
from treecast.discovery.remote_hosts import RemoteHost
from treecast.discovery.snooping import is_host_address
from treecast.wire.advertisement import HostContent

WITHOUT_ROLE = "claim_without_role"


class Claims:
    """Refuses claims; those of nodes without the role, this one too, are remembered, for people."""

    def __init__(self, me: NodeIndex, certified: CertifiedAddresses, drops: Drops) -> None:
        self._me = me
        self._certified = certified
        self._drops = drops
        self._refused: dict[NodeIndex, dict[HostKey, None]] = {}
        """The first that live of each node without the role."""
        self.disputed = Disputed()
        self.own: Given | None = None
        """Given by this node's own certificate."""

    def of(self, now: Instant, node: NodeIndex, key: HostKey, content: HostContent) -> RemoteHost | None:
        """A node's claim, with what cannot be a host's address, or is another node's, left out; None: refused."""
        given = self._certified.given(node)
        if self._certified.owner(key[1]) not in (None, node):
            self._drops.count("host_of_another_node")
            return None
        addresses = tuple(address for address in content.address_values() if is_host_address(address))
        permitted = tuple(address for address in addresses if self._certified.may_have(node, key[0], address))
        self._note_disputed(node, key, addresses)
        if len(permitted) < len(addresses):
            self._drops.count("address_of_a_node")
        if given is None or not given.bridges:
            if given is None or key != (0, given.mac):
                self._refuse(node, key)
                return None
            permitted = self._of_its_machine(given, permitted)
        self._forget(node, key)
        return RemoteHost(node, permitted, content.sequence, now, content.is_router)

    def ended(self, node: NodeIndex, key: HostKey) -> None:
        """The node claims the host no more."""
        self._forget(node, key)

    def publishable(self, key: HostKey, host: LocalHost | None) -> HostContent | None:
        """The content that this node may publish of a host of its own, None where it is gone; None: nothing."""
        self._forget(self._me, key)
        if host is None:
            return None
        addresses = host.sorted_addresses()
        if self.own is not None and not self.own.bridges:
            if key != (0, self.own.mac):
                self._refuse(self._me, key)
                return None
            addresses = tuple(address for address in addresses if self.own.is_of_its_machine(address))
        return HostContent.of(tuple(a.packed for a in addresses), host.sequence, is_router=host.is_router)

    def forget_node(self, node: NodeIndex) -> None:
        """The node is gone, or has another certificate."""
        self._refused.pop(node, None)

    def problems(self, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Nodes that claim hosts without the role. ``name``: of a node."""
        for node in sorted(self._refused):
            (_, mac), *others = sorted(self._refused[node])
            more = f" and at least {len(others)} others," if others else ""
            renew = f"run treecast node renew {name(node)} --role bridge,relay where the CA key is"
            if node == self._me:
                yield Problem(
                    "hosts_without_role",
                    "this machine",
                    f"other nodes do not reach the host {mac}{more} behind this node's interface, for its certificate "
                    f"does not let it carry hosts: {renew}, and give this node the certificate",
                )
            else:
                yield Problem(
                    "claims_without_role",
                    name(node),
                    f"{name(node)} claims the host {mac}{more} but its newest certificate does not let it carry hosts, "
                    f"and they are not reached there: if it is to carry a LAN, {renew}, else find out what runs there",
                )

    def _note_disputed(self, node: NodeIndex, key: HostKey, addresses: tuple[IPAddress, ...]) -> None:
        for address in addresses:
            owner = self._certified.owner(address)
            if owner is not None and owner != node:
                self.disputed.note(owner, node, key)

    def _of_its_machine(self, given: Given, addresses: tuple[IPAddress, ...]) -> tuple[IPAddress, ...]:
        own = tuple(address for address in addresses if given.is_of_its_machine(address))
        if len(own) < len(addresses):
            self._drops.count(WITHOUT_ROLE)
        return own

    def _refuse(self, node: NodeIndex, key: HostKey) -> None:
        self._drops.count(WITHOUT_ROLE)
        refused = self._refused.setdefault(node, {})
        if len(refused) < MAX_REFUSED_CLAIMS:
            refused[key] = None

    def _forget(self, node: NodeIndex, key: HostKey) -> None:
        refused = self._refused.get(node)
        if refused is not None:
            refused.pop(key, None)
            if not refused:
                del self._refused[node]
