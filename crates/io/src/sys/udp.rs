//! UDP sockets with everything that makes them fast and keeps them from fragmenting.

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{bind, socket_with, AddressFamily, SocketFlags, SocketType};

use super::{check, raw};

/// A priority that needs no privilege: before all data in a queueing discipline with bands (pfifo_fast, prio).
const TC_PRIO_INTERACTIVE: libc::c_int = 6;
/// linux/udp.h; sets and takes segment sizes.
pub const UDP_SEGMENT: libc::c_int = 103;
/// linux/udp.h; joins datagrams on receive.
pub const UDP_GRO: libc::c_int = 104;

/// How many bytes may wait in a socket; the kernel doubles it, for its own needs.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// Received, not read yet.
    pub receive: libc::c_int,
    /// Sent, not with the network yet.
    pub send: libc::c_int,
}

/// Fields of SO_MEMINFO (linux/sock_diag.h).
const MEMORY_NUMBERS: usize = 9;
/// Bytes that are not with the network yet, and how many may be.
const MEMORY_SENT: usize = 2;
const MEMORY_SEND_BUFFER: usize = 3;
const MEMORY_DROPS: usize = 8;

/// One bound socket.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
    gso: AtomicBool,
    gro: bool,
}

impl Socket {
    /// Binds, alone; IPv6 sockets take IPv6 only.
    pub fn bind(address: &SocketAddr, buffers: Buffers) -> io::Result<Self> {
        Self::open(address, buffers, false)
    }

    /// Binds to an address that another socket of ours has, and shares.
    pub fn bind_shared(address: &SocketAddr, buffers: Buffers) -> io::Result<Self> {
        Self::open(address, buffers, true)
    }

    fn open(address: &SocketAddr, buffers: Buffers, shared: bool) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        if address.is_ipv6() {
            set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        if shared {
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        bind(&fd, address)?;
        never_fragment(&fd, address)?;
        for (force, plain, bytes) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, buffers.receive),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, buffers.send),
        ] {
            if set(&fd, libc::SOL_SOCKET, force, bytes).is_err() {
                set(&fd, libc::SOL_SOCKET, plain, bytes)?;
            }
        }
        let (level, received_class) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVTOS),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
        };
        set(&fd, level, received_class, 1)?;
        let gro = set(&fd, libc::SOL_UDP, UDP_GRO, 1).is_ok();
        // Setting the default segment size to 0 changes nothing, and fails where the kernel does not know UDP_SEGMENT.
        let gso = AtomicBool::new(set(&fd, libc::SOL_UDP, UDP_SEGMENT, 0).is_ok());
        let socket = UdpSocket::from(fd);
        let local = socket.local_addr()?;
        Ok(Self { socket, local, gso, gro })
    }

    /// Lets further sockets of ours bind to its address. It has been bound alone, so nobody else has it; and only sockets
    /// of one user share.
    pub fn share(&self) -> io::Result<()> {
        set(&self.socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
    }

    /// Sends before data that wait in this machine. Where that is refused it sends in their order.
    pub fn before_data(&self) {
        let _ = set(&self.socket, libc::SOL_SOCKET, libc::SO_PRIORITY, TC_PRIO_INTERACTIVE);
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Does it send runs of datagrams in one message?
    pub fn gso(&self) -> bool {
        self.gso.load(Ordering::Relaxed)
    }

    /// The system has refused a run: no more of them. True the first time.
    pub fn disable_gso(&self) -> bool {
        self.gso.swap(false, Ordering::Relaxed)
    }

    /// Does it receive joined datagrams?
    pub fn gro(&self) -> bool {
        self.gro
    }

    /// Messages so far that the full receive buffer refused: a datagram each, or a run of them (UDP_GRO).
    pub fn overruns(&self) -> u64 {
        self.memory()[MEMORY_DROPS].into()
    }

    /// Is more than half of the send buffer in use?
    pub fn is_crowded(&self) -> bool {
        let memory = self.memory();
        memory[MEMORY_SENT] > memory[MEMORY_SEND_BUFFER] / 2
    }

    /// SO_MEMINFO; zeros where the system has none.
    fn memory(&self) -> [u32; MEMORY_NUMBERS] {
        let mut numbers = [0_u32; MEMORY_NUMBERS];
        let mut length = mem::size_of_val(&numbers) as libc::socklen_t;
        let fd = raw(self.socket.as_fd());
        // SAFETY: the kernel writes at most `length` bytes into `numbers`, and the length it wrote into `length`.
        let done = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, numbers.as_mut_ptr().cast(), &raw mut length)
        };
        if check(done).is_err() {
            return [0; MEMORY_NUMBERS];
        }
        numbers
    }

    /// Sends one datagram, now or not at all.
    pub fn send_to(&self, datagram: &[u8], address: &SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, address).map(|_| ())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sets DF and leaves it to the sender to send no more than fits: forged ICMP cannot shrink what is sent.
fn never_fragment(fd: &impl AsFd, address: &SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        set(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    } else {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    }
}

fn set(fd: &impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is one int, which lives until the call returns.
    check(unsafe { libc::setsockopt(raw(fd.as_fd()), level, option, (&raw const value).cast(), length) })?;
    Ok(())
}
