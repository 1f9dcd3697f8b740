"""The peers that the operator named: host names to addresses, again and again, for they may change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from treecast.adapters import clock
from treecast.adapters.resolver import addresses_of
from treecast.base.addresses import Endpoint
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.options import HostPort

NO_ANSWER = "the resolver has not answered yet"
RESOLVE_INTERVAL: Duration = 30.0
PATIENCE: Duration = 4.0
"""A resolver whose name servers are silent gives up much later. The problem is reported within 5 s."""
RETRY_INTERVAL: Duration = 5.0
"""While a name does not resolve: a machine that starts may have no resolver yet."""


class PeerNames:
    """``reach`` is called with a peer's text and its addresses, each time they were found; first without any."""

    def __init__(self, peers: tuple[HostPort, ...], reach: Callable[[str, tuple[Endpoint, ...]], None]) -> None:
        self._peers = peers
        self._reach = reach
        self._failures: dict[HostPort, str] = {}
        self._queried_at: dict[HostPort, Instant] = {}
        """Those that the resolver has not answered yet."""
        self._known: set[HostPort] = set()
        """Those that ``reach`` was called with: their last addresses stay, should the name fail later."""

    async def follow(self) -> None:
        while self._peers:
            await asyncio.gather(*(self._resolve(peer) for peer in self._peers))
            await asyncio.sleep(RETRY_INTERVAL if self._failures else RESOLVE_INTERVAL)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Names whose last query failed, or whose query has no answer for a while."""
        silent = {peer: NO_ANSWER for peer, then in self._queried_at.items() if now - then >= PATIENCE}
        for peer, error in (silent | self._failures).items():
            yield Problem(
                "peer_name_unresolved",
                str(peer),
                f"the name of peer {peer} does not resolve ({error}): check its spelling and this machine's resolver, "
                f"or name it by its address",
            )

    async def _resolve(self, peer: HostPort) -> None:
        if peer not in self._known:
            self._known.add(peer)
            self._reach(str(peer), ())
        self._queried_at[peer] = clock.monotonic()
        try:
            found = await addresses_of(peer.host)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA cannot have
            self._failures[peer] = (error.strerror if isinstance(error, OSError) else None) or str(error)
            return
        finally:
            del self._queried_at[peer]
        self._failures.pop(peer, None)
        self._reach(str(peer), tuple(Endpoint(address, peer.port) for address in found))
