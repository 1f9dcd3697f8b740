"""What the data plane tells the control plane: values that enter at the top of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import Command
from treecast.base.ids import KeyId, NodeIndex, TreeEpoch, TreeId


@dataclass(frozen=True, slots=True)
class TapFrame:
    """A frame that a host sent: ARP, ND, IGMP or MLD."""

    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HandshakeDatagram:
    socket: int
    source: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class ForeignHandshake:
    """A handshake datagram with a wrong MAC: of another network, or noise. A few a second are told."""

    source: Endpoint


@dataclass(frozen=True, slots=True)
class ControlDatagram:
    peer: NodeIndex
    session: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KeyOffered:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    context: bytes


@dataclass(frozen=True, slots=True)
class PeerMoved:
    peer: NodeIndex
    session: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class SessionConfirmed:
    peer: NodeIndex
    session: int


@dataclass(frozen=True, slots=True)
class TreeUsed:
    tree_id: TreeId


@dataclass(frozen=True, slots=True)
class KeyWorn:
    """A key in use of one of this node's trees has sealed so much that it is to be replaced."""

    tree_id: TreeId
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A frame with this source MAC came from a port: new there, or not reported for a minute. ``vlan`` 0: untagged."""

    port: int
    vlan: int
    mac: MacAddress


class RefusalReason(Enum):
    TABLE_FULL = "table_full"
    UNKNOWN = "unknown"
    """There is no such tree, key or offer."""
    INVALID = "invalid"
    """Values that cannot be; a bug."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The data plane has not carried out a command. ``error``: what it raised."""

    command: Command
    reason: RefusalReason
    error: Exception | None = field(default=None, compare=False)


Event = (
    HostSeen
    | TapFrame
    | HandshakeDatagram
    | ForeignHandshake
    | ControlDatagram
    | KeyOffered
    | PeerMoved
    | SessionConfirmed
    | TreeUsed
    | KeyWorn
    | CommandRefused
)


@dataclass(frozen=True, slots=True)
class SessionReport:
    """How a session is doing, measured by the data plane."""

    session: int
    peer: NodeIndex
    age_s: float
    silent_s: float
    rtt_ms: float | None
    sealed: int
