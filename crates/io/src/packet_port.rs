//! Packet ports: interfaces that cannot be bridged (a Wi-Fi station), of which the node takes and gives multicast only.
//!
//! Each has a thread of its own ([`crate::packet_reader`]). What leaves by one has the interface's
//! own MAC as source, for a station may send no other; so whatever comes back with that MAC is its own, and is not taken.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use treecast_core::counters::Counter;
use treecast_core::egress::Leaving;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::{Frame, Mac};
use treecast_core::offload::vnet::VNET_LEN;
use treecast_core::offload::MAX_COALESCED;
use treecast_core::port::TAP_PORT;
use treecast_core::reason::Reason;

use crate::sys::packet::PacketSocket;
use crate::sys::poll::EventFd;

/// Parts of a write: the virtio-net header, the headers in three, and the payloads of one super-frame.
const MAX_PARTS: usize = 4 + MAX_COALESCED;
/// The origin of a frame that is delivered: no port's.
pub const OVERLAY: u32 = u32::MAX;

/// One packet port.
#[derive(Debug)]
pub struct PacketPort {
    /// The port's number among the ports of the node.
    pub(crate) number: u32,
    pub(crate) socket: PacketSocket,
    pub(crate) stop: EventFd,
    mac: AtomicU64,
}

/// The open packet ports, and their threads.
#[derive(Debug, Default)]
pub struct PacketPorts {
    any: AtomicBool,
    open: ArcSwap<Vec<Arc<PacketPort>>>,
    pub(crate) threads: Mutex<Vec<(Arc<PacketPort>, JoinHandle<()>)>>,
}

/// The outcome of a frame among the ports of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalDelivery {
    /// The TAP is to have it too.
    pub to_tap: bool,
    /// A packet port has it.
    pub taken: bool,
}

impl PacketPorts {
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Is this the number of an open one?
    pub fn has(&self, number: u32) -> bool {
        self.open.load().iter().any(|port| port.number == number)
    }

    /// The ports of these threads are the open ones from now on.
    pub(crate) fn publish(&self, threads: &[(Arc<PacketPort>, JoinHandle<()>)]) {
        self.open.store(Arc::new(threads.iter().map(|(port, _)| port.clone()).collect()));
        self.any.store(!threads.is_empty(), Ordering::Relaxed);
    }

    /// Sends one complete frame by a port, whether that forwards or not; false when it cannot be sent.
    pub fn inject(&self, tables: &ForwardingTables, number: u32, frame: &[u8]) -> bool {
        let open = self.open.load();
        let Some(port) = open.iter().find(|port| port.number == number) else { return false };
        port.follow_mac();
        port.send(tables, &TapWrite { vnet: &[0; VNET_LEN], head: frame, payloads: &[] }, 1)
    }

    /// Gives a frame, or a super-frame of `frames`, to the packet ports that want it, but not to the one it came from.
    /// `parts` are as for the TAP; `frame` is read from them.
    pub fn deliver_locally(
        &self,
        tables: &ForwardingTables,
        from: u32,
        frame: &Frame<'_>,
        parts: &[IoSlice<'_>],
        frames: usize,
    ) -> LocalDelivery {
        let Some(write) = TapWrite::of(parts) else { return LocalDelivery { to_tap: true, taken: false } };
        let leaving = Leaving::of(frame);
        let mut taken = false;
        for port in self.open.load().iter().filter(|port| port.number != from) {
            if !tables.goes_out(port.number, &leaving) {
                continue;
            }
            let Some(there) = tables.port(port.number).filter(|there| there.forwards()) else { continue };
            match there.passes(frame) {
                Ok(()) => {
                    port.send(tables, &write, frames);
                    taken = true;
                }
                Err(reason) => tables.drops.add(reason, frames as u64),
            }
        }
        LocalDelivery { to_tap: from != TAP_PORT && tables.goes_out(TAP_PORT, &leaving), taken }
    }
}

impl PacketPort {
    /// A port of this number.
    pub(crate) fn new(number: u32, socket: PacketSocket) -> io::Result<Self> {
        let port = Self { number, socket, stop: EventFd::new()?, mac: AtomicU64::new(0) };
        port.follow_mac();
        Ok(port)
    }

    /// The interface's MAC may change while it is down.
    fn follow_mac(&self) {
        if let Some([a, b, c, d, e, f]) = self.socket.mac() {
            self.mac.store(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), Ordering::Relaxed);
        }
    }

    /// The interface's MAC.
    pub(crate) fn mac(&self) -> Mac {
        let [_, _, mac @ ..] = self.mac.load(Ordering::Relaxed).to_be_bytes();
        mac
    }

    fn send(&self, tables: &ForwardingTables, write: &TapWrite<'_>, frames: usize) -> bool {
        let TapWrite { vnet, head, payloads } = write;
        let (Some(destination), Some(rest)) = (head.get(..6), head.get(12..)) else { return false };
        let own = self.mac();
        let mut all = [IoSlice::new(&[]); MAX_PARTS];
        let front = [IoSlice::new(vnet), IoSlice::new(destination), IoSlice::new(&own), IoSlice::new(rest)];
        let count = front.len() + payloads.len();
        for (to, from) in all.iter_mut().zip(front.iter().chain(*payloads)) {
            *to = *from;
        }
        let sent = match all.get(..count) {
            Some(all) => self.socket.write(all),
            None => Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
        };
        match sent {
            Ok(length) => {
                tables.counters.add(Counter::PacketTxFrames, frames as u64);
                tables.counters.add(Counter::PacketTxBytes, length.saturating_sub(VNET_LEN) as u64);
                true
            }
            Err(error) => {
                tables.drops.add(send_reason(&error), frames as u64);
                false
            }
        }
    }
}

/// A write to the TAP, taken apart: `head` holds all headers, if not the whole frame.
pub struct TapWrite<'a> {
    vnet: &'a [u8],
    /// The frame from the destination MAC on.
    pub head: &'a [u8],
    payloads: &'a [IoSlice<'a>],
}

impl<'a> TapWrite<'a> {
    /// None when there is no frame behind the virtio-net header.
    pub fn of(parts: &'a [IoSlice<'a>]) -> Option<Self> {
        let (vnet, head) = parts.first()?.split_at_checked(VNET_LEN)?;
        if head.is_empty() {
            return Some(Self { vnet, head: parts.get(1)?, payloads: parts.get(2..)? });
        }
        Some(Self { vnet, head, payloads: parts.get(1..)? })
    }
}

fn send_reason(error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::PacketFull,
        Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => Reason::PacketDown,
        Some(libc::EMSGSIZE) => Reason::PacketTooBig,
        _ => Reason::PacketOther,
    }
}
