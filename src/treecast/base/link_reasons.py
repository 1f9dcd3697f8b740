"""Reasons of links: why a node has one, for people."""

from __future__ import annotations

from enum import StrEnum


class LinkReason(StrEnum):
    """Why there is a link with a node, at this end."""

    MESH = "mesh"
    """The network is so small, or the node so free, that it has links with all others."""
    RING = "ring"
    """One of the next nodes on the ring of node ids."""
    FAR = "far"
    """A node anywhere on the ring, rarely far off: with these, all others are a few links away."""
    NEAR = "near"
    """Its round trip is short."""
    ACCEPTED = "accepted"
    """The other end has chosen it."""
    STATIC = "static peer"
    """The operator has named it."""
    ON_DEMAND = "on demand"
    """Much goes there: it would go by other nodes else."""
