"""The problem that a node out of reach is: a configured peer, or one known from others. Sentences for people only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from treecast.base.problems import Problem
from treecast.links.obstacles import Obstacle
from treecast.links.standing import Standing
from treecast.links.target import Target


@dataclass(frozen=True, slots=True)
class _Sought:
    """Where the target is sought, in brackets, unless its label says so: ``at``, ``tried``."""

    at: str
    tried: str


def unreached(
    target: Target, standing: Standing, obstacle: Obstacle | None, behind: Sequence[str] = ()
) -> Problem | None:
    """The problem of a target that stands so. ``obstacle``: to trying it from here; ``behind``: nodes reached by it."""
    where = ", ".join(str(endpoint) for endpoint in target.endpoints) or "no address"
    sought = _Sought("", "") if where == target.label else _Sought(f" ({where})", f" (tried {where})")
    others = ", ".join(behind)
    if target.name is None:
        lost = f"; its hosts and groups{f', and {others} behind it,' if behind else ''} are out of reach"
    else:
        lost = f"; {others} behind it {'is' if len(behind) == 1 else 'are'} out of reach, too" if behind else ""
    return (_node if target.name is None else _peer)(target, standing, obstacle, sought, lost)


def _node(target: Target, standing: Standing, obstacle: Obstacle | None, sought: _Sought, lost: str) -> Problem | None:
    """One that is known from others, or was linked."""
    label = target.label
    how = "was linked and cannot be now" if target.was_linked else "is known from others but cannot be linked"
    match standing:
        case Standing.ITSELF:
            text = (
                f"node {label} {how}: where it was last{sought.at} this node is now{lost}: start it where it is to run"
            )
        case Standing.ANOTHER_NETWORK:
            text = (
                f"node {label} {how}: where it was last{sought.at} there is a node of another network now, or one with "
                f"another network key{lost}: start it where it is to run, with a network.json that has this one's "
                f"fingerprint in treecast network show"
            )
        case Standing.ONE_WAY:
            return _one_way(label, obstacle, sought, lost)
        case Standing.UNREACHABLE if obstacle is not None:
            text = f"node {label} cannot be tried{sought.at}: {obstacle.cause}{lost}: {obstacle.advice}"
        case Standing.UNREACHABLE:
            text = (
                f"node {label} {how}{sought.tried}{lost}: check that it "
                f"runs, and that its UDP port can be reached from here, or this node's from there"
            )
        case _:
            return None
    return Problem("node_unreachable", label, text)


def _peer(target: Target, standing: Standing, obstacle: Obstacle | None, sought: _Sought, lost: str) -> Problem | None:
    """One that is configured."""
    label = target.label
    match standing:
        case Standing.ITSELF:
            kind = "peer_is_this_node"
            text = (
                f"peer {label} is this node itself, or something there sends its datagrams back: name another node "
                f"with --peer"
            )
        case Standing.ANOTHER_NETWORK:
            kind = "peer_of_another_network"
            text = (
                f"at {label}{sought.at} there is a node of another network, or one with another network key: check the "
                f"address, and that treecast network show has one id and one fingerprint on both machines"
            )
        case Standing.ONE_WAY:
            return _one_way(label, obstacle, sought, lost)
        case Standing.UNREACHABLE if obstacle is not None:
            kind = "peer_unreachable"
            text = f"peer {label} cannot be tried{sought.at}: {obstacle.cause}{lost}: {obstacle.advice}"
        case Standing.UNREACHABLE:
            kind = "peer_unreachable"
            text = (
                f"peer {label} does not answer{sought.tried}{lost}: nothing runs there, firewalls keep UDP away, it is "
                f"of another network, which answers no stranger (its log says foreign_network then), or its "
                f"network.json has another key: check the address and port, and that both are nodes of one network"
            )
        case _:
            return None
    return Problem(kind, label, text)


def _one_way(label: str, obstacle: Obstacle | None, sought: _Sought, lost: str) -> Problem:
    if obstacle is not None:
        text = f"peer {label} is heard but cannot be answered{sought.at}: {obstacle.cause}{lost}: {obstacle.advice}"
    else:
        text = (
            f"peer {label} is heard but does not hear this node{sought.tried}{lost}: check that firewalls "
            f"and NATs let UDP from here through to it"
        )
    return Problem("peer_one_way", label, text)
