"""The data plane. Sealed keys live here and never come out: Python names them by index and id.

All calls return at once; none blocks on the network. Wire formats: ``docs/protocol.md``.
"""

from collections.abc import Sequence
from typing import final

AEAD_AES_256_GCM: int  # 1
AEAD_CHACHA20_POLY1305: int  # 2

def preferred_aead() -> int: ...
def drop_capabilities() -> None:
    """Give up all of the calling thread's capabilities (call before Forwarder.start)."""

def open_packet_socket(interface: str) -> int:
    """A packet socket for ``Forwarder.open_packet_port``: a descriptor, the caller's to close or to hand over.

    Needs CAP_NET_RAW. OSError: EPERM; ENODEV; EINVAL for an interface that is no Ethernet.
    """

class TableFullError(ValueError):
    """A table of the data plane is at its maximum; what was there stays as it was."""

class HandshakeError(Exception):
    """The datagram does not continue this handshake; ``args[0]`` is the drop reason, a code constant."""

@final
class StaticKey:
    """A node's X25519 private key."""

    def __new__(cls, private: bytes) -> StaticKey: ...
    @property
    def public(self) -> bytes: ...

@final
class Handshake:
    """One Noise handshake of either side (docs/protocol.md section 3)."""

    @staticmethod
    def initiate(key: StaticKey, network_id: bytes, index: int) -> Handshake: ...
    @staticmethod
    def respond(key: StaticKey, network_id: bytes, index: int, init: bytes) -> Handshake:
        """Reads an INIT datagram. HandshakeError when it is not one."""
    def init_datagram(self) -> bytes:
        """Initiator: the INIT datagram (the same bytes each time)."""
    def write_response(self, payload: bytes) -> bytes:
        """Responder: the RESPONSE datagram; ValueError when the payload does not fit."""
    def read_response(self, datagram: bytes) -> bytes:
        """Initiator: the responder's payload. On HandshakeError the handshake is as before and can go on."""
    def write_final(self, payload: bytes) -> bytes: ...
    def read_final(self, datagram: bytes) -> bytes: ...
    def write_refusal(self, payload: bytes) -> bytes:
        """Responder, after read_final: the REFUSAL datagram, instead of a session; at most 48 bytes of payload."""
    def read_refusal(self, datagram: bytes) -> bytes:
        """Initiator, after write_final, also after install_session: the responder's payload."""
    @property
    def index(self) -> int: ...
    @property
    def remote_index(self) -> int: ...
    @property
    def remote_static(self) -> bytes:
        """The other side's static public key; known after read_response or read_final."""

Address = tuple[str, int]
"""IP address as text, UDP port."""

@final
class TapFrame:
    """A frame that a host sent and that the data plane shows to Python, with its 802.1Q tag.

    IGMP, MLD, Multicast Router Discovery, beacons (EtherType 0x88B5, to any address) and group-addressed ARP and ND are
    handed over: the data plane does nothing else with them. Of ARP and ND addressed to one MAC, DHCP and DHCPv6 from a
    server (UDP source port 67, 547) and PIM Hellos, Joins and Prunes (to 224.0.0.13, ff02::d) this is a copy: the frame
    itself was forwarded.
    """

    port: int
    data: bytes

@final
class HandshakeDatagram:
    """A handshake datagram with a good MAC, within the rate limit."""

    socket: int
    source: Address
    data: bytes

@final
class ForeignHandshake:
    """A handshake datagram whose MAC is wrong (``handshake_mac``) came from there: of another network, or noise.

    At most 4 a second are told.
    """

    source: Address

@final
class ControlDatagram:
    """An authentic, fresh control message of a session with ``peer``."""

    peer: int
    session: int
    data: bytes

@final
class KeyOffered:
    """A peer sent a sender key of its own; it is parked until accept_key or refuse_key."""

    root: int
    tree_id: int
    epoch: int
    key_id: int
    context: bytes

@final
class PeerMoved:
    """An authentic, fresh datagram of ``session`` came from a new address, which is used from now on."""

    peer: int
    session: int
    endpoint: Address

@final
class SessionConfirmed:
    """The first authentic datagram of ``session`` arrived."""

    peer: int
    session: int

@final
class TreeUsed:
    """The first frame since create_tree took this tree: from now on it is worth handing out its key."""

    tree_id: int

@final
class KeyWorn:
    """The key of one of this node's trees has sealed 2^25 datagrams, or 2^20 more since this was last reported."""

    tree_id: int
    key_id: int

@final
class HostSeen:
    """A frame of this source MAC came from a port that forwards: the first, or the first for 60 s.

    Also the first since ``set_host`` said that it is another node's. At most 4096 hosts per port are remembered (then
    ``hosts_seen_full``); beacons are no sign of a host.
    """

    port: int
    vlan: int  # 0: untagged
    mac: bytes

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
)

@final
class SessionStats:
    session: int
    peer: int
    endpoint: Address
    age_s: float
    silent_s: float  # since the last authentic datagram, or since installation
    rtt_ms: float | None  # smoothed (RFC 6298 SRTT) round-trip time of probes
    sealed: int  # datagrams sealed so far, for rekeying by count
    tx_packets: int
    tx_bytes: int  # UDP payload bytes
    rx_packets: int
    rx_bytes: int

@final
class PeerStats:
    """Sums over all sessions of a peer, past ones included, and what tree datagrams were sent to it or came from it.

    Since the forwarder's start, also of peers that were forgotten.
    """

    peer: int
    tx_packets: int
    tx_bytes: int
    rx_packets: int
    rx_bytes: int

@final
class RouteStats:
    """What the root sent: per route."""

    vlan: int
    group: bytes  # or the first of a prefix
    prefix_length: int  # all bits: one group
    source: bytes | None
    tx_packets: int  # Ethernet frames taken by this route, once each, however many subscribers
    tx_bytes: int  # their bytes

@final
class FlowStats:
    """Frames of one source to a group: sent by hosts of this node (``port``), or given to them (``port`` None).

    ``root``: the node at which they entered the overlay. ``packets`` and ``bytes`` are Ethernet frames and their
    bytes, all that were counted; ``since_packets`` and ``since_bytes`` those since ``since_s``, when the source began
    to send or, after 210 s of silence, began again. ``pps`` and ``bps`` are over the last two to four seconds, None
    while less than one is known, 0 after five seconds of silence.
    """

    port: int | None
    root: int
    vlan: int
    group: bytes
    source: bytes
    packets: int
    bytes: int
    since_s: float
    since_packets: int
    since_bytes: int
    silent_s: float
    pps: float | None
    bps: float | None

@final
class TreeStats:
    """What a subscriber received by tree: per (root, tree id, epoch); frames and their bytes.

    A frame that came in parts counts as so many, with 8 bytes more each.
    """

    root: int
    tree_id: int
    epoch: int
    rx_packets: int
    rx_bytes: int

@final
class Forwarder:
    def __new__(
        cls,
        *,
        node_index: int,
        network_id: bytes,
        interface: str,
        mac: bytes,
        mtu: int,
        listen: Sequence[Address],
        underlay_mtu: int = 1500,
        workers: int = 0,
        probe_interval_s: float = 2.0,
        take: bool = False,
    ) -> Forwarder:
        """Opens the TAP (down, MAC and MTU set) and binds the UDP sockets, in the order of ``listen``.

        ``take``: there is a TAP of this name that nobody uses; it is taken as it stands, with one queue or several.
        ``mtu``: of the TAP; it may be changed later, up to 9000. ``underlay_mtu``: that of this node's underlay,
        1280 to 9000; a frame that does not fit a packet of it, with IPv6 and UDP headers, goes in parts.
        ``workers``: threads that move packets, each with a TAP queue and a share of the sockets; 0: one per core.
        The TAP's transmit queue is 4000 frames long; ``gso_max_segs`` (44) needs netlink and is the caller's to set.
        OSError with errno and a text that names the interface or the address.
        """
    def start(self) -> None:
        """Start the worker threads, which may interrupt the calling thread from then on. The TAP should be up."""
    def stop(self) -> None:
        """Stop the threads, close the TAP (it vanishes unless it is to stay) and the sockets. Idempotent."""
    @property
    def interface(self) -> str: ...
    def set_stay(self, on: bool) -> None:
        """Whether the TAP stays at the end. At first: one that was made goes, one that was taken does as before."""
    @property
    def listening(self) -> list[Address]:
        """The sockets' local addresses, in the order of ``listen`` (port 0 resolved)."""
    @property
    def workers(self) -> int:
        """How many threads move packets."""
    @property
    def running_workers(self) -> int:
        """How many of them run: fewer when one has panicked, or the system has failed it. 0 before ``start``."""
    def ask_workers(self) -> None:
        """Ask each whether it still turns. It wakes them."""
    @property
    def unanswered(self) -> int:
        """How many have not answered since they were asked last."""
    @property
    def underlay_mtu(self) -> int | None:
        """The MTU of this node's underlay; None when stopped."""
    def set_underlay_mtu(self, mtu: int) -> None:
        """From now on, for all frames; ValueError below 1280 and above 9000."""
    @property
    def offloads(self) -> list[str]:
        """What the kernel granted, e.g. ["tap-csum", "tap-tso", "tap-uso", "tap-queues", "udp-gso", "udp-gro"]."""

    # events
    def event_fd(self) -> int:
        """An eventfd, readable when events wait."""
    def drain(self, limit: int) -> list[Event]:
        """Up to ``limit`` events; clears the eventfd when none is left.

        Sessions' events (control, keys, moves) come in their order, as do those of each other kind. The kinds take
        turns, so that a flood of one holds up no other; beyond its bound or its rate a kind is dropped by name.
        """

    # sending, from Python
    def send_datagram(self, socket: int, endpoint: Address, data: bytes) -> bool: ...
    def send_control(self, peer: int, data: bytes) -> bool:
        """Sealed on the peer's newest confirmed session; False (and counted) without one or when the socket is full."""
    def send_control_on(self, session: int, data: bytes) -> bool:
        """The same on a given session, confirmed or not."""
    def inject(self, port: int, frame: bytes) -> bool:
        """Write an Ethernet frame to a port, as if it had come from the network, whether the port forwards or not.

        On a packet port its source becomes the interface's own MAC.
        """
    def flood(self, port: int, frame: bytes) -> None:
        """Send an Ethernet frame on the broadcast tree, as if a host on the port had sent it, unless the port keeps it
        on its LAN.
        """

    # ports; ValueError for one that is not there
    def open_packet_port(self, descriptor: int) -> int:
        """Open a port with a socket that ``open_packet_socket`` made: its number, from 1. The descriptor is duplicated.

        The port is blocked at first. It takes untagged multicast only (else ``packet_not_group``), never the machine's
        own frames, and gives, with the interface's MAC as source, link-local groups and those of ``set_port_group``.
        Frames of groups cross between the ports of this node too. OSError: EINVAL for others, ENOSPC above 3.
        """
    def close_port(self, port: int) -> None:
        """Close a packet port; what was set for it is forgotten."""
    def set_port_selective(self, port: int, on: bool) -> None:
        """On (packet ports, always): only groups of ``set_port_group`` go out. Off (the TAP, at first): all.

        The TAP's counts only while there are packet ports.
        """
    def set_port_group(self, port: int, vlan: int, group: bytes, exclude: bool, sources: Sequence[bytes]) -> None:
        """What the port's hosts want of a group: all sources but these, or only these; only none ends it."""
    def set_port_forwarding(self, port: int, on: bool) -> None:
        """Off: data frames are dropped both ways (``port_blocked``); what is punted, injected and flooded goes on."""
    def set_storm_limits(
        self,
        port: int,
        *,
        broadcast_pps: int | None,
        multicast_pps: int | None,
        unknown_unicast_pps: int | None,
    ) -> None:
        """Frames a second from this port into the overlay, with a burst of one second's; None: no limit.

        By destination MAC; frames that go nowhere do not count. The excess is dropped: ``storm_broadcast``,
        ``storm_multicast``, ``storm_unknown_unicast``.
        """
    def storm_refused(self, port: int) -> list[int]:
        """Frames above each limit since it was set: broadcast, multicast, unknown unicast."""
    def set_keep_local(self, port: int, *, ra: bool, dhcp: bool) -> None:
        """What neither goes from this port's LAN into the overlay nor from there to it, and is dropped.

        ``ra``: IPv6 router advertisements, solicitations and redirects (``kept_local_ra``); ``dhcp``: DHCP and DHCPv6
        between clients and servers (``kept_local_dhcp``). Python sees of them what it sees otherwise.
        """
    def set_group_super_packets(self, port: int, on: bool) -> None:
        """Off: frames to group MACs are written to the TAP (port 0) one by one, never joined.

        On, as at first: joined where they may be.
        """
    def set_unknown_unicast_flood(self, port: int, on: bool) -> None:
        """On: frames to a MAC that nobody knows take the broadcast tree. Off, as at first: ``unknown_unicast``."""

    # sessions
    def install_session(
        self, handshake: Handshake, peer: int, socket: int, endpoint: Address, aead: int, confirmed: bool
    ) -> None:
        """Take the finished handshake's keys (it is spent). ``confirmed``: send on it at once."""
    def remove_session(self, session: int) -> None: ...
    def set_peer_underlay_mtu(self, peer: int, mtu: int) -> None:
        """What the peer's underlay carries, 1280 to 9000 (at first 9000): frames go to it in packets of at most
        the smaller of this and ``underlay_mtu``, those of a tree of at most the smallest of its next hops'.

        Of a peer without a session nothing is kept.
        """
    def sessions(self) -> list[SessionStats]: ...
    def peers(self) -> list[PeerStats]: ...
    def forget_peer(self, peer: int) -> None:
        """Remove its sessions, next hops, hosts, and the member trees rooted at it; its counters go on."""

    # unicast
    def set_host(self, vlan: int, mac: bytes, peer: int) -> None: ...
    def remove_host(self, vlan: int, mac: bytes) -> None: ...

    # multicast: this node is the root
    def create_tree(self, tree_id: int, epoch: int, key_id: int) -> None:
        """A new tree without members, with a fresh tree key and a fresh sender key of that id in use."""
    def remove_tree(self, tree_id: int) -> None: ...
    def set_tree_members(self, tree_id: int, next_hops: Sequence[int], replicate: Sequence[int]) -> None:
        """Peers that get the tree datagram, and peers that get session-sealed copies. Disjoint. Atomic."""
    def make_key(self, tree_id: int, key_id: int) -> None:
        """A fresh sender key of that id, not in use yet. At most one waits; an older waiting one is dropped."""
    def use_key(self, tree_id: int, key_id: int) -> None:
        """Seal with the waiting key from now on."""
    def offer_key(self, tree_id: int, key_id: int, peer: int, context: bytes) -> bool:
        """Send the key to a peer (section 6)."""
    def set_route(self, vlan: int, group: bytes, source: bytes | None, tree_id: int) -> None:
        """Frames to group (from source; None: from any source without a route of its own) take this tree.

        A route to a tree with no members drops as ``no_subscriber``, which is how a source is excluded.
        """
    def remove_route(self, vlan: int, group: bytes, source: bytes | None) -> None: ...
    def set_prefix_route(self, vlan: int, prefix: bytes, length: int, tree_id: int) -> None:
        """Frames to groups of the prefix that have no route at all take this tree; of several, that of the longest."""
    def remove_prefix_route(self, vlan: int, prefix: bytes, length: int) -> None: ...
    def routes(self) -> list[RouteStats]: ...
    def sent_flows(self) -> list[FlowStats]:
        """What hosts send to groups, wanted or not: at most 8192 flows of each port."""
    def delivered_flows(self) -> list[FlowStats]:
        """What hosts here were given of groups, from other nodes and other ports of this one: at most 8192 flows."""

    # multicast: this node is on another root's tree
    def accept_key(
        self, root: int, tree_id: int, epoch: int, key_id: int, *, deliver: bool, next_hops: Sequence[int]
    ) -> bool:
        """Take the parked key: the tree exists here from now on. Keeps its previous key too, and drops older ones.

        A new epoch stands beside the one before it until remove_member_tree. False when nothing is parked.
        """
    def refuse_key(self, root: int, tree_id: int, epoch: int, key_id: int) -> None: ...
    def remove_member_tree(self, root: int, tree_id: int, epoch: int) -> None: ...
    def trees(self) -> list[TreeStats]: ...

    # numbers
    def counters(self) -> dict[str, int]:
        """Frames, datagrams and bytes in and out, all by name."""
    def drops(self) -> dict[str, int]:
        """Dropped frames, datagrams and events by reason, all reasons, zeros included."""
