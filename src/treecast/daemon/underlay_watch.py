"""The underlay: which interfaces lead to the other nodes, what they carry, and what is wrong with them.

The data plane's datagrams are no longer than the smallest MTU of these interfaces, and follow it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_address
from itertools import islice
from typing import Protocol

from treecast.adapters import clock
from treecast.adapters.native import DataPlane
from treecast.adapters.netdevice import IFF_RUNNING, IFF_UP, flags_of, index_of
from treecast.adapters.underlay import UnderlayRoute, routes_to, smallest_mtu
from treecast.base.addresses import HostPort, IPAddress
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.lan_faults import GRACE
from treecast.daemon.log_lines import Log
from treecast.daemon.lost_underlay_routes import LostUnderlayRoutes
from treecast.daemon.path_mtus import PathMtus
from treecast.daemon.periodic_timer import expiry
from treecast.daemon.refused import TooBigCount

USUAL_MTU = 1500
SMALLEST_MTU = 1280
"""No interface with a smaller one has IPv6 (RFC 8200 section 5); the least that nodes need."""

LOOK_INTERVAL: Duration = 0.5
"""The interval of looks at this process's own state: linked nodes, a counter of the data plane; and a few path MTUs."""
MOST_LOOKUPS = 32
"""Routes looked up at once: a request of the kernel each."""
SOMEWHERE = (ip_address("198.51.100.1"), ip_address("2001:db8::1"))
"""Where nobody is (RFC 5737, RFC 3849): the route there is the default route."""


def first_guess(configured: int | None, peers: tuple[HostPort, ...]) -> int:
    """The underlay MTU before any node is linked: of the routes to ``--peer`` where that is an address, or anywhere."""
    if configured is not None:
        return configured
    routes = routes_to(_literals(peers) or SOMEWHERE)
    return _within(min([USUAL_MTU, *(route.mtu_bytes for route in routes.values())]))


class LinkedNodes(Protocol):
    """The nodes that are linked: ``addresses`` is the same object while they are the same."""

    def addresses(self) -> frozenset[IPAddress]: ...
    def names(self) -> Mapping[IPAddress, str]: ...


class UnderlayWatch:
    """``configured``: the operator's MTU, or None. ``advertise``: called when the MTU has changed. ``changed``: set
    when links, addresses or routes of this machine may have changed.
    """

    def __init__(
        self,
        plane: DataPlane,
        configured: int | None,
        peers: tuple[HostPort, ...],
        linked_nodes: LinkedNodes,
        advertise: Callable[[int], None],
        changed: asyncio.Event,
        log: Log,
    ) -> None:
        self._plane = plane
        self._configured = configured
        self._first = _literals(peers)
        self._linked_nodes = linked_nodes
        self._advertise = advertise
        self._changed = changed
        self._log = log
        self._linked: frozenset[IPAddress] | None = None
        self._routes: dict[IPAddress, UnderlayRoute] = {}
        self._different_routes: frozenset[UnderlayRoute] = frozenset()
        self._carried: dict[str, int] = {}
        """The smallest MTU by interface, when it was last in doubt."""
        self._looked_up: dict[IPAddress, None] = {}
        """Addresses whose route was looked up, the oldest look first."""
        self._due: dict[IPAddress, None] = {}
        """Addresses to look up: new ones first."""
        self._paths = PathMtus()
        self._lost_routes = LostUnderlayRoutes(linked_nodes.names)
        self._refused = TooBigCount(plane.dropped("socket_too_big"))

    async def follow(self) -> None:
        """Look again and again, as long as the node runs."""
        while True:
            self.look(clock.monotonic())
            await expiry(LOOK_INTERVAL)

    def look(self, now: Instant) -> None:
        """Look up routes that are new or may have changed, and set what the smallest of them carries."""
        linked = self._linked_nodes.addresses()
        others_linked = linked is not self._linked
        if others_linked:
            self._linked = linked
            self._take(linked or self._first)
        refused = self._plane.dropped("socket_too_big")
        changed = refused > self._refused.count or self._changed.is_set()
        if changed:
            self._changed.clear()
            self._due |= self._looked_up  # before it is advertised: a route's MTU may have changed since
        in_doubt = others_linked or changed or bool(self._due)
        if self._due:
            self._look_up(list(islice(self._due, MOST_LOOKUPS)))
        self._lost_routes.keep(now, linked)
        self._paths.look(linked)
        self._refused.note(now, refused, fell=in_doubt and self._follow())

    def _take(self, wanted: Collection[IPAddress]) -> None:
        """Look up the routes to these from now on, and to no others."""
        new = [address for address in wanted if address not in self._looked_up]
        self._due = dict.fromkeys([*new, *(address for address in self._due if address in wanted)])
        if wanted:  # without any, what was known last still shows which interface is unplugged
            self._routes = {address: route for address, route in self._routes.items() if address in wanted}
            self._different_routes = frozenset(self._routes.values())
        self._looked_up = {address: None for address in self._looked_up if address in wanted}

    def _look_up(self, due: list[IPAddress]) -> None:
        found = routes_to(due)
        self._lost_routes.look(due, found)
        self._routes |= found
        self._different_routes = frozenset(self._routes.values())
        for address in due:
            del self._due[address]
            self._looked_up.pop(address, None)
            self._looked_up[address] = None

    def _follow(self) -> bool:
        """Follow the MTU of the routes; whether it is less than before."""
        carried = self._carried = _carried(self._different_routes)
        if not carried:
            unknown = smallest_mtu(without=self._plane.interface)
            carried = {"": unknown} if unknown is not None else {}
        limit, before = _within(min([self._configured or USUAL_MTU, *carried.values()])), self._plane.underlay_mtu
        if limit == before:
            return False
        self._plane.set_underlay_mtu(limit)
        self._advertise(limit)
        smallest = min(carried, key=lambda name: carried[name], default="")
        if smallest and carried[smallest] < limit:
            text = "underlay MTU changed: an interface carries less than the shortest limit of datagrams"
            self._log.warning(text, bytes=limit, interface=smallest, carries=carried[smallest])
        elif smallest:
            write = self._log.warning if limit < (self._configured or USUAL_MTU) else self._log.info
            write("underlay MTU changed: no datagram is longer", bytes=limit, interface=smallest)
        return limit < before

    def problems(self, now: Instant) -> Iterator[Problem]:
        """A source of ``daemon.problems``."""
        carried = self._carried
        for name, mtu in carried.items():
            if mtu < SMALLEST_MTU:
                text = f"{name} carries packets of {mtu} bytes, nodes need {SMALLEST_MTU}: ip link set {name} mtu 1500"
                yield Problem("underlay_mtu_too_small", name, text)
            elif self._configured is not None and mtu < self._configured:
                text = f"{name} carries packets of {mtu} bytes, not of the {self._configured} of --underlay-mtu"
                advice = f"say --underlay-mtu {mtu}, or leave it out"
                yield Problem("underlay_mtu_too_big", name, f"{text}; {mtu} bytes are used: {advice}")
        down: set[str] = set()
        for name in sorted({route.interface_now for route in self._different_routes}):
            state = flags_of(name)
            if state & IFF_UP and state & IFF_RUNNING:
                continue
            down.add(name)
            what = "is gone" if not index_of(name) else "is unplugged" if state & IFF_UP else "is down"
            text = f"{name}, by which other nodes are reached, {what}: bring it up again"
            yield Problem("underlay_down", name, text, patience=GRACE)
        yield from self._lost_routes.problems(lambda address: self._last_interface(address) in down)
        if all(mtu >= SMALLEST_MTU for mtu in carried.values()):  # else that is why
            yield from self._too_big(now)
            yield from self._paths.problems(self._plane.underlay_mtu, SMALLEST_MTU, self._linked_nodes.names)

    def _last_interface(self, address: IPAddress) -> str:
        """The interface by which it was reached when there was a route; empty for none known."""
        route = self._routes.get(address)
        return route.interface_now if route is not None else ""

    def _too_big(self, now: Instant) -> Iterator[Problem]:
        count = self._refused.lately(now)
        if count:
            names = ", ".join(sorted({route.interface_now for route in self._different_routes})) or "the underlay"
            advice = "start with --underlay-mtu"
            if self._configured is not None:
                advice = f"start with a smaller --underlay-mtu than {self._configured}"
            yield Problem(
                "datagrams_too_big",
                names,
                f"{names} refused {count} datagrams as too big, though none is longer than its MTU or "
                f"{self._plane.underlay_mtu} bytes, so something else (IPsec, a tunnel) takes room: lower the MTU of "
                f"{names}, which is followed at once, or {advice}",
            )


def _carried(routes: Collection[UnderlayRoute]) -> dict[str, int]:
    """The smallest MTU of the routes over each interface; those that are gone carry nothing and do not count."""
    smallest: dict[str, int] = {}
    for route in routes:
        mtu = route.mtu_bytes
        if mtu:
            name = route.interface_now
            smallest[name] = min(mtu, smallest.get(name, mtu))
    return dict(sorted(smallest.items()))


def _within(mtu: int) -> int:
    return max(mtu, SMALLEST_MTU)


def _literals(peers: tuple[HostPort, ...]) -> set[IPAddress]:
    found = set()
    for peer in peers:
        try:
            found.add(ip_address(peer.host.split("%")[0]))
        except ValueError:  # a name
            continue
    return found
