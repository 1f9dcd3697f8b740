"""The node's interface at its start: taken or made, set up, and what that means for this machine's programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treecast.adapters.interface import Interface, Settings, opens_ipv6_sockets
from treecast.adapters.multicast_routes import (
    interface_of,
    interface_to,
    joined_elsewhere,
    needs_interface,
)
from treecast.adapters.native import DataPlane
from treecast.adapters.netdevice import index_of, name_of
from treecast.adapters.sysfs import NEW_INTERFACES, ipv6_is_off, ipv6_switch
from treecast.adapters.tap import KEPT_ALIAS, FoundTap
from treecast.base.addresses import IPNetwork
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.log_lines import Log
from treecast.identity.node import NodeIdentity

SHOWN_GROUPS = 8


def settings_of(identity: NodeIdentity, groups: tuple[IPNetwork, ...], *, ipv6: bool) -> Settings:
    """Addresses and MTU of the interface by the certificate and the operator; ``ipv6``: it gets addresses of it."""
    certificate, network = identity.certificate, identity.network
    return Settings(
        mac=certificate.mac,
        ipv4=certificate.ipv4,
        ipv6=certificate.ipv6 if ipv6 else None,
        prefixes=(network.ipv4, network.ipv6),
        groups=groups,
    )


def stays(found: FoundTap | None, *, keep: bool) -> bool:
    """Whether the interface outlives the node, so that the next start takes it."""
    return keep or (found is not None and not found.kept)


def set_up(plane: DataPlane, settings: Settings, found: FoundTap | None, *, keep: bool) -> list[IPNetwork]:
    """Addresses and routes of the TAP just opened: the groups whose route another interface has.

    One that a node has made stays if ``keep``, and goes at the end if not; an operator's own stays as before.
    """
    alias = None
    if found is None or found.kept:
        alias = KEPT_ALIAS if keep else ""
    refused = Interface(plane.interface).configure(settings, kept=found is not None and found.kept, alias=alias)
    if alias is not None:  # last: what goes wrong before leaves all as it was
        plane.set_stay(on=keep)
    return refused


def report_groups(interfaces: Sequence[str], settings: Settings, refused: Sequence[IPNetwork], log: Log) -> None:
    """One line: which groups programs now reach by the interface, and which others had joined elsewhere."""
    possible = [prefix for prefix in settings.usable_groups if prefix not in refused]
    groups = [prefix for prefix in possible if needs_interface(prefix) or interface_to(prefix) in interfaces]
    if not groups:
        log.info(f"programs must name the interface {interfaces[0]} to reach groups by it")
        return
    reached = f"programs that name no interface reach {_list(groups)} by {interfaces[0]} now"
    joined = joined_elsewhere(interfaces, groups)
    elsewhere = [one for one in joined if interface_of(one.group) in interfaces]  # others have a route of their own
    if elsewhere:
        advice = "they must name theirs when they join again, or narrow this with --route"
        log.warning(f"{reached}, not the groups that others joined elsewhere, {_list(elsewhere)}: {advice}")
    else:
        log.info(reached)


class OwnIPv6:
    """IPv6 of the interface as it was just opened. Its own switch decides, and that of new interfaces is the operator's
    wish for it; the underlay has its own, by its sockets.
    """

    def __init__(self, interface: str, *, system: bool, stays: bool) -> None:
        """``system``: this system has IPv6 at all. ``stays``: the next start takes the interface, with its switch."""
        self._index = index_of(interface)
        self._system = system
        self._stays = stays
        self.is_on = system and not _is_switched_off(interface)

    def report(self, log: Log) -> None:
        """Log once that the interface goes without, and by which switch."""
        name = name_of(self._index)
        reach = "programs here reach the overlay by IPv4 only"
        if not self._system:
            log.warning("this system has no IPv6: carrying on with IPv4 only")
        elif not self.is_on:
            new = f"net.ipv6.conf.{NEW_INTERFACES}.disable_ipv6"
            log.warning(f"IPv6 is off on {name} as on new interfaces ({new}): {reach}")
        elif ipv6_is_off(name):  # it was taken: one made now would have it
            since = "by hand, or since new interfaces had none"
            log.warning(f"IPv6 is off on {name} alone, {since}: {reach} until it is on: {ipv6_switch(name)}")

    def problems(self, _: Instant) -> Iterator[Problem]:
        """IPv6 that is on by now, of a node that was started without."""
        name = name_of(self._index)
        if self.is_on or not name or not opens_ipv6_sockets() or (self._system and _is_switched_off(name)):
            return
        switch = name if self._stays else NEW_INTERFACES
        first = f"{ipv6_switch(switch)}, and " if ipv6_is_off(switch) else ""
        text = f"IPv6 came on after the start, and {name} goes on with IPv4 only"
        yield Problem("ipv6_since_start", "this machine", f"{text}: {first}start the node again")


def _is_switched_off(interface: str) -> bool:
    """Where new interfaces have IPv6, one that has not was changed by hand, and gets its addresses once it has."""
    return ipv6_is_off(interface) and ipv6_is_off(NEW_INTERFACES)


def _list(items: Sequence[object]) -> str:
    shown = ", ".join(str(item) for item in items[:SHOWN_GROUPS])
    return shown if len(items) <= SHOWN_GROUPS else f"{shown} and {len(items) - SHOWN_GROUPS} more"
