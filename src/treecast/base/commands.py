"""Commands to the data plane: decisions as values, carried out by ``adapters.native`` (or a simulator). On the way
there each is an array of its name and its fields, which ``crates/io/src/commands.rs`` has, too.
"""

from __future__ import annotations

from treecast.base.addresses import Endpoint, IPAddress, IPNetwork, MacAddress
from treecast.base.command import DataPlaneCommand
from treecast.base.downstream_commands import DownstreamCommand
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.keep_local import KeepLocal
from treecast.base.key_commands import AnnounceKey
from treecast.base.machine_commands import SetBridgeMac
from treecast.base.membership import SourceFilter
from treecast.base.path_commands import PathCommand


class SendDatagram(DataPlaneCommand, frozen=True):
    """UDP payload as it is: a handshake."""

    socket: int
    endpoint: Endpoint
    data: bytes


class SendControl(DataPlaneCommand, frozen=True):
    """A message sealed on the peer's newest confirmed session; without one it is counted (``no_session``)."""

    peer: NodeIndex
    data: bytes


class SendHandshake(DataPlaneCommand, frozen=True):
    """A handshake datagram of the next session, sealed as SendControl's message is."""

    peer: NodeIndex
    data: bytes


class SendForwarded(DataPlaneCommand, frozen=True):
    """A handshake datagram that a neighbour is to send on; without a session and path of that: ``forward_no_route``."""

    neighbour: NodeIndex
    destination: NodeIndex
    data: bytes


class Inject(DataPlaneCommand, frozen=True):
    """An Ethernet frame to a port, as if it had come from the network, whether the port forwards or not.

    On a packet port its source becomes the interface's own MAC.
    """

    port: int
    frame: bytes


class FloodFrame(DataPlaneCommand, frozen=True):
    """An Ethernet frame down the broadcast tree: one that came from a port, or that announces its hosts.

    Frames that the port keeps on its LAN are dropped.
    """

    port: int
    frame: bytes


class SetPortForwarding(DataPlaneCommand, frozen=True):
    """Off: data frames are dropped both ways (``port_blocked``); punted, injected and flooded ones go on."""

    port: int
    on: bool


class SetStormLimits(DataPlaneCommand, frozen=True):
    """Frames a second from a port into the overlay, with a burst of one second's, by destination MAC; None: no limit.

    Frames that go nowhere do not count. The excess is dropped: ``storm_broadcast``, ``storm_multicast``,
    ``storm_unknown_unicast``.
    """

    port: int
    broadcast_pps: int | None
    multicast_pps: int | None
    unknown_unicast_pps: int | None


class SetKeepLocal(DataPlaneCommand, frozen=True):
    """Frames that stay on a LAN (``base.keep_local``), and are dropped: ``kept_local_ra``, ``kept_local_dhcp``."""

    port: int
    keep: KeepLocal


class SetUnknownUnicastFlood(DataPlaneCommand, frozen=True):
    """Sets whether a frame to a MAC that nobody knows takes the broadcast tree; off, at first: ``unknown_unicast``."""

    port: int
    on: bool


class SetPortSelective(DataPlaneCommand, frozen=True):
    """Sets whether a port gets only the groups of ``SetPortGroup`` (packet ports, always), or all (the TAP, at first).

    The TAP's counts only while there are packet ports.
    """

    port: int
    on: bool


class SetPortGroup(DataPlaneCommand, frozen=True):
    """The source filter of a port's hosts for a group; NO_SOURCE ends it."""

    port: int
    vlan: int
    group: IPAddress
    filter: SourceFilter


class InstallSession(DataPlaneCommand, frozen=True):
    """``handshake`` is the data plane's own object: it holds the keys, and is spent by this. ``session``: its index.

    ``confirmed``: it is sent on at once. ``endpoint``: None where the node has no path, but a route (SetNodeRoute).
    """

    handshake: object
    session: int
    peer: NodeIndex
    socket: int
    endpoint: Endpoint | None
    aead: int
    confirmed: bool


class RemoveSession(DataPlaneCommand, frozen=True):
    session: int


class ForgetPeer(DataPlaneCommand, frozen=True):
    """Removes its sessions, next hops, hosts, and the trees rooted at it; its counters and its route go on."""

    peer: NodeIndex


class SetNodeRoute(DataPlaneCommand, frozen=True):
    """All for a node goes by this neighbour from now on."""

    node: NodeIndex
    next_hop: NodeIndex


class RemoveNodeRoute(DataPlaneCommand, frozen=True):
    """All for a node goes to itself from now on, where its session has a path."""

    node: NodeIndex


class SetFingerprint(DataPlaneCommand, frozen=True):
    """The fingerprint of all advertisements that are held here, 16 bytes: probes and their replies carry it."""

    fingerprint: bytes


class CertifyNode(DataPlaneCommand, frozen=True):
    """The frames that a node may send, from its certificate; the rest is dropped (``source_of_another_node``, to groups
    ``frame_not_permitted``, of this node's own hosts ``send_not_permitted``).

    What it broadcasts is signed with ``signing_key``, its public one, else it is dropped (``broadcast_signature``).
    ``bridge``: of other machines too. ``carried``: a bridge that claims no host with its ``addresses`` now, so that
    another one on its machine's LAN may send these. ``send_to``: prefixes of groups, None for all; groups of link-local
    scope are sent to by everybody. A node without this command sends from its own MAC only, and broadcasts nothing.
    """

    node: NodeIndex
    bridge: bool
    carried: bool
    addresses: tuple[IPAddress, ...]
    signing_key: bytes
    send_to: tuple[IPNetwork, ...] | None = None


class UncertifyNode(DataPlaneCommand, frozen=True):
    """The node is gone: its addresses are nobody's."""

    node: NodeIndex


class SetAuthenticatedGroups(DataPlaneCommand, frozen=True):
    """Frames to these groups count only as sealed for this node alone, else they are ``frame_not_authenticated``."""

    prefixes: tuple[IPNetwork, ...]


class SetHost(DataPlaneCommand, frozen=True):
    vlan: int
    mac: MacAddress
    peer: NodeIndex


class RemoveHost(DataPlaneCommand, frozen=True):
    vlan: int
    mac: MacAddress


class CreateTree(DataPlaneCommand, frozen=True):
    """A new stream with a tree without members; a fresh tree key and a fresh sender key of that id are in use."""

    stream: StreamId
    epoch: TreeEpoch
    key_id: KeyId


class RemoveTree(DataPlaneCommand, frozen=True):
    stream: StreamId


class SetTreeMembers(DataPlaneCommand, frozen=True):
    """Peers that get the tree datagram, and peers that get session-sealed copies: disjoint, and changed at once.

    ``beyond``: nodes that get the tree datagram from others; no datagram is longer than all their underlays carry.

    Whole lists, once for each turn in which some changed. For 1,000 members it takes 19 us, 9 of them to write and read
    them. To name the changed ones would save those 9: workers read one immutable pair of lists, checked in any case.
    """

    stream: StreamId
    next_hops: tuple[NodeIndex, ...]
    replicate: tuple[NodeIndex, ...]
    beyond: tuple[NodeIndex, ...] = ()


class MakeKey(DataPlaneCommand, frozen=True):
    """A fresh sender key, and a fresh tree key for another epoch, not in use yet. At most one waits, the newest."""

    stream: StreamId
    key_id: KeyId
    epoch: TreeEpoch


class UseKey(DataPlaneCommand, frozen=True):
    """The waiting key seals from now on, for the tree of the epoch that was made with it."""

    stream: StreamId
    key_id: KeyId


class OfferKey(DataPlaneCommand, frozen=True):
    """Sends the sender key to a peer (docs/protocol.md section 6). ``before``: the key before (0: none), its end."""

    stream: StreamId
    key_id: KeyId
    peer: NodeIndex
    context: bytes
    before: KeyId
    before_ends_ms: int


class OfferTree(DataPlaneCommand, frozen=True):
    """Sends the state of the tree of an epoch to a peer: the tree key, and the peer's place on it.

    ``backup``: 0 for none; with ``backup_sends`` it sends all of it, too, as another parent. ``children`` and
    ``backup_children``: ascending, MAX_TREE_CHILDREN together at most.
    """

    stream: StreamId
    epoch: TreeEpoch
    peer: NodeIndex
    parent: NodeIndex
    backup: NodeIndex = NO_NODE
    children: tuple[NodeIndex, ...] = ()
    backup_children: tuple[NodeIndex, ...] = ()
    backup_sends: bool = False


class SetRoute(DataPlaneCommand, frozen=True):
    """Frames to a group (from ``source``; None: from any without a route of its own) take the tree.

    A route to a tree without members drops as ``no_subscriber``, which is how a source is excluded.
    """

    vlan: int
    group: IPAddress
    source: IPAddress | None
    stream: StreamId


class SetPrefixRoute(DataPlaneCommand, frozen=True):
    """Frames to groups of the prefix that have no route of their own take the tree; the longest prefix counts."""

    vlan: int
    prefix: IPNetwork
    stream: StreamId


class RemovePrefixRoute(DataPlaneCommand, frozen=True):
    vlan: int
    prefix: IPNetwork


class RemoveRoute(DataPlaneCommand, frozen=True):
    vlan: int
    group: IPAddress
    source: IPAddress | None


Command = (
    SendDatagram
    | SendControl
    | SendHandshake
    | SendForwarded
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
    | SetNodeRoute
    | RemoveNodeRoute
    | PathCommand
    | SetFingerprint
    | CertifyNode
    | SetAuthenticatedGroups
    | SetBridgeMac
    | UncertifyNode
    | SetHost
    | RemoveHost
    | CreateTree
    | RemoveTree
    | SetTreeMembers
    | MakeKey
    | UseKey
    | AnnounceKey
    | OfferKey
    | OfferTree
    | SetRoute
    | SetPrefixRoute
    | RemovePrefixRoute
    | RemoveRoute
    | DownstreamCommand
)
