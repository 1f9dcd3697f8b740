"""The node's interface at its start: taken or made, set up, and what that means for this machine's programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from structlog.typing import FilteringBoundLogger

from treecast.adapters.interface import Interface, Settings, ipv6_is_on
from treecast.adapters.multicast_routes import (
    IPNetwork,
    interface_of,
    interface_to,
    joined_elsewhere,
    needs_interface,
)
from treecast.adapters.native import DataPlane
from treecast.adapters.tap import KEPT_ALIAS, FoundTap
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.identity.node import NodeIdentity

SHOWN_GROUPS = 8


def settings_of(identity: NodeIdentity, groups: tuple[IPNetwork, ...], *, ipv6: bool) -> Settings:
    """Addresses and MTU of the interface by the certificate and the operator; ``ipv6``: this machine has it."""
    certificate, network = identity.certificate, identity.network
    return Settings(
        mac=certificate.mac,
        ipv4=certificate.ipv4,
        ipv6=certificate.ipv6 if ipv6 else None,
        prefixes=(network.ipv4, network.ipv6),
        groups=groups,
    )


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


def report_groups(
    interfaces: Sequence[str], settings: Settings, refused: Sequence[IPNetwork], log: FilteringBoundLogger
) -> None:
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


def ipv6_came_on(_: Instant, *, at_start: bool) -> Iterator[Problem]:
    """The problem of a node that was started while IPv6 was off on this machine; ``at_start``: whether it was on."""
    if not at_start and ipv6_is_on():
        yield Problem(
            "ipv6_since_start",
            "this machine",
            "IPv6 came on after the start, and this node goes on with IPv4 only: start the node again",
        )


def _list(items: Sequence[object]) -> str:
    shown = ", ".join(str(item) for item in items[:SHOWN_GROUPS])
    return shown if len(items) <= SHOWN_GROUPS else f"{shown} and {len(items) - SHOWN_GROUPS} more"
