"""Whom this node wants to reach, and when it tries next.

A target is a configured address (``--peer``) or a node that Broadcast told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after

HIGHER_INDEX_DELAY: Duration = 1.5
"""Of two nodes that learn of each other the lower index begins; the other one only if that came to nothing."""


@dataclass(slots=True)
class Target:
    """Somebody to reach. ``name`` is the configured text; None for a node learned from Broadcast.

    ``label``: what people call it. ``sought_since``: since when it has no link, while it has none; ``reflected_at``:
    when this node's own INIT last came back from there. ``left``: a learned node said goodbye, and nothing new was
    heard of it since.
    """

    name: str | None
    node: NodeIndex | None
    endpoints: tuple[Endpoint, ...]
    next_try: Instant
    label: str
    sought_since: Instant
    avoided: set[Endpoint] = field(default_factory=set)
    reflected_at: Instant | None = None
    left: bool = False

    @property
    def worth_trying(self) -> tuple[Endpoint, ...]:
        """Its endpoints but those where another node answered; all of them when none is left."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint not in self.avoided) or self.endpoints

    def moved(self, endpoints: tuple[Endpoint, ...]) -> None:
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            self.avoided.clear()


class Targets:
    """All of one node's targets. ``is_linked`` says of a node whether it has a session."""

    def __init__(self, my_index: NodeIndex, is_linked: Callable[[NodeIndex], bool]) -> None:
        self._my_index = my_index
        self._is_linked = is_linked
        self._configured: dict[str, Target] = {}
        self._learned: dict[NodeIndex, Target] = {}

    def configure(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        target = self._configured.setdefault(name, Target(name, None, endpoints, now, name, now))
        target.moved(endpoints)

    def learn(self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...], label: str) -> None:
        if node == self._my_index:
            return
        delay = 0.0 if self._my_index < node else HIGHER_INDEX_DELAY
        usable = tuple(endpoint for endpoint in endpoints if _is_usable(endpoint))
        target = self._learned.setdefault(node, Target(None, node, usable, after(now, delay), label, now))
        target.label, target.left = label, False
        target.moved(usable)

    def forget(self, node: NodeIndex) -> Target | None:
        return self._learned.pop(node, None)

    def configured(self) -> Iterator[Target]:
        """By name."""
        yield from (self._configured[name] for name in sorted(self._configured))

    def learned(self) -> Iterator[Target]:
        """By node index."""
        yield from (self._learned[node] for node in sorted(self._learned))

    def of(self, node: NodeIndex) -> Iterator[Target]:
        """The targets that are this node."""
        for target in [self._learned.get(node), *self._configured.values()]:
            if target is not None and target.node == node:
                yield target

    def pause(self, node: NodeIndex, until: Instant) -> None:
        """The node is not sought before then."""
        for target in self.of(node):
            target.next_try = until

    def lost(self, now: Instant, node: NodeIndex, *, left: bool) -> None:
        """Its link has ended; ``left``: with its goodbye."""
        for target in self.of(node):
            target.sought_since, target.left = now, left and target.name is None

    def is_reached(self, target: Target) -> bool:
        return target.node is not None and self._is_linked(target.node)

    def sought(self) -> list[Target]:
        """Targets without a link; a configured one that is a learned node by now is that one."""
        every = [*self._learned.values(), *self._configured.values()]
        return [
            target
            for target in every
            if not self.is_reached(target) and (target.name is None or target.node not in self._learned)
        ]


def _is_usable(endpoint: Endpoint) -> bool:
    """Another node's word for where it is: nothing that one datagram could reach many by."""
    address = endpoint.address
    return bool(endpoint.port) and not (address.is_multicast or address.is_unspecified or int(address) == 0xFFFF_FFFF)
