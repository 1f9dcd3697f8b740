"""The frames that each node may send, as the data plane has them (docs/dataplane.md): sources, groups, broadcast.

A certificate gives a node its addresses. While the node claims a host with one of them, nobody else sends as from
them. While one with the role bridge does not, its machine is on a LAN that another node carries, and its frames come
through that one; so it may be while no path or route leads to the node.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress, IPNetwork, MacAddress
from treecast.base.commands import CertifyNode, Command, SetAuthenticatedGroups, UncertifyNode
from treecast.base.ids import NodeIndex
from treecast.wire.advertisement import HostContent


@dataclass(frozen=True, slots=True)
class GivenSources:
    """The part of a certificate that limits what its node may send. ``send_to``: prefixes of groups, None for all."""

    addresses: tuple[IPAddress, ...]
    bridge: bool
    signing_key: bytes
    send_to: tuple[IPNetwork, ...] | None = None


class FrameSources:
    """Certificates and claims of nodes. Bounded by the nodes that are known, and by the hosts that each may claim.

    Methods append to ``commands``; the caller empties it.
    """

    def __init__(self, authenticated: tuple[IPNetwork, ...] = ()) -> None:
        """``authenticated``: groups of which no frame counts that came on a tree."""
        self._given: dict[NodeIndex, GivenSources] = {}
        self._claims: dict[NodeIndex, set[tuple[int, MacAddress]]] = {}
        """Hosts of each node that have an address of its certificate."""
        self._lost: set[NodeIndex] = set()
        """Nodes to which no way leads any more."""
        self.commands: list[Command] = [SetAuthenticatedGroups(authenticated)] if authenticated else []

    def certify(self, node: NodeIndex, given: GivenSources) -> None:
        """A node's certificate."""
        if self._given.get(node) != given:
            self._given[node] = given
            self._write(node)

    def lose(self, node: NodeIndex) -> None:
        """No way leads to the node any more: what it claims need not be true."""
        if node in self._given and node not in self._lost:
            self._lost.add(node)
            if self._claims.get(node) and self._given[node].bridge:
                self._write(node)

    def find(self, node: NodeIndex) -> None:
        """The node is there again."""
        if node in self._lost:
            self._lost.remove(node)
            if self._claims.get(node) and self._given[node].bridge:
                self._write(node)

    def uncertify(self, node: NodeIndex) -> None:
        """The node is gone."""
        self._claims.pop(node, None)
        self._lost.discard(node)
        if self._given.pop(node, None) is not None:
            self.commands.append(UncertifyNode(node))

    def claim(self, node: NodeIndex, host: tuple[int, MacAddress], content: HostContent | None) -> None:
        """A node claims a host; None: it ended."""
        given = self._given.get(node)
        if given is None:
            return
        claims = self._claims.setdefault(node, set())
        before = bool(claims)
        own = content is not None and any(address in given.addresses for address in content.address_values())
        (claims.add if own else claims.discard)(host)
        if bool(claims) != before:
            self._write(node)
        if not claims:
            del self._claims[node]

    def _write(self, node: NodeIndex) -> None:
        given = self._given[node]
        carried = given.bridge and (node in self._lost or not self._claims.get(node))
        certified = CertifyNode(node, given.bridge, carried, given.addresses, given.signing_key, given.send_to)
        self.commands.append(certified)
