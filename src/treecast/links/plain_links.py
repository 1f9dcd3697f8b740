"""Plain links: those without a hybrid session for minutes, though both nodes can have one.

Who is on the way knows the messages of exchanges by their length, and can drop them: no node can tell that from a bad
network, but people can. Read docs/protocol.md section 3 first: Hybrid sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, in_time
from treecast.links.exchange import Exchange
from treecast.links.peers import Peer

NAMED_AFTER: Duration = 120.0
"""Two spells of ten repetitions, and the pause between: where half of all is lost an exchange succeeds by then."""


def follow(now: Instant, exchange: Exchange, *, is_hybrid: bool) -> None:
    """A session was confirmed: it is in use."""
    if is_hybrid or not exchange.can:
        exchange.plain_since = None
    elif exchange.plain_since is None:
        exchange.plain_since = now


def problems(now: Instant, peers: Iterable[Peer]) -> Iterator[Problem]:
    """One for each link."""
    for peer in peers:
        since = peer.exchange.plain_since
        if peer.up and since is not None and now - since >= NAMED_AFTER:
            name = peer.certificate.name
            yield Problem(
                "link_not_hybrid",
                name,
                f"the link with {name} has been without an ML-KEM session for {in_time(now - since)}, though both "
                f"nodes can have one: it works, but what they send each other for that is lost on the way, or somebody "
                f"drops it to record what a quantum computer could read one day: see what is between the two; if "
                f"nothing is, look for kem_ reasons in treecast status here and on {name}",
            )
