//! Why a frame, a datagram or an event was dropped: one name each, one counter each.
//!
//! Every drop in the data plane ends in [`Drops::count`]. The list is the single source of `Forwarder.drops()` and of
//! the table in `docs/drops.md` (a test compares them).

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($variant:ident = $name:literal : $meaning:literal),+ $(,)?) => {
        /// A drop reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $meaning] $variant),+ }

        impl Reason {
            /// All reasons, in the order of their declaration.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),+];

            /// The name that `treecast status` shows.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name),+ }
            }

            /// Its meaning, in one line.
            pub const fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning),+ }
            }
        }
    };
}

reasons! {
    // Frames from the TAP.
    FrameShort = "frame_short": "an Ethernet frame that ends inside its header",
    FrameMalformed = "frame_malformed": "to a group, an IPv4 or IPv6 header that contradicts itself or its length",
    MacReserved = "mac_reserved": "an IEEE 802.1D link-local address (STP, LLDP), never forwarded",
    GroupScope = "group_scope": "an IPv6 group of reserved or interface-local scope",
    NoSubscriber = "no_subscriber": "no route for the group, or nobody on its tree",
    SendNotPermitted = "send_not_permitted": "a host's frame to a group that this node's certificate does not let it send to",
    NoBroadcastTree = "no_broadcast_tree": "a broadcast frame while tree 0 does not exist or is empty",
    RecursiveEncapsulation = "recursive_encapsulation": "a datagram of this network in a host's frame: a link would run over the LAN that it carries",
    UnknownUnicast = "unknown_unicast": "no host with this MAC is known",
    PortClosed = "port_closed": "an event of a packet port that was closed before Python read it",
    PortBlocked = "port_blocked": "a data frame from or to a port that does not forward",
    KeptLocalRa = "kept_local_ra": "IPv6 router advertisements, solicitations and redirects, which stay on their LAN (`bridge add --keep-local`)",
    KeptLocalDhcp = "kept_local_dhcp": "DHCP and DHCPv6 between clients and servers, which stay on their LAN (`bridge add --keep-local`)",
    StormBroadcast = "storm_broadcast": "broadcast frames above the port's limit",
    StormMulticast = "storm_multicast": "multicast frames above the port's limit",
    StormUnknownUnicast = "storm_unknown_unicast": "frames to unknown MACs above the port's limit",
    NoSession = "no_session": "the peer has no confirmed session",
    SessionExhausted = "session_exhausted": "the session has sealed 2^30 datagrams",
    TooBig = "too_big": "a frame above 9018 bytes; what is no frame and does not fit one datagram",
    TapOverrun = "tap_overrun": "frames and super-frames that the TAP's queue had no room for (counted by the kernel)",
    // Super-frames between TAP and offload.
    VnetMalformed = "vnet_malformed": "a virtio-net header that contradicts the frame",
    GsoUnsupported = "gso_unsupported": "a GSO type that cannot be segmented",
    GsoMalformed = "gso_malformed": "a super-frame whose headers cannot be segmented",
    // Datagrams from the network, in the order of the checks.
    SocketOverrun = "socket_overrun": "datagrams, or runs of them, that a full receive buffer refused (counted by the kernel)",
    Truncated = "truncated": "the kernel cut the datagram off",
    UnknownType = "unknown_type": "a first byte that no protocol on this port uses",
    DatagramShort = "datagram_short": "shorter than its fixed part",
    DatagramLong = "datagram_long": "longer than its kind may be",
    FlagsUnknown = "flags_unknown": "flags or reserved bytes that the protocol does not use",
    HandshakeVersion = "handshake_version": "a handshake version other than 2",
    HandshakeMac = "handshake_mac": "the handshake MAC is wrong: another network, or noise",
    HandshakeUnderLoad = "handshake_under_load": "an INIT without a good cookie while more than 100 a second come, or 50 from its address prefix; answered by a cookie",
    HandshakeRateSource = "handshake_rate_source": "too many INITs with a good cookie from one address prefix",
    HandshakeRateGlobal = "handshake_rate_global": "too many INITs in all",
    HandshakeUnknown = "handshake_unknown": "an answer to no handshake of this node",
    HandshakeRateAnswers = "handshake_rate_answers": "too many answers to one handshake, or in all",
    HandshakeRateSession = "handshake_rate_session": "too many handshake datagrams in one session",
    HandshakeMalformed = "handshake_malformed": "a handshake datagram that is not the one expected, or does not parse",
    HandshakeIndex = "handshake_index": "a handshake datagram for another handshake",
    HandshakeCrypto = "handshake_crypto": "a Noise message that does not decrypt",
    SessionUnknown = "session_unknown": "no session has this index",
    SessionAuth = "session_auth": "the AEAD tag of a session datagram is wrong",
    SessionReplay = "session_replay": "a session counter that was seen, or lies below the window",
    InnerMalformed = "inner_malformed": "an authentic datagram whose plaintext does not parse",
    KindUnknown = "kind_unknown": "an authentic session datagram of an unknown kind",
    ForwardMalformed = "forward_malformed": "a Forward whose header or inner datagram cannot be, or that came in another one",
    ForwardSource = "forward_source": "a Forward that names another source than the neighbour, as if it began its way here",
    ForwardOwn = "forward_own": "a datagram of this node's own that came back in a Forward",
    ForwardHopLimit = "forward_hop_limit": "a Forward that has taken as many links as it may",
    ForwardNoRoute = "forward_no_route": "a datagram for a node to which there is no other neighbour, or whose next hop has no path",
    ForwardBudget = "forward_budget": "datagrams of a neighbour for other nodes above 64 kB/s, or this node's own by it above 48 kB/s, or all that goes on by it above 56 kB/s: of those that have more than a fair share",
    FragmentMalformed = "fragment_malformed": "a part of a frame that contradicts itself or the other parts",
    FragmentDuplicate = "fragment_duplicate": "a part of a frame that is there already",
    FragmentTableFull = "fragment_table_full": "a frame of which parts are missing, given up for a newer one",
    FragmentTimeout = "fragment_timeout": "a frame of which not all parts came within a second",
    SourceOfAnotherNode = "source_of_another_node": "a frame whose source MAC, or sender address, is not of the node that sent it",
    FrameNotPermitted = "frame_not_permitted": "a frame to a group that the certificate of the node that sent it does not let it send to",
    FrameNotAuthenticated = "frame_not_authenticated": "a frame to an authenticated group that came on a tree, under a key that all its members hold",
    EcnNotCapable = "ecn_not_capable": "congestion marked on the datagram of a frame that is not ECN-capable (RFC 6040)",
    ControlTooBig = "control_too_big": "a control message above 1196 bytes",
    PathResponseUnexpected = "path_response_unexpected": "an answer to no challenge of this node",
    ProbeUnexpected = "probe_unexpected": "a probe reply that answers no outstanding probe",
    TreeReflected = "tree_reflected": "a tree datagram of this node's own came back",
    TreeUnknown = "tree_unknown": "no accepted downstream tree with this root, stream and epoch",
    TreeRpf = "tree_rpf": "a tree datagram that did not come from an address that a parent on its tree has proved, or came from that while this node reaches it by another one, or of broadcast not in a session with one",
    TreeUnwrapped = "tree_unwrapped": "a tree datagram of broadcast by itself, not in a session of who sends it on",
    TreeWrapped = "tree_wrapped": "a tree datagram of another stream than broadcast in a session datagram",
    TreeTag = "tree_tag": "the tree tag is wrong",
    TreeKeyUnknown = "tree_key_unknown": "the key id is not that of the tree's epoch, or its key is over",
    TreeStep = "tree_step": "a tree datagram of a step of its sender key that is over, or cannot have begun",
    TreeAhead = "tree_ahead": "a tree counter far beyond what the root is known to have used",
    TreeAuth = "tree_auth": "the AEAD tag of a tree datagram is wrong",
    BroadcastSignature = "broadcast_signature": "a broadcast frame, or a datagram of the broadcast stream, without its root's signature or with one that is not the root's",
    FrameNeverCrosses = "frame_never_crosses": "IGMP, MLD, Multicast Router Discovery or a beacon that another node has sent: these stay on their LAN",
    FrameOfAnotherFlow = "frame_of_another_flow": "a frame under a group's key, to another group or in another VLAN than the key's, or of another source than the one that it is for",
    BroadcastSignatureRate = "broadcast_signature_rate": "broadcast datagrams of one root above 1,000 a second, or as many of all those as which others forge",
    TreeExhausted = "tree_exhausted": "a sender key has sealed 2^30 datagrams and the next one is not in use yet",
    SecondCopy = "second_copy": "a datagram of a protected stream that has come by the other parent",
    TreeReplay = "tree_replay": "a tree counter that was seen, lies below the window or below the first that the tree brings here",
    TreeNotDelivered = "tree_not_delivered": "a tree datagram of a stream of which no key is held here, on a tree without next hops here",
    KeyMalformed = "key_malformed": "a sender key record that does not parse",
    KeyOffersFull = "key_offers_full": "too many sender keys of one root wait for accept_key",
    TreeStateMalformed = "tree_state_malformed": "a state of a tree that does not parse, or names this node or a node twice",
    TreeStatesFull = "tree_states_full": "too many states of trees of one root wait for accept_tree",
    AnchorRequestUnexpected = "anchor_request_unexpected": "an anchor request of a node that is not on that tree, or of a tree of another root",
    GraftUnexpected = "graft_unexpected": "a graft of a node to which this one is no backup on that tree, by the tree's root",
    GraftRepeated = "graft_repeated": "a graft of a node that gets the tree's datagrams from here already",
    TickUnexpected = "tick_unexpected": "a node that is not this one's backup on a tree says how far it is in it",
    // On the way out.
    PathUnvalidated = "path_unvalidated": "an answer to an address that has answered no challenge, and from which too little came",
    SocketFull = "socket_full": "the UDP socket's send buffer was full",
    CookieUnsent = "cookie_unsent": "a cookie for an address to which cookies wait already, or that cannot be reached",
    SocketUnreachable = "socket_unreachable": "the system has no way to the address, or forbids it",
    SocketTooBig = "socket_too_big": "the underlay's MTU is smaller than the datagram",
    SocketOther = "socket_other": "any other error of a send",
    TapFull = "tap_full": "the TAP's queue did not take the frame",
    TapDown = "tap_down": "the TAP is down",
    PacketNotGroup = "packet_not_group": "a frame to one machine, to all, or to no IP group, from a packet port: it takes IP multicast only",
    PacketOwn = "packet_own": "a frame of this machine's own MAC that came back to a packet port",
    PacketOverrun = "packet_overrun": "frames that the packet socket had no room for",
    PacketFull = "packet_full": "the interface's queue did not take the frame",
    PacketDown = "packet_down": "the interface of a packet port is down or gone",
    PacketTooBig = "packet_too_big": "a frame above the MTU of a packet port's interface",
    PacketOther = "packet_other": "a packet port's interface refused the frame, or gave one that cannot be described",
    TapOther = "tap_other": "the TAP refused the frame",
    // Events for Python.
    PuntNeighboursFull = "punt_neighbours_full": "too many ARP and ND frames wait for Python",
    PuntNeighboursRate = "punt_neighbours_rate": "ARP and ND frames above their rate",
    PuntIgmpFull = "punt_igmp_full": "too many IGMP frames wait for Python",
    PuntIgmpRate = "punt_igmp_rate": "IGMP frames above their rate",
    PuntMldFull = "punt_mld_full": "too many MLD frames wait for Python",
    PuntMldRate = "punt_mld_rate": "MLD frames above their rate",
    PuntDhcpFull = "punt_dhcp_full": "too many DHCP and DHCPv6 frames of servers wait for Python",
    PuntDhcpRate = "punt_dhcp_rate": "DHCP and DHCPv6 frames of servers above their rate",
    PuntRoutersFull = "punt_routers_full": "too many PIM Hellos, Joins, Prunes and frames of Multicast Router Discovery wait for Python",
    PuntRoutersRate = "punt_routers_rate": "PIM Hellos, Joins, Prunes and frames of Multicast Router Discovery above their rate",
    PuntDhcpClientsFull = "punt_dhcp_clients_full": "too many DHCP frames of clients wait for Python",
    PuntDhcpClientsRate = "punt_dhcp_clients_rate": "DHCP frames of clients above their rate",
    PuntMdnsFull = "punt_mdns_full": "too many mDNS responses wait for Python",
    PuntMdnsRate = "punt_mdns_rate": "mDNS responses above their rate",
    PuntHandshakesFull = "punt_handshakes_full": "too many INITs wait for Python",
    PuntAnswersFull = "punt_answers_full": "too many answers to handshakes wait for Python",
    PuntControlFull = "punt_control_full": "too many control messages wait for Python",
    PuntControlRate = "punt_control_rate": "control messages of one peer above their rate",
    PuntRekeysFull = "punt_rekeys_full": "too many handshake datagrams of sessions wait for Python",
    PuntRekeysRate = "punt_rekeys_rate": "handshake datagrams of one peer's sessions above their rate",
    PuntFingerprintsFull = "punt_fingerprints_full": "too many reports of fingerprints that differ wait for Python",
    PuntFingerprintsRate = "punt_fingerprints_rate": "reports of fingerprints that differ above their rate",
    PuntKeysFull = "punt_keys_full": "too many sender key offers wait for Python",
    PuntKeysRate = "punt_keys_rate": "sender key offers of one peer above their rate",
    PuntTreesFull = "punt_trees_full": "too many states of trees wait for Python",
    PuntTreesRate = "punt_trees_rate": "states of trees of one peer above their rate",
    PuntSilentFull = "punt_silent_full": "too many reports of silent parents on trees wait for Python",
    PuntPeerFull = "punt_peer_full": "as many events of one kind of one peer's sessions wait for Python as one peer may have",
    PuntSessionsFull = "punt_sessions_full": "too many session events wait for Python",
    PuntHostsFull = "punt_hosts_full": "too many reports of seen hosts wait for Python",
    PuntHostsRate = "punt_hosts_rate": "reports of seen hosts above their rate",
    HostsSeenFull = "hosts_seen_full": "a frame from one host more than a port remembers: not reported",
    PuntBeaconsFull = "punt_beacons_full": "too many beacons wait for Python",
    PuntBeaconsRate = "punt_beacons_rate": "beacons above their rate",
}

/// One counter per reason.
#[derive(Debug)]
pub struct Drops([AtomicU64; Reason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Reason::ALL.len()])
    }
}

impl Drops {
    /// Count `amount` drops for `reason`.
    pub fn add(&self, reason: Reason, amount: u64) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Count one drop for `reason`.
    pub fn count(&self, reason: Reason) {
        self.add(reason, 1);
    }

    /// Drops that somebody else counts: so many for `reason` up to now.
    pub fn set(&self, reason: Reason, amount: u64) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.store(amount, Ordering::Relaxed);
        }
    }

    /// The number of drops for `reason` so far.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
