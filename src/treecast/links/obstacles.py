"""Obstacles at this end: reasons in this node's options and this machine's routes for which nothing can be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.underlay_routes import UnderlayRouteType


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Parts of a sentence: ``cause``, and ``advice`` for this node's operator."""

    cause: str
    advice: str


BROADCAST = Obstacle(
    "that is a subnet's broadcast address, which is no machine's",
    "name the address of a machine that runs a node with --peer",
)


class Obstacles:
    """``families``: the IP versions that this node sends by; ``loopback``: the address of those among them whose socket
    listens on loopback; ``underlay_route_type``: where datagrams to an address would go.
    """

    def __init__(
        self,
        families: Sequence[int],
        loopback: Mapping[int, IPAddress],
        underlay_route_type: Callable[[IPAddress], UnderlayRouteType],
    ) -> None:
        self._families = frozenset(families)
        self._loopback = loopback
        self._underlay_route_type = underlay_route_type

    def of(self, endpoints: Sequence[Endpoint], *, look: bool = True) -> Obstacle | None:
        """None where a datagram to one of the endpoints would leave. ``look``: at this machine's routes, too."""
        addresses = [endpoint.address for endpoint in endpoints]
        usable = [address for address in addresses if address.version in self._families]
        if addresses and not usable:
            return self._of_family(addresses[0].version)
        reached = [address for address in usable if not self._is_beyond_loopback(address)]
        if usable and not reached:
            return self._of_loopback()
        routes = {self._underlay_route_type(address) for address in reached} if look else set()
        if not routes or UnderlayRouteType.UNICAST in routes:
            return None
        return _of_route(reached[0]) if UnderlayRouteType.NONE in routes else BROADCAST

    def _is_beyond_loopback(self, address: IPAddress) -> bool:
        return address.version in self._loopback and not address.is_loopback

    def _of_family(self, lacking: int) -> Obstacle:
        present = 4 if lacking == 6 else 6
        return Obstacle(
            f"only IPv{lacking} leads there, and this node listens on IPv{present} only, by its --listen or because "
            f"this system has no IPv{lacking}",
            f"start it with a --listen of IPv{lacking}, too, or name an IPv{present} address with --peer",
        )

    def _of_loopback(self) -> Obstacle:
        listening = " and ".join(str(address) for address in self._loopback.values())
        return Obstacle(
            f"this node listens on {listening} only, from which nothing leaves this machine",
            "start it with another --listen, or without",
        )


def _of_route(address: IPAddress) -> Obstacle:
    what = "addresses and routes" if address.version == 4 else "IPv6 addresses, whether IPv6 is on, and its routes"
    return Obstacle(
        "this machine has no route there",
        f"check this machine's {what} (ip route get {address}), or name an address with --peer that it has a route to",
    )
