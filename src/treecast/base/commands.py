"""What the control plane wants done: decisions as values, carried out by ``adapters.native`` (or a simulator).

Each command names one call of the data plane; their meaning stands in ``treecast/_native.pyi``.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import Endpoint, IPAddress, IPNetwork, MacAddress
from treecast.base.ids import KeyId, NodeIndex, TreeEpoch, TreeId
from treecast.base.keep_local import KeepLocal
from treecast.base.membership import SourceFilter


@dataclass(frozen=True, slots=True)
class SendDatagram:
    socket: int
    endpoint: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class SendControl:
    peer: NodeIndex
    data: bytes


@dataclass(frozen=True, slots=True)
class Inject:
    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class FloodFrame:
    """To all nodes: a frame that came from a port, or that announces its hosts."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class SetPortForwarding:
    """Off: data frames are dropped both ways (``port_blocked``); what Python injects and is shown goes on."""

    port: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetStormLimits:
    """Frames a second that a port may send into the overlay, by kind; None: no limit."""

    port: int
    broadcast_pps: int | None
    multicast_pps: int | None
    unknown_unicast_pps: int | None


@dataclass(frozen=True, slots=True)
class SetKeepLocal:
    """What neither leaves a port's LAN for the overlay nor comes there from it: see ``base.keep_local``."""

    port: int
    keep: KeepLocal


@dataclass(frozen=True, slots=True)
class SetUnknownUnicastFlood:
    """On: a frame to a MAC that nobody knows goes to all nodes; off: it is dropped (``unknown_unicast``)."""

    port: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetPortSelective:
    """On: of groups, a port gets only what ``SetPortGroup`` says; off: all that come to this node."""

    port: int
    on: bool


@dataclass(frozen=True, slots=True)
class SetPortGroup:
    """What the hosts on a port want of a group; NO_SOURCE: nothing."""

    port: int
    vlan: int
    group: IPAddress
    filter: SourceFilter


@dataclass(frozen=True, slots=True)
class InstallSession:
    """``handshake`` is the data plane's own object: it holds the keys, and is spent by this. ``session``: its index."""

    handshake: object
    session: int
    peer: NodeIndex
    socket: int
    endpoint: Endpoint
    aead: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class RemoveSession:
    session: int


@dataclass(frozen=True, slots=True)
class ForgetPeer:
    peer: NodeIndex


@dataclass(frozen=True, slots=True)
class SetPeerUnderlayMtu:
    """What the peer's underlay carries: no frame goes to it in longer datagrams."""

    peer: NodeIndex
    mtu_bytes: int


@dataclass(frozen=True, slots=True)
class SetHost:
    vlan: int
    mac: MacAddress
    peer: NodeIndex


@dataclass(frozen=True, slots=True)
class RemoveHost:
    vlan: int
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class CreateTree:
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class RemoveTree:
    tree_id: TreeId


@dataclass(frozen=True, slots=True)
class SetTreeMembers:
    tree_id: TreeId
    next_hops: tuple[NodeIndex, ...]
    replicate: tuple[NodeIndex, ...]


@dataclass(frozen=True, slots=True)
class MakeKey:
    tree_id: TreeId
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class UseKey:
    tree_id: TreeId
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class OfferKey:
    tree_id: TreeId
    key_id: KeyId
    peer: NodeIndex
    context: bytes


@dataclass(frozen=True, slots=True)
class SetRoute:
    vlan: int
    group: IPAddress
    source: IPAddress | None
    tree_id: TreeId


@dataclass(frozen=True, slots=True)
class SetPrefixRoute:
    """Frames to groups of the prefix that have no route of their own take the tree; the longest prefix counts."""

    vlan: int
    prefix: IPNetwork
    tree_id: TreeId


@dataclass(frozen=True, slots=True)
class RemovePrefixRoute:
    vlan: int
    prefix: IPNetwork


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    vlan: int
    group: IPAddress
    source: IPAddress | None


@dataclass(frozen=True, slots=True)
class AcceptKey:
    """``acknowledgement``: the control message that the root gets once the key is held, and only then."""

    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    acknowledgement: bytes


@dataclass(frozen=True, slots=True)
class RefuseKey:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class RemoveMemberTree:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch


Command = (
    SendDatagram
    | SendControl
    | Inject
    | FloodFrame
    | SetPortForwarding
    | SetStormLimits
    | SetKeepLocal
    | SetUnknownUnicastFlood
    | SetPortSelective
    | SetPortGroup
    | InstallSession
    | RemoveSession
    | ForgetPeer
    | SetPeerUnderlayMtu
    | SetHost
    | RemoveHost
    | CreateTree
    | RemoveTree
    | SetTreeMembers
    | MakeKey
    | UseKey
    | OfferKey
    | SetRoute
    | SetPrefixRoute
    | RemovePrefixRoute
    | RemoveRoute
    | AcceptKey
    | RefuseKey
    | RemoveMemberTree
)
