"""The peers that the operator named: host names to addresses, again and again, for they may change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from treecast.adapters import clock
from treecast.adapters.resolver import addresses_of
from treecast.base.addresses import Endpoint, HostPort, IPAddress
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

NO_ANSWER = "the resolver has not answered yet"
CHECK = "check its spelling and this machine's resolver, or name it by its address"
RESOLVE_INTERVAL: Duration = 30.0
PATIENCE: Duration = 4.0
"""A resolver whose name servers are silent gives up much later. The problem is reported within 5 s."""
RETRY_INTERVAL: Duration = 5.0
"""The pause while a name does not resolve: a machine that starts may have no resolver yet."""


class PeerNames:
    """``add_static_peer`` is called with a peer's text and its addresses, each time they were found; first without any.

    ``why_no_peer``: why a node cannot be at an address; empty where one can.
    """

    def __init__(
        self,
        peers: tuple[HostPort, ...],
        add_static_peer: Callable[[str, tuple[Endpoint, ...]], None],
        why_no_peer: Callable[[IPAddress], str],
    ) -> None:
        self._peers = peers
        self._add_static_peer = add_static_peer
        self._why_no_peer = why_no_peer
        self._failures: dict[HostPort, str] = {}
        """The fault of each name, and the advice."""
        self._queried_at: dict[HostPort, Instant] = {}
        """The names that the resolver has not answered yet."""
        self._known: set[HostPort] = set()
        """The names that ``add_static_peer`` was called with: their last addresses stay, should the name fail later."""

    async def follow(self) -> None:
        while self._peers:
            await asyncio.gather(*(self._resolve(peer) for peer in self._peers))
            await asyncio.sleep(RETRY_INTERVAL if self._failures else RESOLVE_INTERVAL)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Names whose last query failed, or whose query has no answer for a while."""
        silent = {peer: _unresolved(NO_ANSWER) for peer, then in self._queried_at.items() if now - then >= PATIENCE}
        for peer, fault in (silent | self._failures).items():
            yield Problem("peer_name_unresolved", str(peer), f"the name of peer {peer} {fault}")

    async def _resolve(self, peer: HostPort) -> None:
        if peer not in self._known:
            self._known.add(peer)
            self._add_static_peer(str(peer), ())
        self._queried_at[peer] = clock.monotonic()
        try:
            found = await addresses_of(peer.host)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA cannot have
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._failures[peer] = _unresolved(reason)
            return
        finally:
            del self._queried_at[peer]
        usable = tuple(Endpoint(address, peer.port) for address in found if not self._why_no_peer(address))
        if found and not usable:
            why = f"stands for {found[0]}, {self._why_no_peer(found[0])}"
            self._failures[peer] = f"{why}: have it resolve to the machine's underlay address, or name the peer by that"
            return
        self._failures.pop(peer, None)
        self._add_static_peer(str(peer), usable)


def _unresolved(reason: str) -> str:
    return f"does not resolve ({reason}): {CHECK}"
