"""The state of a LAN's election in words: what this node does there, and why."""

from __future__ import annotations

from collections.abc import Callable

from treecast.base.ids import NodeIndex
from treecast.listener.election import Why
from treecast.listener.listener import PortState


def in_words(state: PortState, name: Callable[[NodeIndex], str]) -> str:
    """A sentence's second half, behind the state: ``forwarding: `` ..."""
    nodes = ", ".join(name(node) for node in state.nodes)
    carrier = name(state.forwarder) if state.forwarder is not None else ""
    match state.why:
        case Why.LOWEST:
            return f"lowest index of the nodes here that can (also here: {nodes})" if nodes else "no other node is here"
        case Why.LOWER_NODE:
            return f"{carrier} forwards (lower index)" if carrier else "a node with a lower index is about to forward"
        case Why.HIGHER_NODE:
            return f"about to forward, {carrier} (higher index) makes way"
        case Why.SETTLING:
            return "about to forward, if no node with a lower index begins at this moment"
        case Why.LOOPED:
            return "its own beacons come back, two ways lead to this LAN: nothing is carried until one is gone"
        case Why.NO_LINKS:
            return "the node has no links, so it has nothing to carry"
        case Why.LISTENING:
            return "it listens for other nodes on this LAN first"
        case Why.LEARNING:
            return f"{carrier} forwards until this node knows what the LAN's hosts want"
