"""Nodes to which no way leads any more: their machines may be on a LAN that another node has taken over.

Decides when a node is lost and when it is there again: by its link, and by what it advertises, which others bring.
"""

from __future__ import annotations

from collections.abc import Iterable

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.local_hosts import HostKey
from treecast.engine.rooms import Rooms
from treecast.wire.advertisement import HostContent, Kind, host_key


def lose(rooms: Rooms, now: Instant, node: NodeIndex) -> None:
    """Its link has ended, and with that the last route."""
    rooms.nodes.sources.lose(node)
    _judge(rooms, now, rooms.discovery.lose(now, node))


def find(rooms: Rooms, now: Instant, node: NodeIndex) -> None:
    """Its link is up, or it advertises itself anew: it lives."""
    rooms.nodes.sources.find(node)
    _judge(rooms, now, rooms.discovery.find(node))


def _judge(rooms: Rooms, now: Instant, claims: Iterable[tuple[NodeIndex, HostKey]]) -> None:
    for node, key in claims:
        for wire_key, content in rooms.broadcast.contents(node, Kind.HOST):
            if wire_key == host_key(*key) and isinstance(content, HostContent):
                rooms.discovery.learn(now, node, key, content)
