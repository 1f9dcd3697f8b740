//! The threads of packet ports: opened and closed while the others work, each reads its interface.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use treecast_core::counters::Counter;
use treecast_core::flows::FlowAccount;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::limits::MAX_PORTS;
use treecast_core::offload::vnet::VNET_LEN;
use treecast_core::port::TAP_PORT;
use treecast_core::reason::Reason;
use treecast_core::verdict::RecentFlow;

use crate::dispatch::SocketKind;
use crate::ingress::Ingress;
use crate::local_ports::LocalPorts;
use crate::outbox::Outbox;
use crate::packet_port::{PacketPort, PacketPorts};
use crate::sys::packet::PacketSocket;
use crate::sys::poll::Poll;
use crate::sys::thread::{monotonic_ns, set_slice};
use crate::underlay::Underlay;

/// Frames taken before what they came to is sent.
const BATCH: usize = 64;
/// A super-frame and its headers.
const BUFFER_LEN: usize = 65_536 + 256;
const TOKEN_STOP: u64 = 0;
const TOKEN_SOCKET: u64 = 1;

impl PacketPorts {
    /// Opens a port with this socket, blocked: its number. ENOSPC when there is no room for one more.
    pub fn open(
        tables: &Arc<ForwardingTables>,
        underlay: &Arc<Underlay>,
        local: &Arc<LocalPorts>,
        socket: OwnedFd,
    ) -> io::Result<u32> {
        let own = &local.packets;
        let mut threads = own.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<u32> = threads.iter().map(|(port, _)| port.number).collect();
        let number = (TAP_PORT + 1..MAX_PORTS as u32).find(|number| !used.contains(number));
        let number = number.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        let socket = PacketSocket::adopt(socket)?;
        let port = Arc::new(PacketPort::new(number, socket)?);
        let poll = Poll::new()?;
        poll.add(port.stop.as_fd(), TOKEN_STOP)?;
        poll.add(port.socket.as_fd(), TOKEN_SOCKET)?;
        tables.renew_port(number, true);
        let (tables, underlay, local) = (tables.clone(), underlay.clone(), local.clone());
        let reader = PortReader { tables, underlay, local, port: port.clone(), poll };
        let thread = std::thread::Builder::new().name(format!("treecast-port{number}"));
        threads.push((port, thread.spawn(move || reader.run())?));
        own.publish(&threads);
        Ok(number)
    }

    /// Closes a port; false when there is none with this number.
    pub fn close(&self, tables: &ForwardingTables, number: u32) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = threads.iter().position(|(port, _)| port.number == number) else { return false };
        let (port, thread) = threads.swap_remove(index);
        self.publish(&threads);
        port.stop.signal();
        let _ = thread.join(); // one that panicked has ended too
        tables.drops.add(Reason::PacketOverrun, port.socket.lost());
        tables.renew_port(number, false);
        true
    }

    /// Closes all.
    pub fn close_all(&self, tables: &ForwardingTables) {
        for number in TAP_PORT + 1..MAX_PORTS as u32 {
            self.close(tables, number);
        }
    }
}

/// The thread of one port.
struct PortReader {
    tables: Arc<ForwardingTables>,
    underlay: Arc<Underlay>,
    local: Arc<LocalPorts>,
    port: Arc<PacketPort>,
    poll: Poll,
}

impl PortReader {
    fn run(self) {
        let _ = set_slice(0);
        let mut outbox = Outbox::new(SocketKind::Data);
        let mut senders = FlowAccount::default();
        let mut buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        while let Ok(ready) = self.poll.wait(None) {
            if ready.tokens().any(|token| token == TOKEN_STOP) {
                return;
            }
            self.serve(&mut outbox, &mut senders, &mut buffer);
        }
    }

    fn serve(&self, outbox: &mut Outbox, senders: &mut FlowAccount, buffer: &mut [u8]) {
        let Self { tables, underlay, local, port, .. } = self;
        let now_ns = monotonic_ns();
        let (recent, own_source) = (RecentFlow::default(), None);
        let mut ingress = Ingress { tables, underlay, local, outbox, senders, recent, own_source };
        let (mut reads, mut frames, mut bytes) = (0, 0, 0);
        while reads < BATCH {
            reads += 1;
            match port.socket.read(buffer) {
                Ok(length) => {
                    let read = buffer.get_mut(..length).unwrap_or_default();
                    if read.get(VNET_LEN + 6..VNET_LEN + 12) == Some(&port.mac()) {
                        tables.drops.count(Reason::PacketOwn);
                        continue;
                    }
                    let taken = ingress.encapsulate(port.number, read, now_ns);
                    frames += taken.0;
                    bytes += taken.1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => tables.drops.count(match error.raw_os_error() {
                    Some(libc::ENETDOWN) => Reason::PacketDown, // reported once; the socket receives again when it is up
                    _ => Reason::PacketOther,
                }),
            }
        }
        if reads == BATCH {
            tables.drops.add(Reason::PacketOverrun, port.socket.lost());
        }
        if let Some(here) = tables.port(port.number) {
            tables.counters.add(Counter::FlowsReplaced, senders.finish(&here.sent, now_ns));
        }
        tables.counters.add(Counter::PacketRxFrames, frames as u64);
        tables.counters.add(Counter::PacketRxBytes, bytes as u64);
        outbox.flush(tables, underlay);
    }
}
