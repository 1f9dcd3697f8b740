//! Counters: totals by name, and the pairs of packets and bytes that sessions, peers, routes and trees keep.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($variant:ident = $name:literal : $meaning:literal),+ $(,)?) => {
        /// A total over the life of the forwarder.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $(#[doc = $meaning] $variant),+ }

        impl Counter {
            /// All, in the order of their declaration.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant),+];

            /// The name that `treecast status` shows.
            pub const fn name(self) -> &'static str {
                match self { $(Counter::$variant => $name),+ }
            }

            /// The thing that it counts.
            pub const fn meaning(self) -> &'static str {
                match self { $(Counter::$variant => $meaning),+ }
            }
        }
    };
}

counters! {
    TapReads = "tap_reads": "reads from the TAP; a super-frame is one",
    TapRxFrames = "tap_rx_frames": "Ethernet frames from hosts; each segment of a super-frame is one",
    TapRxBytes = "tap_rx_bytes": "their bytes",
    TapWrites = "tap_writes": "writes to the TAP; a super-frame is one",
    TapTxFrames = "tap_tx_frames": "Ethernet frames to hosts; each segment of a super-frame is one",
    TapTxBytes = "tap_tx_bytes": "their bytes",
    PacketRxFrames = "packet_rx_frames": "multicast frames from hosts behind packet ports",
    PacketRxBytes = "packet_rx_bytes": "their bytes",
    PacketTxFrames = "packet_tx_frames": "frames to hosts behind packet ports; each segment of a super-frame is one",
    PacketTxBytes = "packet_tx_bytes": "their bytes",
    UdpReceives = "udp_receives": "UDP messages received; the kernel joins datagrams of a flow",
    UdpRxDatagrams = "udp_rx_datagrams": "datagrams received",
    UdpRxBytes = "udp_rx_bytes": "their UDP payload bytes",
    UdpSends = "udp_sends": "UDP messages sent; one carries up to 64 datagrams to one peer",
    UdpTxDatagrams = "udp_tx_datagrams": "datagrams sent",
    UdpTxBytes = "udp_tx_bytes": "their UDP payload bytes",
    FramesUnicast = "frames_unicast": "frames of hosts sealed for one node",
    FramesMulticast = "frames_multicast": "frames of hosts taken by a group's tree",
    FramesBroadcast = "frames_broadcast": "frames of hosts taken by the broadcast tree",
    FramesPunted = "frames_punted": "frames of hosts given to Python",
    FlowsReplaced = "flows_replaced": "senders whose counts were given up for another's in a full table",
    FramesRelayed = "frames_relayed": "tree datagrams sent on to next hops, once each",
    Grafts = "grafts": "times that the parent on a tree failed and its backup was to send instead",
    GraftsTaken = "grafts_taken": "nodes whose parent has failed that this one, their backup, has begun to send to",
    Retransmissions = "retransmissions": "tree datagrams of the last second that were sent once more to such a node",
    AnchorRequests = "anchor_requests": "times that the root of a tree was asked how far it is: much has come since it said so, or what came is doubted",
    DatagramsForwarded = "datagrams_forwarded": "datagrams between other nodes sent on to the next hop",
    ProbesSent = "probes_sent": "probes sent",
    ProbeReplies = "probe_replies": "probe replies received and believed",
    GsoOff = "gso_off": "times that a socket lost UDP_SEGMENT because the system refused it",
}

/// One number per counter.
#[derive(Debug)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }
}

impl Counters {
    /// Adds to a counter.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(number) = self.0.get(counter as usize) {
            number.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// A counter's value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).map_or(0, |number| number.load(Ordering::Relaxed))
    }
}

/// Packets and their bytes.
#[derive(Debug, Default)]
pub struct Volume {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Volume {
    /// Adds packets and their bytes.
    pub fn add(&self, packets: u64, bytes: u64) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// `(packets, bytes)` so far.
    pub fn get(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Both directions.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Sent.
    pub tx: Volume,
    /// Received.
    pub rx: Volume,
}
