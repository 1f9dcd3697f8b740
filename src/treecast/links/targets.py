"""Targets: the nodes that this one wants to reach, and when it tries next.

A target is a configured address (``--peer``), a node that Broadcast has learned of, or one remembered from an
earlier run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.links.memory import Remembered
from treecast.links.target import Target

HIGHER_INDEX_DELAY: Duration = 1.5
"""The lower index begins of two nodes that learn of each other; the other one only if that came to nothing."""

RECALL_DELAY: Duration = 1.0
"""Configured peers come first: who answers knows of the others."""
RECALLED_PER_SECOND = 16
FIRST_RECALL_PAUSE: Duration = 15.0
ELSEWHERE_PAUSE: Duration = 15.0
"""Where all addresses are other nodes', or this node's own. With an attempt's lifetime less than NOTICED_LIFETIME."""


class Targets:
    """All of one node's targets. ``is_linked``: whether a node has a session; ``is_probed_at``: and none is to be made;
    ``is_serial_revoked``: whether the CA has revoked a node's certificate with this serial.
    """

    def __init__(
        self,
        my_index: NodeIndex,
        is_linked: Callable[[NodeIndex], bool],
        is_probed_at: Callable[[NodeIndex, Sequence[Endpoint]], bool],
        is_serial_revoked: Callable[[NodeIndex, int], bool],
    ) -> None:
        self._my_index = my_index
        self._is_linked = is_linked
        self._is_probed_at = is_probed_at
        self._is_serial_revoked = is_serial_revoked
        self._configured: dict[str, Target] = {}
        self._learned: dict[NodeIndex, Target] = {}
        self._recalled: dict[NodeIndex, Target] = {}
        self._up: set[NodeIndex] = set()
        self._apart: set[NodeIndex] = set()
        """The learned ones whose link is not up."""
        self._tries: Timers[Target] = Timers()
        """The time at which a handshake with each target begins: of those that are sought, and not tried already."""
        self._chosen: Set[NodeIndex] | None = None
        """The learned nodes with which links are wanted; None: all."""
        self.is_silent = False
        """Whether no target is tried: nobody would take this node's certificate."""

    def configure(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        """``endpoints``: none while its name has no address; it is sought from the first on."""
        target = self._configured.setdefault(name, Target(name, None, endpoints, now, name, now))
        if not target.endpoints:
            target.sought_since = now
        target.moved(now, endpoints)
        for each in (target, *self._recalled.values()):  # one remembered at an address that is configured is that one
            self.plan(each)

    def learn(
        self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...], label: str, run: bytes = b""
    ) -> None:
        """``run``: another one than before when the node has started again."""
        if node == self._my_index:
            return
        delay = 0.0 if self._my_index < node else HIGHER_INDEX_DELAY
        usable = tuple(endpoint for endpoint in endpoints if _is_usable(endpoint))
        target = self._learned.setdefault(node, Target(None, node, usable, after(now, delay), label, now))
        if node not in self._up:
            self._apart.add(node)
        if target.left or target.run != run:
            target.restart_pauses(now, delay)
        target.label, target.left, target.run = label, False, run
        target.by_route = self._chosen is not None and node not in self._chosen
        target.was_linked = target.was_linked or node in self._up
        target.moved(now, usable)
        self.plan_all(node)

    def choose(self, now: Instant, chosen: Set[NodeIndex]) -> None:
        """Links are wanted with these learned nodes only; all others are reached by neighbours."""
        before, self._chosen = self._chosen, frozenset(chosen)
        changed = self._learned.keys() if before is None else before ^ self._chosen
        for target in [self._learned[node] for node in sorted(changed) if node in self._learned]:
            target.by_route = target.node not in self._chosen
            target.restart_pauses(now)
            self.plan(target)
        for target in self.configured():
            self.plan(target)

    def configured_nodes(self) -> list[NodeIndex]:
        """The nodes that configured targets have turned out to be, by index."""
        return sorted({target.node for target in self._configured.values() if target.node is not None})

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None:
        """Nodes of an earlier run: each node of a network begins with those after itself, so that none gets all."""
        others = sorted(nodes, key=lambda one: (one.node < self._my_index, one.node))
        for number, one in enumerate(other for other in others if other.node != self._my_index):
            usable = tuple(endpoint for endpoint in one.endpoints if _is_usable(endpoint))
            delay = RECALL_DELAY + number // RECALLED_PER_SECOND
            delay += 0.0 if self._my_index < one.node else HIGHER_INDEX_DELAY
            target = Target(None, one.node, usable, after(now, delay), one.name, now, recall_pause=FIRST_RECALL_PAUSE)
            target.serial = one.serial
            self._recalled[one.node] = target
            self.plan(target)

    def drop_recalled(self, node: NodeIndex) -> Target | None:
        """The node is remembered no more."""
        return self._dropped(self._recalled.pop(node, None))

    def forget(self, node: NodeIndex) -> Target | None:
        target = self._dropped(self._learned.pop(node, None))
        self._apart.discard(node)
        self.plan_all(node)
        return target

    def _dropped(self, target: Target | None) -> Target | None:
        if target is not None:
            self._tries.cancel(target)
        return target

    def due(self, now: Instant) -> list[Target]:
        """Take the targets that a handshake is to begin with now."""
        return self._tries.due(now)

    def next_deadline(self) -> Instant | None:
        return self._tries.next()

    def withhold(self, now: Instant, *, silent: bool) -> None:
        """No target is tried while this node is silent; afterwards all are at once."""
        if silent != self.is_silent:
            self.is_silent = silent
            for target in (*self._configured.values(), *self._learned.values(), *self._recalled.values()):
                target.restart_pauses(now)
                self.plan(target)

    def plan(self, target: Target) -> None:
        """Set when the target is tried; not at all when it needs no try now. Call after each change of it."""
        if self._wants_try(target):
            self._tries.set(target, target.due)
        else:
            self._tries.cancel(target)

    def plan_all(self, node: NodeIndex) -> None:
        """``plan`` for each target that is this node: it is linked now, or no more, or learned or forgotten."""
        for target in self.of(node):
            self.plan(target)

    def _wants_try(self, target: Target) -> bool:
        if self.is_silent or not target.endpoints or target.is_tried or self._is_where_it_is_sought(target):
            return False
        learned = self._learned.get(target.node) if target.node is not None else None
        if learned is not None:
            return learned is target
        if target.name is not None:
            return self._configured.get(target.name) is target
        return self._is_recalled(target) and not (self._up and self._chosen is not None)

    def _is_recalled(self, target: Target) -> bool:
        is_held = target.node is not None and self._recalled.get(target.node) is target
        return (
            is_held
            and not self.is_revoked(target)
            and all(target.endpoints_apart_from(other) for other in self._configured.values())
        )

    def configured(self) -> Iterator[Target]:
        """Configured targets, by name."""
        yield from (self._configured[name] for name in sorted(self._configured))

    def learned(self) -> Iterator[Target]:
        """Learned targets, by node index."""
        yield from (self._learned[node] for node in sorted(self._learned))

    def apart(self) -> Iterator[Target]:
        """The learned ones whose link is not up, by node index; no walk over those whose link is."""
        yield from (self._learned[node] for node in sorted(self._apart))

    def recalled(self) -> Iterator[Target]:
        """Remembered targets, by node index, that are not learned by now, nor sought where a configured peer is."""
        configured = {endpoint for target in self._configured.values() for endpoint in target.endpoints}
        for node in sorted(self._recalled.keys() - self._learned.keys()):
            if configured.isdisjoint(self._recalled[node].endpoints):
                yield self._recalled[node]

    def shown(self) -> Iterator[Target]:
        """All that people may want to see; what is remembered of a node comes last."""
        yield from self.learned()
        yield from self.configured()
        yield from self.recalled()

    def of(self, node: NodeIndex) -> Iterator[Target]:
        """The targets that are this node."""
        for target in [self._learned.get(node), self._recalled.get(node), *self._configured.values()]:
            if target is not None and target.node == node:
                yield target

    def pause(self, node: NodeIndex, until: Instant) -> None:
        """The node is not sought before then."""
        for target in self.of(node):
            target.next_try = until
            self.plan(target)

    def link_up(self, now: Instant, node: NodeIndex) -> None:
        if not self._up:
            self.network_is_back(now)
        self._up.add(node)
        self._apart.discard(node)
        if node in self._learned:
            self._learned[node].was_linked = True

    def link_down(self, now: Instant, node: NodeIndex, *, left: bool, via: NodeIndex | None = None) -> None:
        """``left``: with its goodbye; ``via``: by which neighbour it was reached, if it had no path."""
        self._up.discard(node)
        if node in self._learned:
            self._apart.add(node)
        for target in self.of(node):
            target.sought_since, target.left = now, left and target.name is None
            target.pauses_since, target.was_via = now, via
            if target.recall_pause is not None:
                target.recall_pause = FIRST_RECALL_PAUSE

    def path_changed(self, now: Instant, node: NodeIndex) -> None:
        """The node has a path now, or is sought for want of one as if it had been lost just now."""
        for target in self.of(node):
            target.restart_pauses(now)
            self.plan(target)

    def network_is_back(self, now: Instant) -> None:
        """This machine has other addresses, or its first link after none: whoever did not answer may do so now."""
        for target in [*self._learned.values(), *self._configured.values()]:
            if not self._is_where_it_is_sought(target):
                target.restart_pauses(now)
                self.plan(target)

    def is_up(self, node: NodeIndex) -> bool:
        """Whether its link is up."""
        return node in self._up

    def are_at_one_linked(self, endpoints: Sequence[Endpoint]) -> bool:
        """Whether a node whose link is up is at all of these, as it advertises."""
        wanted = set(endpoints)
        return any(wanted.issubset(self._learned[node].endpoints) for node in self._up if node in self._learned)

    def is_revoked(self, target: Target) -> bool:
        """Whether the target is a node that is only remembered, with a certificate that is revoked. What others
        advertise of a node has a certificate that is not.
        """
        if target.recall_pause is None or target.node is None:
            return False
        return self._is_serial_revoked(target.node, target.serial)

    def is_reached(self, target: Target) -> bool:
        """Whether it has a session, by whatever path or route."""
        return target.node is not None and self._is_linked(target.node)

    def _is_where_it_is_sought(self, target: Target) -> bool:
        is_unwanted = target.node is not None and self._chosen is not None and target.node not in self._chosen
        if target.by_route or is_unwanted:
            return self.is_reached(target)
        return target.node is not None and self._is_probed_at(target.node, target.endpoints)


def _is_usable(endpoint: Endpoint) -> bool:
    """Another node's word for where it is: nothing that one datagram could reach many by."""
    address = endpoint.address
    return bool(endpoint.port) and not (address.is_multicast or address.is_unspecified or int(address) == 0xFFFF_FFFF)
