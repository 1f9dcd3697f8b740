"""A LAN as ``bridge show`` has it: the state of its election in words, its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from treecast.api.bridge_records import Storm
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.storm_control import StormLimits
from treecast.designated_forwarder.designated_forwarder import PortState
from treecast.designated_forwarder.election import StateReason


def storms_of(limits: StormLimits, refused: tuple[int, int, int]) -> list[Storm]:
    """The kinds with their limits and what was above them. Packet ports have no limit but multicast's."""
    kinds = (
        ("broadcast", limits.broadcast_pps),
        ("multicast", limits.multicast_pps),
        ("unknown_unicast", limits.unknown_unicast_pps),
    )
    return [Storm(kind, limit, dropped) for (kind, limit), dropped in zip(kinds, refused, strict=True)]


def state_of(state: PortState, name: Callable[[NodeIndex], str], down: Iterable[Problem]) -> tuple[str, str, str]:
    """``state``, ``why`` and ``forwarder`` as ``bridge show`` has them. ``down``: what keeps the LAN from being carried
    at all.
    """
    for problem in down:
        return "down", problem.text, ""
    forwarder = name(state.forwarder) if state.forwarder is not None else ""
    return state.state.name.lower(), in_words(state, name), forwarder


def in_words(state: PortState, name: Callable[[NodeIndex], str]) -> str:
    """A sentence's second half, behind the state: ``forwarding: `` ..."""
    nodes = ", ".join(name(node) for node in state.nodes)
    carrier = name(state.forwarder) if state.forwarder is not None else ""
    match state.why:
        case StateReason.LOWEST:
            return f"lowest index of the nodes here that can (also here: {nodes})" if nodes else "no other node is here"
        case StateReason.LOWER_NODE:
            return f"{carrier} forwards (lower index)" if carrier else "a node with a lower index is about to forward"
        case StateReason.HIGHER_NODE:
            return f"about to forward, {carrier} (higher index) makes way"
        case StateReason.SETTLING:
            return "about to forward, if no node with a lower index begins at this moment"
        case StateReason.LOOPED:
            return "its own beacons come back, two ways lead to this LAN: nothing is carried until one is gone"
        case StateReason.NO_LINKS:
            return "the node has no links, so it has nothing to carry"
        case StateReason.LISTENING:
            return "it listens for other nodes on this LAN first"
        case StateReason.LEARNING:
            return f"{carrier} forwards until this node knows what the LAN's hosts want"
