"""Queries to running nodes through their control sockets: quicker than a verb, which is a process of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Set

from lab import wait_until
from lab.load import Receiver
from lab.node import TreecastNode
from treecast.api.client import fetch_groups, fetch_peers, fetch_status

LIMIT_S = 10.0
ANSWER_LIMIT_S = 20.0
"""33 nodes on two cores may keep each other waiting."""


def members(root: TreecastNode, group: str) -> set[str]:
    """The names of the nodes that ``root`` knows to subscribe to the group, from whatever source."""
    return {m.node for row in fetch_groups(root.directory, ANSWER_LIMIT_S) if row.group == group for m in row.members}


def wait_members(root: TreecastNode, group: str, names: Iterable[str], limit_s: float = LIMIT_S) -> None:
    """Waits until exactly these nodes subscribe, as ``root`` knows it."""
    wanted, seen = set(names), set[str]()

    def is_so() -> bool:
        nonlocal seen
        seen = members(root, group)
        return seen == wanted

    try:
        wait_until(is_so, limit_s, f"{root.name} knows {sorted(wanted)} in {group}")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: it knows {sorted(seen)}") from None


def peers_up(node: TreecastNode) -> set[str]:
    """The names of the nodes it has a working link to."""
    return {peer.name for peer in fetch_peers(node.directory, ANSWER_LIMIT_S) if peer.state == "up"}


def wait_peers(node: TreecastNode, names: Set[str], limit_s: float) -> None:
    """Waits until the node has working links to exactly these nodes."""
    what = f"{node.name} has links to exactly {sorted(names)}"
    wait_until(lambda: peers_up(node) == names, limit_s, what, poll_s=0.05)


def drops(node: TreecastNode) -> dict[str, int]:
    """The node's drops so far, by reason."""
    return fetch_status(node.directory, ANSWER_LIMIT_S).drops


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """The growth of each counter; those that have not grown are left out."""
    return {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}


def quiet_since(count: Callable[[], int], *, window_s: float, at_most: int, limit_s: float) -> float:
    """Waits for a window in which a counter grows by no more than ``at_most``: when it began (``time.monotonic``)."""
    samples: deque[tuple[float, int]] = deque()

    def is_quiet() -> bool:
        samples.append((time.monotonic(), count()))
        while len(samples) > 1 and samples[-1][0] - samples[1][0] >= window_s:
            samples.popleft()
        (began, first), (ends, last) = samples[0], samples[-1]
        return ends - began >= window_s and last - first <= at_most

    wait_until(is_quiet, limit_s, f"a counter grows by no more than {at_most} in {window_s:g} s")
    return samples[0][0]


def wait_received(receiver: Receiver, count: int, limit_s: float = LIMIT_S) -> None:
    """Waits until the receiver has at least so many datagrams."""
    wait_until(lambda: receiver.snapshot().received >= count, limit_s, f"{count} datagrams have come")
