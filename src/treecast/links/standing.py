"""Standings: ways in which a node that this one seeks stands to it."""

from __future__ import annotations

from enum import StrEnum


class Standing(StrEnum):
    """How a node stands to this one."""

    UP = "up"
    CONNECTING = "connecting"
    ONE_WAY = "one way"
    REFUSED = "refused"
    ITSELF = "this node itself"
    ANOTHER_NETWORK = "another network"
    UNREACHABLE = "unreachable"
    UNRESOLVED = "name unresolved"
    """A configured peer whose name has no address so far; ``daemon/peer_names.py`` knows why."""
    OFFLINE = "offline"
