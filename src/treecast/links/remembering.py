"""Remembering: the nodes of an earlier run as targets of this one, and those of this run for the next.

Decides which endpoints of a node are worth remembering; how long a node is, ``memory`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.identity.certificate import Certificate
from treecast.links.memory import Remembered, RememberedNodes
from treecast.links.peers import Peers
from treecast.links.roster import Roster
from treecast.links.target import Target
from treecast.links.targets import Targets


class Remembering:
    """One node's. ``give_up``: ends the attempt to reach a target, if there is one."""

    def __init__(
        self,
        memory: RememberedNodes,
        peers: Peers,
        targets: Targets,
        roster: Roster,
        wall_clock_ms: Callable[[Instant], int],
        give_up: Callable[[Target], None],
    ) -> None:
        self._memory = memory
        self._peers = peers
        self._targets = targets
        self._roster = roster
        self._wall_clock_ms = wall_clock_ms
        self._give_up = give_up

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None:
        """Nodes that an earlier run remembered: tried, less and less often, where they were."""
        self._memory.recall(nodes)
        self._targets.recall(now, self._memory.nodes)

    def serial(self, node: NodeIndex) -> int:
        """The serial of the certificate that the node is remembered with, or 0."""
        remembered = self._memory.get(node)
        return remembered.serial if remembered is not None else 0

    def present(self, now: Instant) -> tuple[Remembered, ...]:
        """The nodes that are worth remembering for the next run. Those that are no longer, are sought no more."""
        before, unix_s = self._memory.nodes, self._unix_s(now)
        linked = [self._linked_now(unix_s, peer.certificate, peer.endpoint) for peer in self._peers if peer.up]
        ended = [
            self._linked_now(self._unix_s(gone.last_received), gone.certificate, gone.endpoint)
            for gone in self._roster.take_gone()
        ]
        kept = self._memory.look(now, linked, ended)
        for node in {one.node for one in before} - {one.node for one in kept}:
            target = self._targets.drop_recalled(node)
            if target is not None:
                self._give_up(target)
        return kept

    def _unix_s(self, now: Instant) -> int:
        return self._wall_clock_ms(now) // 1000

    def _linked_now(self, unix_s: int, certificate: Certificate, current: Endpoint | None) -> Remembered:
        targets = self._targets.of(certificate.node_index)
        learned = (target.endpoints for target in targets if target.recall_pause is None)
        said = [endpoint for endpoints in learned for endpoint in endpoints]
        return Remembered.linked_now(unix_s, certificate, [current, *said] if current else said)
