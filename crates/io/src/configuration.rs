//! Parameters that a forwarder is opened with, and why it cannot be.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;

use treecast_core::broadcast_signature::SigningKey;
use treecast_core::network::Network;

/// More gain nothing, and each has buffers of its own.
const MAX_WORKERS: usize = 64;

/// Parameters of a forwarder.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// This node's index.
    pub node_index: u32,
    /// Its network.
    pub network: Network,
    /// Signs its broadcast.
    pub signing_key: SigningKey,
    /// Name of the TAP.
    pub interface: String,
    /// MAC of the TAP.
    pub mac: [u8; 6],
    /// MTU of the TAP.
    pub mtu: u32,
    /// Takes one that is there already, and that nobody uses.
    pub take: bool,
    /// MTU of this node's underlay, 1280 to 9000.
    pub underlay_mtu: usize,
    /// The addresses to bind.
    pub listen: Vec<SocketAddr>,
    /// Worker threads; 0: as many as there are cores for this process.
    pub workers: usize,
    /// Time between two probes of a peer.
    pub probe_interval_ns: u64,
}

/// The thing that could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// The interface's name or the address.
    pub what: String,
    /// Why.
    pub error: io::Error,
}

impl OpenError {
    /// The error of a system call, as one of this thing.
    pub(crate) fn at(what: &str) -> impl FnOnce(io::Error) -> Self {
        let what = what.to_owned();
        move |error| Self { what, error }
    }
}

impl Configuration {
    /// The number of workers as configured, or one per core that this process may use.
    pub fn worker_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        if self.workers == 0 { cores() } else { self.workers }.min(MAX_WORKERS)
    }
}
