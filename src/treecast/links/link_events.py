"""Links that come up, end, or get another path or route: what the other rooms learn of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate


class LinkEnd(StrEnum):
    """Why a link is down."""

    GOODBYE = "goodbye"
    RESTARTED = "restarted"
    REFUSED = "refused"
    SILENT = "silent"
    UNANSWERED = "unanswered"
    """Datagrams of a node come, but nothing is answered at its address or by a neighbour."""
    WORN = "expired"
    """All its sessions were too old."""
    UNCONFIRMED = "unconfirmed"
    CERTIFICATE_EXPIRED = "certificate expired"
    CERTIFICATE_REPLACED = "certificate replaced"
    CERTIFICATE_REVOKED = "certificate revoked"
    """The peer's, or this node's own."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """``has_path``: else all for it goes by a neighbour, and it is none itself."""

    peer: NodeIndex
    certificate: Certificate
    has_path: bool = True


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: NodeIndex
    reason: LinkEnd


@dataclass(frozen=True, slots=True)
class LinkRemade:
    """A session was made outside of those before while the link was up: the peer may have forgotten everything."""

    peer: NodeIndex


@dataclass(frozen=True, slots=True)
class PathChange:
    """A node whose link is up has a path now, or a route instead."""

    peer: NodeIndex
    has_path: bool


@dataclass(frozen=True, slots=True)
class PathMoved:
    """A node's datagrams go elsewhere than before."""

    peer: NodeIndex
    before: Endpoint
    now: Endpoint


LinkEvent = LinkUp | LinkDown | LinkRemade | PathChange | PathMoved
