"""The answer to ``hosts``: the host table, with what can be reached of it from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface

from treecast.api.records import Host
from treecast.base.time import Instant
from treecast.engine.view import HostView, View
from treecast.multicast import TAP


def host_answers(view: View, lan: Sequence[IPv4Interface], now: Instant) -> Iterator[Host | None]:
    """One row for each host; None: the caller may pause here too.

    ``lan``: this machine's own addresses on the LAN that it is bridged to.
    """
    for host in view.hosts(now):
        yield None if host is None else _host(view, host, lan, now)


def _host(view: View, host: HostView, lan: Sequence[IPv4Interface], now: Instant) -> Host:
    is_own = host.port == TAP and host.sighted_at is None
    addresses = [str(address) for address in host.addresses]
    if is_own:
        addresses += [str(own.ip) for own in lan if own.ip not in host.addresses]
    node = view.name(host.node)
    return Host(
        mac=str(host.mac),
        ip=addresses,
        node=node,
        age_s=round(now - host.sighted_at, 3) if host.sighted_at is not None else 0.0,
        port=host.port,
        vlan=host.vlan,
        router=host.is_router,
        moves=host.moves,
        duplicate=host.duplicate,
        conflicts=[str(mac) for mac in host.conflicts],
        unreachable="" if host.node == view.me or view.is_linked(host.node) else f"no link to {node}",
        own=is_own,
        name=host.name,
    )
