"""The answer to ``hosts``: the host table, with what can be reached of it from here."""

from __future__ import annotations

from collections.abc import Set
from ipaddress import IPv4Interface

from treecast.api.records import Host
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.view import HostView
from treecast.engine.engine import Engine
from treecast.multicast import TAP


def host_answers(engine: Engine, lan_ipv4: IPv4Interface | None, now: Instant) -> list[Host]:
    """``lan_ipv4``: this machine's own address on the LAN that it is bridged to."""
    linked = {peer.node for peer in engine.links.peers()}
    return [_host(engine, view, linked, lan_ipv4, now) for view in engine.discovery.hosts(now)]


def _host(engine: Engine, view: HostView, linked: Set[NodeIndex], lan_ipv4: IPv4Interface | None, now: Instant) -> Host:
    is_own = view.port == TAP and view.heard_at is None
    addresses = [str(address) for address in view.addresses]
    if is_own and lan_ipv4 is not None and lan_ipv4.ip not in view.addresses:
        addresses.append(str(lan_ipv4.ip))
    node = engine.nodes.name(view.node)
    return Host(
        mac=str(view.mac),
        ip=addresses,
        node=node,
        age_s=round(now - view.heard_at, 3) if view.heard_at is not None else 0.0,
        port=view.port,
        vlan=view.vlan,
        router=view.is_router,
        moves=view.moves,
        duplicate=view.duplicate,
        conflicts=[str(mac) for mac in view.conflicts],
        unreachable="" if view.node == engine.me or view.node in linked else f"no link to {node}",
        own=is_own,
        name=view.name,
    )
