"""Linked nodes to which this machine has no underlay route any more: what it sends is lost, and theirs may come.

Their links end some ten seconds later, and ``links.reachability`` has them from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from treecast.base.addresses import IPAddress
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

SETTLED: Duration = 2.0
"""A DHCP client that renews takes its routes away for a moment."""
HELD: Duration = 6.0
"""The time after the end of a link: the problem of the node that is out of reach has begun by then."""
SHOWN = 4


class LostUnderlayRoutes:
    """``names``: the linked nodes at each address."""

    def __init__(self, names: Callable[[], Mapping[IPAddress, str]]) -> None:
        self._names = names
        self._lost: dict[IPAddress, str] = {}
        """The nodes at each address without a route; at most those that are linked, or were a moment ago."""
        self._ended: dict[IPAddress, Instant] = {}

    def look(self, looked_up: Collection[IPAddress], found: Collection[IPAddress]) -> None:
        """``looked_up``: addresses of linked nodes; ``found``: those of them that there is a route to."""
        missing = [address for address in looked_up if address not in found]
        for address in looked_up:
            self._lost.pop(address, None)
            self._ended.pop(address, None)
        if missing:
            names = self._names()
            self._lost |= {address: names[address] for address in missing if address in names}

    def keep(self, now: Instant, linked: Collection[IPAddress]) -> None:
        """Forget those at which no node has been linked for a while."""
        for address in list(self._lost):
            if address in linked:
                self._ended.pop(address, None)
            elif now - self._ended.setdefault(address, now) >= HELD:
                del self._lost[address], self._ended[address]

    def problems(self, is_explained: Callable[[IPAddress], bool]) -> Iterator[Problem]:
        """``is_explained``: another problem says why there is no route."""
        lost = {a: names for a, names in sorted(self._lost.items(), key=_by_name) if not is_explained(a)}
        if len(lost) > SHOWN:
            some = ", ".join(f"{names} ({address})" for address, names in list(lost.items())[:SHOWN])
            yield _problem("many", f"{some} and {len(lost) - SHOWN} more", next(iter(lost)))
            return
        for address, names in lost.items():
            yield _problem(names, f"{names} ({address})", address)


def _by_name(item: tuple[IPAddress, str]) -> tuple[str, str]:
    return item[1], str(item[0])


def _problem(subject: str, which: str, address: IPAddress) -> Problem:
    text = f"this machine has no route any more to {which}, so what it sends there is lost, and the link will end"
    advice = f"check this machine's routes (ip route get {address})"
    return Problem("underlay_route_lost", subject, f"{text}: {advice}", patience=SETTLED)
