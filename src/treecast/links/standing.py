"""The standing of a peer: whether its link is up, in progress, or why there is none, as ``peers`` shows it."""

from __future__ import annotations

from enum import StrEnum


class Standing(StrEnum):
    """States of a peer, as people read them."""

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
