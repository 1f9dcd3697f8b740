"""Sizes of what ``links`` keeps of other nodes: for tests, and to find a leak."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.links.handshakes import Handshakes
from treecast.links.peers import Peers
from treecast.links.targets import Targets


@dataclass(frozen=True, slots=True)
class LinksFootprint:
    """``pending``: handshakes that others began, by index and by INIT; ``attempts``: the learned nodes that this one
    shakes hands with; ``sought``: all learned nodes; ``peers``: nodes with a session; ``sessions``: of all of them.
    """

    pending: tuple[int, int]
    attempts: tuple[NodeIndex, ...]
    sought: tuple[NodeIndex, ...]
    peers: tuple[NodeIndex, ...]
    sessions: int


def footprint_of(handshakes: Handshakes, targets: Targets, peers: Peers) -> LinksFootprint:
    """Sizes of what these keep now."""
    attempts = (target.node for target in handshakes.targets() if target.name is None)
    return LinksFootprint(
        handshakes.pending(),
        tuple(node for node in attempts if node is not None),
        tuple(target.node for target in targets.learned() if target.node is not None),
        tuple(peer.node for peer in peers),
        sum(len(peer.sessions) for peer in peers),
    )
