"""The nodes that are known or sought, one row each, in whatever state: what ``peers`` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_GONE_NODES
from treecast.base.time import Instant
from treecast.identity.certificate import Certificate
from treecast.links.memory import RememberedNodes
from treecast.links.peers import Peer, Peers
from treecast.links.reachability import Reachability
from treecast.links.standing import Standing
from treecast.links.target import Target
from treecast.links.targets import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One node. ``node`` and ``certificate``: None while nobody knows who is there; ``why``: where ``standing`` alone
    does not show it; ``last_received``: None for a node that is up (the data plane knows) or of which nothing ever
    came, to the hour where only an earlier run was linked to it; ``overlay``: its addresses there, as remembered.
    ``via``: the name of the neighbour by which one without a path is reached. ``sought_as``, of a node that is up: the
    text of each ``--peer`` that it is, and an empty one where others have advertised it.
    """

    name: str
    node: NodeIndex | None
    certificate: Certificate | None
    standing: Standing
    why: str
    endpoints: tuple[Endpoint, ...]
    session: int | None
    last_received: Instant | None
    version: str
    underlay_mtu: int | None = None
    hybrid: bool = False
    via: str = ""
    overlay: tuple[IPAddress, ...] = ()
    sought_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """A node whose link has ended."""

    certificate: Certificate
    endpoint: Endpoint | None
    version: str
    last_received: Instant


class Roster:
    """Lists the nodes that are known or sought. Of nodes that went it remembers the last MAX_GONE_NODES."""

    def __init__(
        self,
        peers: Peers,
        targets: Targets,
        reachability: Reachability,
        memory: RememberedNodes,
        wall_clock_ms: Callable[[Instant], int],
    ) -> None:
        self._memory = memory
        self._wall_clock_ms = wall_clock_ms
        self._peers = peers
        self._targets = targets
        self._reachability = reachability
        self._gone: BoundedTable[NodeIndex, Gone] = BoundedTable(MAX_GONE_NODES)
        self._untaken: set[NodeIndex] = set()
        """Nodes of ``_gone`` that ``take_gone`` has not returned."""

    def link_up(self, node: NodeIndex) -> None:
        self._gone.pop(node, None)
        self._untaken.discard(node)

    def link_down(self, peer: Peer, last_received: Instant) -> None:
        self._untaken.add(peer.node)
        gone = Gone(peer.certificate, peer.endpoint, peer.version, last_received)
        first = self._gone.put(peer.node, gone)
        if first is not None:
            self._untaken.discard(first[0])

    def take_gone(self) -> list[Gone]:
        """The nodes whose link has ended since the last call, and has not come back."""
        taken, self._untaken = self._untaken, set()
        return [self._gone[node] for node in sorted(taken)]

    def known(self, now: Instant) -> Iterator[Known]:
        """Linked nodes by index, then those that are known or sought, then those that are gone.

        One by one: the tables may change meanwhile.
        """
        yield from self._linked()
        yield from self._sought(now)
        yield from self._offline()

    def _linked(self) -> Iterator[Known]:
        for peer in self._peers:
            if peer.up:
                yield Known(
                    name=peer.certificate.name,
                    node=peer.node,
                    certificate=peer.certificate,
                    standing=Standing.UP,
                    why="",
                    endpoints=(peer.path.endpoint,) if peer.path is not None and peer.via is None else (),
                    via=self._name(peer.via),
                    session=peer.current.index,
                    last_received=None,
                    version=peer.version,
                    underlay_mtu=peer.underlay_mtu,
                    hybrid=peer.current.hybrid,
                    sought_as=tuple(target.name or "" for target in self._targets.of(peer.node)),
                )

    def _name(self, neighbour: NodeIndex | None) -> str:
        peer = self._peers.get(neighbour) if neighbour is not None else None
        return peer.certificate.name if peer is not None else ""

    def _sought(self, now: Instant) -> Iterator[Known]:
        seen: set[NodeIndex] = set()
        for target in list(self._targets.shown()):
            standing = self._reachability.standing(now, target)
            if standing is Standing.UP or target.node in seen:
                continue
            if target.node is not None:
                seen.add(target.node)
            yield self._sought_one(now, target, standing)

    def _sought_one(self, now: Instant, target: Target, standing: Standing) -> Known:
        gone = self._gone.get(target.node) if target.node is not None else None
        certificate, version = (gone.certificate, gone.version) if gone else (None, "")
        remembered = self._memory.get(target.node) if target.node is not None else None
        times = [self._reachability.last_received(now, target), gone.last_received if gone else None]
        last_received = max((then for then in times if then is not None), default=None)
        if last_received is None and remembered is not None:
            last_received = remembered.last_linked(now, self._wall_clock_ms(now) // 1000)
        return Known(
            name=certificate.name if certificate else target.label,
            node=target.node,
            certificate=certificate,
            standing=standing,
            why=self._reachability.why(now, target),
            endpoints=target.candidates,
            session=None,
            last_received=last_received,
            version=version,
            overlay=remembered.overlay if remembered else (),
        )

    def _offline(self) -> Iterator[Known]:
        sought = {target.node for target in self._targets.shown()}
        for node, gone in list(self._gone.items()):
            if node not in sought and not self._is_up(node):
                yield Known(
                    name=gone.certificate.name,
                    node=node,
                    certificate=gone.certificate,
                    standing=Standing.OFFLINE,
                    why="",
                    endpoints=(gone.endpoint,) if gone.endpoint else (),
                    session=None,
                    last_received=gone.last_received,
                    version=gone.version,
                )

    def _is_up(self, node: NodeIndex) -> bool:
        peer = self._peers.get(node)
        return peer is not None and peer.up
