"""Plain links: those without a hybrid session for minutes, though both nodes can have one.

Who is on the way knows the messages of exchanges by their length, and can drop them: no node can distinguish that from
a bad network, but people can. Read docs/protocol.md section 3 first: Hybrid sessions.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, in_time
from treecast.links.peers import Peer

NAMED_AFTER: Duration = 120.0
"""Two spells of ten repetitions, and the pause between: where half of all is lost an exchange succeeds by then."""


class PlainLinks:
    """The time since which each of them is one, and its peer's name. Bounded as peers are."""

    def __init__(self) -> None:
        self._since: dict[NodeIndex, tuple[Instant, str]] = {}

    def follow(self, now: Instant, peer: Peer, *, is_hybrid: bool) -> None:
        """A session with the peer was confirmed: it is in use."""
        if is_hybrid or not peer.exchange.can:
            self._since.pop(peer.node, None)
        else:
            self._since.setdefault(peer.node, (now, peer.certificate.name))

    def forget(self, node: NodeIndex) -> None:
        """The link has ended."""
        self._since.pop(node, None)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """One for each link."""
        for since, name in self._since.values():
            if now - since >= NAMED_AFTER:
                yield Problem(
                    "link_not_hybrid",
                    name,
                    f"the link with {name} has been without an ML-KEM session for {in_time(now - since)}, though both "
                    f"nodes can have one: it works, but what they send each other for that is lost on the way, or "
                    f"somebody drops it to record what a quantum computer could read one day: see what is between the "
                    f"two; if nothing is, look for kem_ reasons in treecast status here and on {name}",
                )
