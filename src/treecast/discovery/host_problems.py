"""Hosts that are in two places at once, and addresses that two hosts claim, as problems for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.discovery.conflicts import AddressConflict
from treecast.discovery.local_hosts import AddressKey, HostKey

MOST_SHOWN = 16
"""The most problems of each kind; more are one problem together, so that a LAN full of them fills no log."""


def duplicate_hosts(
    found: Sequence[HostKey], kept_at: Callable[[HostKey], NodeIndex | None], name: Callable[[NodeIndex], str]
) -> Iterator[Problem]:
    """``found``: hosts that move too often; ``kept_at``: where one stays meanwhile, if it does."""
    if len(found) > MOST_SHOWN:
        yield Problem("host_duplicate", "many", _many(f"{len(found)} hosts are in two places at once"))
        return
    for key in found:
        node = kept_at(key)
        place = f" and is kept at {name(node)} for now" if node is not None else ""
        yield Problem(
            "host_duplicate",
            _host(*key),
            f"host {_host(*key)} shows up in two places again and again{place}: two machines have this MAC, or their "
            "LANs are connected beside the overlay: give one another MAC, or find that connection",
        )


def address_conflicts(conflicts: Sequence[tuple[AddressKey, AddressConflict]]) -> Iterator[Problem]:
    """``conflicts``: those of the last minutes."""
    if len(conflicts) > MOST_SHOWN:
        text = _many(f"{len(conflicts)} addresses are claimed by two hosts each")
        yield Problem("address_conflict", "many", text)
        return
    for (vlan, address), conflict in conflicts:
        where = f"{address} vlan {vlan}" if vlan else str(address)
        yield Problem(
            "address_conflict",
            where,
            f"{where} is claimed by two hosts, {conflict.holder} and {conflict.claimant}: give one of them another",
        )


def _many(what: str) -> str:
    return f"{what} (treecast hosts lists them): are LANs connected beside the overlay? Find that connection"


def _host(vlan: int, mac: MacAddress) -> str:
    return f"{mac} vlan {vlan}" if vlan else str(mac)
