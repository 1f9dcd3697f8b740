"""Other queriers on a LAN, as problems for a person: those of an older version, and those that took the duty over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.addresses import IPAddress
from treecast.base.problems import Problem
from treecast.multicast.protocol import Protocol
from treecast.multicast.segment import Segment
from treecast.multicast.view import QuerierView


def second_queriers(segment: Segment, port_name: str) -> Iterator[Problem]:
    """The problems of one port and VLAN."""
    lan = f"{port_name} vlan {segment.vlan}" if segment.vlan else port_name
    pim_routers = {address for address, _ in segment.pim_routers()}
    for router in segment.membership.routers():
        yield from _second_querier(lan, router.protocol, router.querier(), pim_routers)


def _second_querier(
    lan: str, protocol: Protocol, view: QuerierView, pim_routers: Iterable[IPAddress]
) -> Iterator[Problem]:
    """``pim_routers``: a multicast router is expected to query, in a version like ours."""
    name = protocol.name.upper()
    if view.older is not None:
        address, version = view.older
        yield Problem(
            "second_querier",
            f"{lan} {name}",
            f"{lan}: {address} queries by {name}v{version}, so hosts answer by {name}v{version}, which knows no "
            f"sources: source-specific groups fail: set it to {name}v{view.own_version}, or switch its querier off",
        )
    elif not view.is_querier and view.address not in pim_routers:
        yield Problem(
            "second_querier",
            f"{lan} {name}",
            f"{lan}: {view.address} is the querier ({name}v{view.version}) and this node only listens, so switches "
            "may keep hosts' reports from it: where that is not meant, switch that querier off, or give this node's "
            "interface a lower address",
        )
