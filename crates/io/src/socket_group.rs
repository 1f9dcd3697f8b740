//! The sockets of one address that the node listens on: several, all bound to it.
//!
//! Each has buffers of its own, so a peer whose datagrams are stuck in one (its underlay is slow) holds up those that share
//! its socket, not all; and what must not wait (handshakes, control messages, probes) has a socket to itself. So have cookies:
//! where somebody forges addresses that nobody on the LAN has, what is sent there waits for seconds, and fills a buffer.
//! To peers they are one: all send from the same address and port. The kernel gives what a peer sends always to the same
//! one of them (SO_REUSEPORT hashes addresses and ports), so its order is kept when workers share the sockets out.

use std::io;
use std::net::SocketAddr;

use crate::sys::udp::{Buffers, Socket};

/// Data sockets at least: peers of so many consecutive node indices have a send buffer each.
const DATA_SOCKETS: usize = 8;
/// Room for what a worker has no time for yet (the kernel doubles it), and for what the underlay does not take yet.
const DATA_BUFFERS: Buffers = Buffers { receive: 8 << 20, send: 2 << 20 };
const CONTROL_BUFFERS: Buffers = Buffers { receive: 8 << 20, send: 1 << 20 };
const COOKIE_BUFFERS: Buffers = Buffers { receive: 8 << 20, send: 8 << 20 };

/// The sockets of one address.
#[derive(Debug)]
pub struct SocketGroup {
    local: SocketAddr,
    control: Socket,
    cookies: Socket,
    data: Vec<Socket>,
}

impl SocketGroup {
    /// Binds all: as many data sockets for each worker. Fails when anybody else has the address.
    pub fn bind(address: &SocketAddr, workers: usize) -> io::Result<Self> {
        let control = Socket::bind(address, CONTROL_BUFFERS)?;
        control.share()?;
        control.before_data();
        let local = control.local();
        let cookies = Socket::bind_shared(&local, COOKIE_BUFFERS)?;
        let count = DATA_SOCKETS.next_multiple_of(workers.max(1));
        let data = (0..count).map(|_| Socket::bind_shared(&local, DATA_BUFFERS)).collect::<io::Result<_>>()?;
        Ok(Self { local, control, cookies, data })
    }

    /// The address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket for control, which never waits behind data.
    pub fn control(&self) -> &Socket {
        &self.control
    }

    /// The socket for cookies.
    pub fn cookies(&self) -> &Socket {
        &self.cookies
    }

    /// The socket for data.
    pub fn data(&self) -> &[Socket] {
        &self.data
    }

    /// Number of the data socket for what goes to a peer, by its node index.
    pub fn data_to(&self, peer: u32) -> u32 {
        peer % self.data.len() as u32
    }

    /// All, the control socket first.
    pub fn all(&self) -> impl Iterator<Item = &Socket> {
        [&self.control, &self.cookies].into_iter().chain(&self.data)
    }
}
