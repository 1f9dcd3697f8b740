"""The peers that the operator named: host names to addresses, again and again, for they may change."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from treecast.base.addresses import Endpoint
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.options import HostPort

RESOLVE_INTERVAL: Duration = 30.0
RETRY_INTERVAL: Duration = 5.0
"""While a name does not resolve: a machine that starts may have no resolver yet."""


class PeerNames:
    """``reach`` is called with a peer's text and its addresses, each time they were found."""

    def __init__(self, peers: tuple[HostPort, ...], reach: Callable[[str, tuple[Endpoint, ...]], None]) -> None:
        self._peers = peers
        self._reach = reach
        self._failures: dict[HostPort, str] = {}

    async def follow(self) -> None:
        while self._peers:
            for peer in self._peers:
                endpoints = await self._addresses_of(peer)
                if endpoints:
                    self._reach(str(peer), endpoints)
            await asyncio.sleep(RETRY_INTERVAL if self._failures else RESOLVE_INTERVAL)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Names that did not resolve when they were last asked for."""
        for peer, error in self._failures.items():
            yield Problem(
                "peer_name_unresolved",
                str(peer),
                f"the name of peer {peer} does not resolve ({error}): check its spelling and this machine's resolver, "
                f"or name it by its address",
            )

    async def _addresses_of(self, peer: HostPort) -> tuple[Endpoint, ...]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA cannot have
            self._failures[peer] = (error.strerror if isinstance(error, OSError) else None) or str(error)
            return ()
        self._failures.pop(peer, None)
        endpoints = (Endpoint(ip_address(str(address[0]).split("%")[0]), peer.port) for *_, address in found)
        return tuple(dict.fromkeys(endpoints))
