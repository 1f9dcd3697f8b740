"""Problems of one LAN that need a person: loops, take-overs, nodes that do not see each other's beacons.

Remembers what was seen of that, and for how long it counts. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_LAN_STRANGERS
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.designated_forwarder.election import BEACON_INTERVAL, Election

STRANGER_FOR: Duration = 10.0
"""How long one beacon of another network counts: twenty of its intervals."""

UNSEEN_AFTER: Duration = 6 * BEACON_INTERVAL
"""A node that sent on the LAN had time for six beacons."""

UNSEEN_FOR: Duration = 260.0
"""Two default Query Intervals: as often, a node that has a LAN queries there."""

TAKEN_OVER_FOR: Duration = 3600.0
"""How long a node that fell silent is missed, if it does not come back."""


NodeName = Callable[[NodeIndex], str]


class LanProblems:
    """Reports what is wrong on the LAN of a port."""

    def __init__(self) -> None:
        self._strangers: BoundedTable[bytes, Instant] = BoundedTable(MAX_LAN_STRANGERS)
        """Other networks, and when a beacon of each last came."""
        self._unseen: BoundedTable[NodeIndex, tuple[Instant, Instant]] = BoundedTable(MAX_LAN_STRANGERS)
        """Nodes that sent here without a beacon: first and last time."""
        self._lost: tuple[NodeIndex, Instant] | None = None
        """The forwarder that fell silent, and when this node took over."""

    def stranger(self, now: Instant, network_id: bytes) -> None:
        """A beacon of another network."""
        self._strangers.put(network_id, now)

    def received(self, now: Instant, node: NodeIndex) -> None:
        """A query or report of another node, of which no beacon comes."""
        first, last = self._unseen.get(node, (now, now))
        self._unseen.put(node, (first if now < after(last, UNSEEN_FOR) else now, now))

    def beacon(self, node: NodeIndex) -> None:
        """A node's beacon came."""
        self._unseen.pop(node, None)
        if self._lost is not None and self._lost[0] == node:
            self._lost = None

    def took_over(self, now: Instant, node: NodeIndex) -> None:
        """This node carries the LAN now: the other one, which did, fell silent without a word."""
        self._lost = (node, now)

    def made_way(self) -> None:
        """Another node carries the LAN."""
        self._lost = None

    def present(self, now: Instant, interface: str, election: Election, name: NodeName) -> Iterator[Problem]:
        if election.is_looped(now):
            yield Problem(
                "lan_loop",
                interface,
                f"{interface}: this node's own beacons come back, so two ways lead to this LAN and frames would "
                "circle: it carries nothing there until one of the ways (a cable, a bridge, an access point) is gone",
            )
        for network_id, received_at in self._strangers.items():
            if now < after(received_at, STRANGER_FOR):
                other = network_id.hex()[:8]
                yield Problem(
                    "lan_of_another_network",
                    f"{interface} {other}",
                    f"{interface}: a node of another Treecast network ({other}) is on this LAN, and the two do not see "
                    "each other's loops: bridge the LAN to one network only",
                )
        for node, (first, last) in self._unseen.items():
            if after(first, UNSEEN_AFTER) <= now < after(last, UNSEEN_FOR):
                yield Problem(
                    "lan_node_unseen",
                    f"{interface} {node}",
                    f"{interface}: {name(node)} is on this LAN too, but its beacons do not arrive, so both may carry "
                    "it and frames circle: let switches pass EtherType 0x88b5 to 03:54:43:00:00:01, or IP protocol 253 "
                    "to 224.0.0.254, or bridge one of the two only",
                )
        if self._lost is not None and now < after(self._lost[1], TAKEN_OVER_FOR):
            other = name(self._lost[0])
            yield Problem(
                "lan_taken_over",
                interface,
                f"{interface}: {other}, which carried this LAN, fell silent there, and this node has taken over: see "
                f"whether {other} runs and is still connected to the LAN",
            )
