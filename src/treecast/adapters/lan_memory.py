"""The configuration that an interface had when it was bridged, for the day when somebody has deleted the bridge.

Only what is configured for good: what a lease, a router or a routing daemon gives, these give again.
"""

from __future__ import annotations

from contextlib import suppress

from treecast.adapters.bridge_record import BridgeRecord
from treecast.adapters.interface_configuration import (
    InterfaceConfiguration,
    add_addresses,
    add_routes,
    address_of,
    route_of,
)
from treecast.adapters.rtnetlink import RouteSocket


def static_addresses(configuration: InterfaceConfiguration) -> list[str]:
    """The addresses without link-local ones, which each interface makes itself."""
    return [str(a) for a in configuration.addresses if a.ends_in_s is None and not a.is_link_local]


def static_routes(configuration: InterfaceConfiguration) -> list[str]:
    return [route.in_words() for route in configuration.routes if route.is_static]


def give_back(kernel: RouteSocket, record: BridgeRecord, interface: int) -> list[str]:
    """Addresses and routes as they were when the LAN was bridged: what was given, without routes that fit no more."""
    add_addresses(kernel, interface, map(address_of, record.lan_addresses))
    given = list(record.lan_addresses)
    for text in sorted(
        record.lan_routes, key=lambda text: not text.endswith("-")
    ):  # next hops may need the direct ones
        with suppress(OSError):
            add_routes(kernel, interface, [route_of(text, interface, connected=False)])
            given.append(text.split()[0])
    return given
