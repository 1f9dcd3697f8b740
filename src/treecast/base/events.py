"""Events of the data plane: values that enter at the top of the engine.

Each comes as an array of its name and its fields; ``crates/io/src/event_records.rs`` writes the same names and fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct

from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import Command
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.parent_failures import ParentFailure


class TapFrame(Struct, frozen=True):
    """A frame that a host sent and that the data plane shows to Python, with its 802.1Q tag.

    IGMP, MLD, Multicast Router Discovery, beacons (EtherType 0x88B5, to any address) and group-addressed ARP and ND are
    handed over: the data plane does nothing else with them. Of ARP and ND addressed to one MAC, DHCP and DHCPv6 from a
    server (UDP source port 67, 547) and PIM Hellos, Joins and Prunes (to 224.0.0.13, ff02::d) this is a copy: the frame
    itself was forwarded.
    """

    port: int
    data: bytes


class HandshakeDatagram(Struct, frozen=True):
    """A handshake datagram with a good MAC, within the rate limit."""

    socket: int
    source: Endpoint
    data: bytes


class ForeignHandshake(Struct, frozen=True):
    """A handshake datagram with a wrong MAC (``handshake_mac``): of another network, or noise. At most 4 a second."""

    source: Endpoint


class ForwardedHandshake(Struct, frozen=True):
    """A handshake datagram with a good MAC that a neighbour has brought, and that is from ``source``, as it claims."""

    neighbour: NodeIndex
    source: NodeIndex
    data: bytes


class ControlDatagram(Struct, frozen=True):
    """An authentic, fresh control message of a session with ``peer``."""

    peer: NodeIndex
    session: int
    data: bytes


class SessionHandshake(Struct, frozen=True):
    """A handshake datagram with a good MAC that came in a session with ``peer``, within that session's rate limit."""

    peer: NodeIndex
    session: int
    data: bytes


AnyHandshake = HandshakeDatagram | SessionHandshake | ForwardedHandshake
"""A handshake datagram, whatever way it came."""


class KeyOffered(Struct, frozen=True):
    """A peer sent a sender key of its own; it is pending until AcceptKey or RefuseKey."""

    root: NodeIndex
    stream: StreamId
    key_id: KeyId
    context: bytes


class TreeOffered(Struct, frozen=True):
    """A peer sent the state of a tree of its own; it is pending until AcceptTree or RefuseTree.

    ``number``: of this state among those that are pending; one sent again unchanged has the same. ``backup`` 0: none.
    ``children``: the nodes that this one is to send each datagram on to; ``backup_children``: the same once their
    parent is silent.
    """

    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    number: int
    parent: NodeIndex
    backup: NodeIndex
    children: tuple[NodeIndex, ...]
    backup_children: tuple[NodeIndex, ...] = ()


class ParentFailed(Struct, frozen=True):
    """The parent on a tree is silent, or sends on less than the backup has: where there is one, it is to send."""

    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    parent: NodeIndex
    failure: ParentFailure


class PathSeen(Struct, frozen=True):
    """An authentic datagram of ``session``, the newest so far, came from elsewhere than the peer's path.

    Once a second from one address, and of one peer once a second after four. It moves nothing.
    """

    peer: NodeIndex
    session: int
    socket: int
    endpoint: Endpoint


class PathAnswered(Struct, frozen=True):
    """The peer has answered ChallengePath: what is sent to this address reaches it."""

    peer: NodeIndex
    session: int
    socket: int
    endpoint: Endpoint


class SessionConfirmed(Struct, frozen=True):
    """The first authentic datagram of ``session`` arrived."""

    peer: NodeIndex
    session: int


class FingerprintDiffers(Struct, frozen=True):
    """A peer's probe or reply had another fingerprint than this node's, or the same again. Twice a second at most.

    ``difference``: theirs less this node's, modulo 2^128, 16 bytes. It stays the same while both hold what they hold.
    """

    peer: NodeIndex
    difference: bytes


class TreeUsed(Struct, frozen=True):
    """The first frame since CreateTree took this tree: from now on its key is worth offering."""

    stream: StreamId


class KeyWorn(Struct, frozen=True):
    """A key in use of one of this node's trees has sealed 2^25 datagrams, or 2^20 more since this was last reported."""

    stream: StreamId
    key_id: KeyId


class HostSeen(Struct, frozen=True):
    """A frame of this source MAC came from a port that forwards, for the first time in 60 s. ``vlan`` 0: untagged.

    Also the first since ``SetHost`` made it another node's. At most 4096 hosts per port are remembered (then
    ``hosts_seen_full``); beacons are no sign of a host.
    """

    port: int
    vlan: int
    mac: MacAddress


class CommandRefusalReason(Enum):
    TABLE_FULL = "table_full"
    UNKNOWN = "unknown"
    """There is no such tree, key or offer."""
    INVALID = "invalid"
    """Values that cannot be; a bug."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The data plane has not carried out a command. ``error``: what it raised."""

    command: Command
    reason: CommandRefusalReason
    error: Exception | None = field(default=None, compare=False)


FromDataPlane = (
    HostSeen
    | TapFrame
    | HandshakeDatagram
    | ForeignHandshake
    | ForwardedHandshake
    | ControlDatagram
    | SessionHandshake
    | KeyOffered
    | TreeOffered
    | ParentFailed
    | PathSeen
    | PathAnswered
    | SessionConfirmed
    | FingerprintDiffers
    | TreeUsed
    | KeyWorn
)
Event = FromDataPlane | CommandRefused


@dataclass(frozen=True, slots=True)
class NodeRouteReceipt:
    """The last answer to a probe by a node route: so many datagrams of a session had gone by it, and so many of the
    session had come, probes and their replies not counted. Only differences of two receipts count.
    """

    session: int
    sent: int
    came: int


class SessionReport(Struct, frozen=True):
    """How a session is doing, measured by the data plane."""

    session: int
    peer: NodeIndex
    age_s: float
    silent_s: float
    rtt_ms: float | None
    sealed: int
    path_silent_s: float = 0.0
    """The time since something came from where the path of the peer leads, whoever sent it."""
    path_unanswered: int = 0
    """Turns of probes since one on the path of the peer was answered; the last one's answer may be on its way."""
    node_route_unanswered: int = 0
    """The same of its node route, since it has that one."""
    least_rtt_ms: float | None = None
    """The least of the last five probes: the way's own round trip, without what nodes waited."""
    route_silent_s: float = 0.0
    """The time since something came from the peer by the next hop of its route, or a probe by that was answered; long
    where nothing did since it has that one.
    """
    routed: int = 0
    """Datagrams of this session that went by the peer's route, but for probes and their replies."""
    receipt: NodeRouteReceipt | None = None
    """None until a probe by its route was answered, since it has that one."""
    carried_bytes: int = 0
    """UDP payload bytes to and from the peer so far, in all its sessions, past ones too, and on trees."""
    refused_bytes: int = 0
    """Bytes of frames for the peer, of this session, that the budget of its route had no room for."""
