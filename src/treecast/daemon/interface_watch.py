"""Problems of the node's interface now; and its end, with which the node ends.

Problems are looked for when this machine's links, addresses or routes have changed, and each second while there are
any: a few system calls, without netlink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

from treecast.adapters.interface import Settings
from treecast.adapters.multicast_routes import (
    group_route_command,
    interface_of,
    interface_to,
    needs_interface,
    source_of,
    source_to,
)
from treecast.adapters.netdevice import IFF_RUNNING, IFF_UP, flags_of, index_of, is_own_address, mtu_of, name_of
from treecast.adapters.sysfs import ipv6_is_off, ipv6_switch, master_of
from treecast.base.addresses import IPAddress
from treecast.base.errors import OperatorError
from treecast.base.problems import Problem
from treecast.base.time import Duration
from treecast.daemon.ending import Ending
from treecast.daemon.interface_changes import ExpectedInterface, Owner, addresses_of_others, addresses_within
from treecast.daemon.interface_keeper import InterfaceKeeper

KEEPER_TIME: Duration = 3.0
"""The keeper has put back within that time what the interface has lost."""


class InterfaceWatch:
    """``problems`` is a source of ``daemon.problems``."""

    def __init__(self, interface: str, settings: Settings, overlay_mtu_bytes: int, keeper: InterfaceKeeper) -> None:
        """``overlay_mtu_bytes``: what the node has given it."""
        self._interface = interface
        self._index = index_of(interface)
        self._settings = settings
        self._expected = ExpectedInterface(interface, overlay_mtu_bytes, settings)
        self._keeper = keeper
        self._seen_bridged: bool | None = None
        """The state at the last look; None before the first one."""
        self._of_overlay: list[tuple[str, IPv4Interface | IPv6Interface]] = []
        """This machine's addresses of the overlay's prefixes, each behind its interface."""
        self._found: list[Problem] = []
        """Problems that the last look has found."""

    async def end_with_interface(self, changed: asyncio.Event, ending: Ending) -> None:
        """Waits until somebody deletes the interface, or takes it to another network namespace. ``changed``: set when
        an interface may have come, gone or changed.
        """
        while True:
            changed.clear()
            if not name_of(self._index):
                break
            await changed.wait()
        text = f"the interface {self._interface} has been deleted: start the node again to have it back"
        ending.fail(OperatorError(text))
        await asyncio.Event().wait()  # the node ends, and this with it

    def problems(self, changed: asyncio.Event, *, bridged: bool, owner: Owner) -> Iterator[Problem]:
        """``changed``: set when links, addresses or routes may have changed.

        ``bridged``: the node is in switch mode.
        """
        as_before = bridged is self._seen_bridged and self._keeper.is_running()
        if changed.is_set() or self._found or not as_before:
            self._of_overlay = addresses_within(self._settings.prefixes)
            self._found = list(self._look(bridged=bridged, owner=owner))
            self._seen_bridged = bridged
            changed.clear()  # not when the look has failed
        yield from addresses_of_others(self._of_overlay, owner)
        yield from self._found

    def _look(self, *, bridged: bool, owner: Owner) -> Iterator[Problem]:
        name = name_of(self._index)
        if not name:
            return
        if not flags_of(name) & IFF_UP:
            yield Problem("interface_down", name, f"{name} is down, programs reach nobody by it: ip link set {name} up")
            return
        if not self._keeper.is_running():
            advice = "what it loses is not put back until the node is started again"
            yield Problem("interface_unkept", name, f"the process that looks after {name} has ended: {advice}")
        yield from self._expected.changes(name, owner, bridged=bridged)
        master = master_of(name)
        if not bridged and master:
            text = f"{name} is in {master}, where no treecast bridge add has put it: programs here reach nobody by it"
            advice = f"ip link set {name} nomaster, or have treecast bridge add bridge the LAN"
            yield Problem("interface_in_bridge", name, f"{text}: {advice}", patience=KEEPER_TIME)
        elif not bridged:
            yield from self._lost(name, self._settings.within(mtu_of(name)))
        elif master and flags_of(master) & IFF_UP and flags_of(master) & IFF_RUNNING:
            settings = self._settings.within(mtu_of(name))
            if all(address.ip.is_link_local or is_own_address(address.ip) for address in settings.addresses):
                yield from _overlay(master, settings)

    def _lost(self, name: str, settings: Settings) -> Iterator[Problem]:
        """Addresses and routes. Those of a bridge that it is in are looked after by ``daemon.bridging``."""
        missing = [a for a in settings.addresses if not a.ip.is_link_local and not is_own_address(a.ip)]
        for address in missing:
            text = (
                f"{name} has lost its address {address}: ip address add {address} dev {name}, or start the node again"
            )
            if address.version == 6 and ipv6_is_off(name):
                text = f"{name} has no address {address}, for IPv6 is off on it: {ipv6_switch(name)}"
            yield Problem("address_missing", str(address.ip), text, patience=KEEPER_TIME)
        if not missing:
            yield from _overlay(name, settings)
            yield from _routes(name, settings)


def _overlay(name: str, settings: Settings) -> Iterator[Problem]:
    """The overlay's prefixes, which a LAN may have as well: then its interface may get what is for other nodes."""
    own = {address.ip for address in settings.addresses}
    for address in settings.addresses:
        other = _another(address)
        if other is None:
            continue
        source = source_of(other)
        if source in own or interface_of(other) == name:
            continue
        where = "nowhere" if source is None else f"by the interface that has {source}, past the overlay"
        advice = "take away the other address or route of this machine, or make a network with another prefix"
        text = f"what this machine sends to {address.network}, the overlay's addresses, goes {where}: {advice}"
        yield Problem("overlay_route_elsewhere", str(address.network), text, patience=KEEPER_TIME)


def _another(address: IPv4Interface | IPv6Interface) -> IPAddress | None:
    """The lowest host address of an overlay's prefix but this one, for nodes have them from there on; None for a
    link-local prefix or one too small.
    """
    network = address.network
    if address.ip.is_link_local or network.num_addresses < 4:
        return None
    lowest = network.network_address + 1
    return lowest if lowest != address.ip else lowest + 1


def _routes(name: str, settings: Settings) -> Iterator[Problem]:
    """A group's source may be another address of the interface, too: then the route shows it, for a netlink request."""
    own = {address.ip for address in settings.addresses}
    for prefix in settings.usable_groups:
        if needs_interface(prefix):
            continue
        source = source_to(prefix)
        if source in own or interface_to(prefix) == name:
            continue
        where, advice = "nowhere", f"{group_route_command(name, prefix)}, or start the node again"
        if source is not None:
            where = f"by the interface that has {source}"
            others = "remove this machine's other route and start the node again"
            advice = f"{others}, let programs name {name}, or say --no-routes"
        text = f"programs that name no interface reach groups of {prefix} {where}, not by {name}: {advice}"
        yield Problem("group_route_elsewhere", str(prefix), text, patience=KEEPER_TIME)
