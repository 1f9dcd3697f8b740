"""The answer to ``hosts``: the host table, with what can be reached of it from here."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from treecast.api.records import Host
from treecast.base.time import Instant
from treecast.engine.view import HostView, View
from treecast.multicast import TAP


def host_answers(view: View, lan_ipv4: IPv4Interface | None, now: Instant) -> Iterator[Host | None]:
    """One row for each host; None: the caller may pause here too.

    ``lan_ipv4``: this machine's own address on the LAN that it is bridged to.
    """
    for host in view.hosts(now):
        yield None if host is None else _host(view, host, lan_ipv4, now)


def _host(view: View, host: HostView, lan_ipv4: IPv4Interface | None, now: Instant) -> Host:
    is_own = host.port == TAP and host.sighted_at is None
    addresses = [str(address) for address in host.addresses]
    if is_own and lan_ipv4 is not None and lan_ipv4.ip not in host.addresses:
        addresses.append(str(lan_ipv4.ip))
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
