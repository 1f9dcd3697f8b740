"""The data plane. Sealed keys live here and never come out: Python names them by index and id.

All calls return at once; none blocks on the network. Wire formats: ``docs/protocol.md``.
"""

from collections.abc import Sequence
from typing import final

AEAD_AES_256_GCM: int  # 1
AEAD_CHACHA20_POLY1305: int  # 2
COMMANDS: dict[str, list[str]]
"""The names of the commands that ``Forwarder.apply`` reads, with those of their fields in order."""

def preferred_aead() -> int: ...
def drop_capabilities() -> None:
    """Give up all of the calling thread's capabilities (call before Forwarder.start)."""

def keep_secrets() -> None:
    """No core file, memory and descriptors closed to other processes of the account, no new privileges: call before
    keys are read and threads are started.
    """

def refuse_system_calls() -> bool:
    """The kernel refuses this thread and those that it starts the system calls that no node makes; False: it cannot."""

def take_account(uid: int, gid: int) -> None:
    """Make the calling thread the account's, and the threads and processes that it starts."""

def open_packet_socket(interface: str) -> int:
    """A packet socket for ``Forwarder.open_packet_port``: a descriptor, the caller's to close or to hand over.

    Needs CAP_NET_RAW. OSError: EPERM; ENODEV; EINVAL for an interface that is no Ethernet.
    """

def open_unbound_packet_socket() -> int:
    """A packet socket that ``bind_packet_socket`` puts on an interface: a descriptor, the caller's to close.

    Needs CAP_NET_RAW. OSError: EPERM.
    """

def bind_packet_socket(descriptor: int, interface: str, index: int) -> None:
    """Put a packet socket on an interface, by its number, for the first time or after another was taken away.

    Needs no rights. ``interface``: for the error's words. OSError: ENODEV.
    """

class HandshakeError(Exception):
    """The datagram does not continue this handshake; ``args[0]`` is the drop reason, a code constant."""

@final
class StaticKey:
    """A node's X25519 private key."""

    def __new__(cls, private: bytes) -> StaticKey: ...
    @property
    def public(self) -> bytes: ...

@final
class Network:
    """A network, as its handshakes are known by: its id (16 bytes) and its key (32 secret bytes, which stay inside)."""

    def __new__(cls, id: bytes, key: bytes) -> Network: ...

@final
class SigningKey:
    """A node's Ed25519 private key, from its seed: its broadcast is signed with it."""

    def __new__(cls, seed: bytes) -> SigningKey: ...
    @property
    def public(self) -> bytes: ...

@final
class Handshake:
    """One Noise handshake of either side (docs/protocol.md section 3)."""

    @staticmethod
    def initiate(key: StaticKey, network: Network, index: int) -> Handshake: ...
    @staticmethod
    def respond(key: StaticKey, network: Network, index: int, init: bytes) -> Handshake:
        """Reads an INIT datagram. HandshakeError when it is not one."""
    def init_datagram(self) -> bytes:
        """Initiator: the INIT datagram (the same bytes each time)."""
    def with_cookie(self, datagram: bytes) -> bytes:
        """Initiator: the INIT datagram with the cookie that a COOKIE datagram brought; it can come again."""
    def write_response(self, payload: bytes) -> bytes:
        """Responder: the RESPONSE datagram; ValueError when the payload does not fit."""
    def read_response(self, datagram: bytes) -> bytes:
        """Initiator: the responder's payload. On HandshakeError the handshake is as before and can go on."""
    def write_final(self, payload: bytes) -> bytes: ...
    def read_final(self, datagram: bytes) -> bytes: ...
    def mix(self, secret: LinkSecret) -> None:
        """Both sides named this secret: the session's keys are made of it, too. RuntimeError once they are taken."""
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

@final
class LinkSecret:
    """What an exchange has made; its bytes stay inside (docs/protocol.md section 3, Hybrid sessions)."""

    @property
    def id(self) -> bytes: ...

@final
class KeyPair:
    """An ML-KEM-768 key pair of the side that begins an exchange."""

    @staticmethod
    def generate() -> KeyPair: ...
    @property
    def encapsulation_key(self) -> bytes:
        """1,184 bytes."""
    def decapsulate(self, ciphertext: bytes) -> LinkSecret:
        """ValueError unless it is 1,088 bytes; one for another key gives another secret."""

def encapsulate(encapsulation_key: bytes) -> tuple[bytes, LinkSecret]:
    """A ciphertext for this key, and the secret. ValueError when it is no key of ML-KEM-768."""

Address = tuple[bytes, int]
"""An IP address as commands and events have it (``adapters/native_records.py``), and a UDP port."""

@final
class SessionStats:
    session: int
    peer: int
    endpoint: Address
    age_s: float
    silent_s: float  # since the last authentic datagram, or since installation
    rtt_ms: float | None  # smoothed (RFC 6298 SRTT) round-trip time of probes
    sealed: int  # datagrams sealed so far, for rekeying by count
    path_silent_s: float  # since something came from where the peer's path leads
    path_unanswered: int  # turns of probes since one on the peer's path was answered
    node_route_unanswered: int  # the same of its route
    least_rtt_ms: float | None  # of the last five probes that were answered
    route_silent_s: float  # since something came by its route's next hop, or a probe by it was answered
    routed: int  # datagrams that went by the peer's route, but for probes and their replies
    receipt: tuple[int, int, int] | None  # NodeRouteReceipt of the last one of its route that was answered
    carried_bytes: int  # UDP payload bytes to and from the peer, as PeerStats has them
    refused_bytes: int  # of frames for the peer that the budget of its route had no room for
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
class StreamStats:
    """What came of a stream of another root, by whichever tree: frames and their bytes.

    A frame that came in parts counts as so many, with 8 bytes more each.
    """

    root: int
    stream: int
    rx_packets: int
    rx_bytes: int

@final
class PlaceStats:
    """This node's place on another root's tree, as it is installed."""

    epoch: int
    key_id: int
    parent: int  # 0: none
    backup: int  # 0: none
    next_hops: list[int]  # those that have grafted here among them
    graft: int  # 0: none; 1: the backup sends, and nothing has come from the parent since; 2: both send
    since_s: float  # that it has had a place on it

@final
class RootTreeStats:
    """A tree that begins here, as it is installed."""

    epoch: int
    key_id: int
    next_hops: list[int]
    copied: list[int]  # they get session-sealed copies
    beyond: list[int]  # they get it from other nodes

@final
class ForwardCut:
    """A node that a budget of Forward was refused to in the last seconds (docs/protocol.md section 4)."""

    neighbour: int  # whose budget
    budget: str  # "own", "brought" or "onward"
    node: int | None  # to which it was refused; None: those for which there was no place
    refused: int  # since it began

@final
class Forwarder:
    def __new__(
        cls,
        *,
        node_index: int,
        network: Network,
        signing_key: SigningKey,
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
    def signal_workers(self) -> None:
        """Signal each: one that still turns answers. It wakes them."""
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
    def drain(self, limit: int) -> bytes:
        """The records of up to ``limit`` events (``base/events.py``); clears the eventfd when none is left.

        Sessions' events (control, keys, moves) come in their order, as do those of each other kind. The kinds take
        turns, so that a flood of one holds up no other; beyond its bound or its rate a kind is dropped by name.
        """

    # commands
    def apply(self, commands: bytes, handshakes: Sequence[Handshake]) -> list[tuple[int, str, str]]:
        """Carries out the commands (``base/commands.py``) of these records, in order.

        Those refused: position, CommandRefusalReason, text. InstallSession names a handshake by its place in the
        list; each of them is spent. ValueError when the records are no array: then none was carried out.
        """

    # ports; ValueError for one that is not there
    def open_packet_port(self, descriptor: int) -> int:
        """Open a port with a packet socket on an interface: its number, from 1. The descriptor is duplicated.

        The port is blocked at first. It takes untagged multicast only (else ``packet_not_group``), never the machine's
        own frames, and gives, with the interface's MAC as source, link-local groups and those of SetPortGroup.
        Frames of groups cross between the ports of this node too. OSError: EINVAL for others, ENOSPC above 3.
        """
    def close_port(self, port: int) -> None:
        """Close a packet port; what was set for it is forgotten."""
    def storm_refused(self, port: int) -> list[int]:
        """Frames above each limit since it was set: broadcast, multicast, unknown unicast."""
    def set_group_super_packets(self, port: int, on: bool) -> None:
        """Off: frames to group MACs are written to the TAP (port 0) one by one, never joined.

        On, as at first: joined where they may be.
        """

    # numbers
    def sessions(self) -> list[SessionStats]: ...
    def peers(self) -> list[PeerStats]: ...
    def routes(self) -> list[RouteStats]: ...
    def sent_flows(self) -> list[FlowStats]:
        """What hosts send to groups, wanted or not: at most 8192 flows of each port."""
    def delivered_flows(self) -> list[FlowStats]:
        """What hosts here were given of groups, from other nodes and other ports of this one: at most 8192 flows."""
    def streams(self) -> list[StreamStats]: ...
    def places(self, root: int, stream: int) -> tuple[StreamStats, list[PlaceStats]] | None:
        """What came of a stream of another root, and this node's places on its trees, the lower epoch first."""
    def sent_by_streams(self, streams: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
        """Frames and bytes that took the routes of these streams of this node."""
    def root_tree(self, stream: int) -> RootTreeStats | None: ...
    def forward_cuts(self) -> list[ForwardCut]:
        """Nodes that a budget of Forward was refused to in the last three seconds."""
    def counters(self) -> dict[str, int]:
        """Frames, datagrams and bytes in and out, all by name."""
    def drops(self) -> dict[str, int]:
        """Dropped frames, datagrams and events by reason, all reasons, zeros included."""
    def take_refusals(self) -> list[tuple[int, str, int]]:
        """Take the refusals since the last call: the node, a reason, how many. At most 1,024; this node's own broadcast
        above its rate, too.
        """
    def dropped(self, reason: str) -> int:
        """The count of one reason; what the kernel counts (``*_overrun``) as the last ``drops`` has found it."""

@final
class LinkGraph:
    """Links as nodes advertise them, over which trees are planned."""

    def __init__(self, delays_us: list[list[int]]) -> None:
        """``delays_us``: of each class of round trip, of each class of loss."""
    def __len__(self) -> int: ...
    def set_links(self, node: int, chunk: int, links: list[tuple[int, int, int]]) -> None:
        """``links``: node, class of the round trip, class of the loss."""
    def plan(
        self, root: int, places: Sequence[tuple[int, int, int, bool]], kept: list[tuple[int, int]] | None
    ) -> tuple[list[tuple[int, int]], int, int, list[tuple[int, int]]]:
        """``places``: node, most children, microseconds of a copy, whether it wants the datagrams. Returns nodes with
        their parents, the members' mean delay in microseconds, how many members are missed, and nodes with
        their backups.
        """
    def plan_pair(
        self,
        root: int,
        places: Sequence[tuple[int, int, int, bool]],
        kept: tuple[list[tuple[int, int]], list[tuple[int, int]]] | None,
    ) -> tuple[
        tuple[list[tuple[int, int]], int, int, list[tuple[int, int]]],
        tuple[list[tuple[int, int]], int, int, list[tuple[int, int]]],
    ]:
        """Two trees with disjoint interiors, without backups."""
