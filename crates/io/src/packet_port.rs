//! Packet ports: interfaces that cannot be bridged (a Wi-Fi station), of which the node takes and gives multicast only.
//!
//! Each has a thread of its own, so that it can come and go while the others work. What leaves by one has the interface's
//! own MAC as source, for a station may send no other; so whatever comes back with that MAC is its own, and is not taken.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use treecast_core::counters::Counter;
use treecast_core::egress::Leaving;
use treecast_core::flows::FlowTally;
use treecast_core::fragment::MAX_FRAME_LEN;
use treecast_core::frame::Mac;
use treecast_core::offload::vnet::{NEEDS_CSUM, VNET_LEN};
use treecast_core::offload::{Segmenter, VnetHeader, MAX_COALESCED};
use treecast_core::plane::Plane;
use treecast_core::port::MAX_PORTS;
use treecast_core::reason::Reason;

use crate::outbox::Outbox;
use crate::ports::{Ports, TAP_PORT};
use crate::sealing::send_read;
use crate::sys::packet::PacketSocket;
use crate::sys::poll::{EventFd, Poll};
use crate::sys::thread::{monotonic_ns, set_slice};

/// Frames taken before what they came to is sent.
const BATCH: usize = 64;
/// A super-frame and its headers.
const BUFFER_LEN: usize = 65_536 + 256;
/// Parts of a write: the virtio-net header, the headers in three, and the payloads of one super-frame.
const MAX_PARTS: usize = 4 + MAX_COALESCED;
const TOKEN_STOP: u64 = 0;
const TOKEN_SOCKET: u64 = 1;

/// From where a frame comes that is handed out: no port's.
pub const OVERLAY: u32 = u32::MAX;

/// One packet port.
#[derive(Debug)]
pub struct PacketPort {
    number: u32,
    socket: PacketSocket,
    mac: AtomicU64,
    stop: EventFd,
}

/// The open packet ports, and their threads.
#[derive(Debug, Default)]
pub struct PacketPorts {
    any: AtomicBool,
    open: ArcSwap<Vec<Arc<PacketPort>>>,
    threads: Mutex<Vec<(Arc<PacketPort>, JoinHandle<()>)>>,
}

/// What became of a frame among the ports of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOut {
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

    /// Opens a port with this socket, blocked: its number. ENOSPC when there is no room for one more.
    pub fn open(plane: &Arc<Plane>, ports: &Arc<Ports>, socket: OwnedFd) -> io::Result<u32> {
        let own = &ports.packets;
        let mut threads = own.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<u32> = threads.iter().map(|(port, _)| port.number).collect();
        let number = (TAP_PORT + 1..MAX_PORTS as u32).find(|number| !used.contains(number));
        let number = number.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        let socket = PacketSocket::adopt(socket)?;
        let port = Arc::new(PacketPort { number, socket, mac: AtomicU64::new(0), stop: EventFd::new()? });
        port.follow_mac();
        let poll = Poll::new()?;
        poll.add(port.stop.as_fd(), TOKEN_STOP)?;
        poll.add(port.socket.as_fd(), TOKEN_SOCKET)?;
        plane.renew_port(number, true);
        let reader = Reader { plane: plane.clone(), ports: ports.clone(), port: port.clone(), poll };
        let thread = std::thread::Builder::new().name(format!("treecast-port{number}"));
        threads.push((port, thread.spawn(move || reader.run())?));
        own.publish(&threads);
        Ok(number)
    }

    /// Closes a port; false when there is none with this number.
    pub fn close(&self, plane: &Plane, number: u32) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = threads.iter().position(|(port, _)| port.number == number) else { return false };
        let (port, thread) = threads.swap_remove(index);
        self.publish(&threads);
        port.stop.signal();
        let _ = thread.join(); // one that panicked has ended too
        plane.drops.add(Reason::PacketOverrun, port.socket.lost());
        plane.renew_port(number, false);
        true
    }

    /// Is this the number of an open one?
    pub fn has(&self, number: u32) -> bool {
        self.open.load().iter().any(|port| port.number == number)
    }

    /// Closes all.
    pub fn close_all(&self, plane: &Plane) {
        for number in TAP_PORT + 1..MAX_PORTS as u32 {
            self.close(plane, number);
        }
    }

    fn publish(&self, threads: &[(Arc<PacketPort>, JoinHandle<()>)]) {
        self.open.store(Arc::new(threads.iter().map(|(port, _)| port.clone()).collect()));
        self.any.store(!threads.is_empty(), Ordering::Relaxed);
    }

    /// Sends one complete frame by a port, whether that forwards or not; false when it cannot be sent.
    pub fn inject(&self, plane: &Plane, number: u32, frame: &[u8]) -> bool {
        let open = self.open.load();
        let Some(port) = open.iter().find(|port| port.number == number) else { return false };
        port.follow_mac();
        port.send(plane, &Write { vnet: &[0; VNET_LEN], head: frame, payloads: &[] }, 1)
    }

    /// Gives a frame, or a super-frame of `frames`, to the packet ports that want it, but not to the one it came from.
    /// `parts` are as for the TAP.
    pub fn hand_out(&self, plane: &Plane, from: u32, parts: &[IoSlice<'_>], frames: usize) -> HandedOut {
        let Some(write) = Write::of(parts) else { return HandedOut { to_tap: true, taken: false } };
        let leaving = Leaving::of(write.head);
        let mut taken = false;
        for port in self.open.load().iter().filter(|port| port.number != from) {
            if !plane.goes_out(port.number, &leaving) {
                continue;
            }
            let Some(there) = plane.port(port.number).filter(|there| there.forwards()) else { continue };
            match there.passes(write.head) {
                Ok(()) => {
                    port.send(plane, &write, frames);
                    taken = true;
                }
                Err(reason) => plane.drops.add(reason, frames as u64),
            }
        }
        HandedOut { to_tap: from != TAP_PORT && plane.goes_out(TAP_PORT, &leaving), taken }
    }
}

impl Ports {
    /// A group's frame of a host goes to the other ports of this node too. True when one has it.
    pub fn cross(&self, plane: &Plane, from: u32, vnet: &VnetHeader, frame: &[u8], segmenter: &Segmenter<'_>) -> bool {
        let frames = segmenter.count();
        let vnet = VnetHeader { flags: vnet.flags & NEEDS_CSUM, ..*vnet }.emit();
        let parts = [IoSlice::new(&vnet), IoSlice::new(frame)];
        let HandedOut { to_tap, taken } = self.packets.hand_out(plane, from, &parts, frames);
        let Some(tap) = plane.port(TAP_PORT).filter(|tap| to_tap && tap.forwards()) else { return taken };
        let delivered = if frames > 1 && tap.groups_go_singly() {
            self.deliver_singly(plane, segmenter)
        } else {
            self.hand_over(plane, &parts, frames as u64, frame.len())
        };
        delivered || taken
    }

    /// Writes each frame of a super-frame to the TAP; true when one was taken.
    fn deliver_singly(&self, plane: &Plane, segmenter: &Segmenter<'_>) -> bool {
        let mut frame = [0; MAX_FRAME_LEN];
        let mut delivered = false;
        for index in 0..segmenter.count() {
            let written = segmenter.write(index, &mut frame);
            let Some((frame, checksum)) = written.and_then(|(length, checksum)| Some((frame.get(..length)?, checksum)))
            else {
                plane.drops.count(Reason::TooBig);
                continue;
            };
            let vnet = VnetHeader::single(checksum).emit();
            delivered |= self.hand_over(plane, &[IoSlice::new(&vnet), IoSlice::new(frame)], 1, frame.len());
        }
        delivered
    }
}

impl PacketPort {
    /// The interface's MAC may change while it is down.
    fn follow_mac(&self) {
        if let Some([a, b, c, d, e, f]) = self.socket.mac() {
            self.mac.store(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), Ordering::Relaxed);
        }
    }

    fn mac(&self) -> Mac {
        let [_, _, mac @ ..] = self.mac.load(Ordering::Relaxed).to_be_bytes();
        mac
    }

    fn send(&self, plane: &Plane, write: &Write<'_>, frames: usize) -> bool {
        let Write { vnet, head, payloads } = write;
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
                plane.counters.add(Counter::PacketTxFrames, frames as u64);
                plane.counters.add(Counter::PacketTxBytes, length.saturating_sub(VNET_LEN) as u64);
                true
            }
            Err(error) => {
                plane.drops.add(send_reason(&error), frames as u64);
                false
            }
        }
    }
}

/// A write to the TAP, taken apart: `head` holds all headers, if not the whole frame.
pub struct Write<'a> {
    vnet: &'a [u8],
    /// From the destination MAC on.
    pub head: &'a [u8],
    payloads: &'a [IoSlice<'a>],
}

impl<'a> Write<'a> {
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

/// The thread of one port.
struct Reader {
    plane: Arc<Plane>,
    ports: Arc<Ports>,
    port: Arc<PacketPort>,
    poll: Poll,
}

impl Reader {
    fn run(self) {
        let _ = set_slice(0);
        let mut outbox = Outbox::default();
        let mut senders = FlowTally::default();
        let mut buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        while let Ok(ready) = self.poll.wait(None) {
            if ready.tokens().any(|token| token == TOKEN_STOP) {
                return;
            }
            self.serve(&mut outbox, &mut senders, &mut buffer);
        }
    }

    fn serve(&self, outbox: &mut Outbox, senders: &mut FlowTally, buffer: &mut [u8]) {
        let Self { plane, ports, port, .. } = self;
        let now_ns = monotonic_ns();
        let (mut reads, mut frames, mut bytes) = (0, 0, 0);
        while reads < BATCH {
            reads += 1;
            match port.socket.read(buffer) {
                Ok(length) => {
                    let read = buffer.get(..length).unwrap_or_default();
                    if read.get(VNET_LEN + 6..VNET_LEN + 12) == Some(&port.mac()) {
                        plane.drops.count(Reason::PacketOwn);
                        continue;
                    }
                    let taken = send_read(plane, ports, outbox, senders, port.number, read, now_ns);
                    frames += taken.0;
                    bytes += taken.1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => plane.drops.count(match error.raw_os_error() {
                    Some(libc::ENETDOWN) => Reason::PacketDown, // told once; the socket hears again when it is up
                    _ => Reason::PacketOther,
                }),
            }
        }
        if reads == BATCH {
            plane.drops.add(Reason::PacketOverrun, port.socket.lost());
        }
        if let Some(here) = plane.port(port.number) {
            plane.counters.add(Counter::FlowsReplaced, senders.finish(&here.sent, now_ns));
        }
        plane.counters.add(Counter::PacketRxFrames, frames as u64);
        plane.counters.add(Counter::PacketRxBytes, bytes as u64);
        outbox.flush(plane, ports);
    }
}
