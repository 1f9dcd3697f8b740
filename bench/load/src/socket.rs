//! System calls of sockets: multicast options of a UDP socket, sendmmsg, recvmmsg.
//!
//! All `unsafe` of this program is here and in `process`. Invariant of both batches: the `mmsghdr`s point into `iovecs`, `names` and
//! the buffer of the same struct, which are allocated once and never grow or move while the struct lives.

use std::ffi::CString;
use std::io::{Error, Result};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};

const SK_MEMINFO_DROPS: usize = 8; // linux/sock_diag.h
const SK_MEMINFO_VARS: usize = 9;

/// An unbound UDP socket of the address's family, with SO_REUSEADDR.
pub fn open(address: &SocketAddr) -> Result<UdpSocket> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the descriptor is new and owned by the UdpSocket alone.
    let socket = unsafe {
        let fd = libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        UdpSocket::from_raw_fd(fd)
    };
    set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, &(1 as c_int))?;
    Ok(socket)
}

pub fn bind(socket: &UdpSocket, address: &SocketAddr) -> Result<()> {
    let (storage, length) = to_storage(address);
    // SAFETY: storage holds `length` bytes of a socket address.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const storage).cast(), length) })
}

pub fn interface_index(name: &str) -> Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a C string.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::last_os_error()),
        index => Ok(index),
    }
}

pub fn bind_to_interface(socket: &UdpSocket, name: &str) -> Result<()> {
    let name = CString::new(name)?;
    let bytes = name.as_bytes_with_nul();
    // SAFETY: the option is the bytes of the name.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            bytes.as_ptr().cast(),
            bytes.len() as socklen_t,
        )
    })
}

/// Where multicast leaves, how far it goes, and that this machine does not get it back.
pub fn set_multicast_sending(socket: &UdpSocket, to: &SocketAddr, interface: Option<u32>, ttl: c_int) -> Result<()> {
    if to.is_ipv4() {
        if let Some(index) = interface {
            let any = libc::in_addr { s_addr: 0 };
            let request = libc::ip_mreqn { imr_multiaddr: any, imr_address: any, imr_ifindex: index as c_int };
            set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)?;
        }
        set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, &ttl)?;
        set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, &(0 as c_int))
    } else {
        if let Some(index) = interface {
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &(index as c_int))?;
        }
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &ttl)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, &(0 as c_int))
    }
}

/// RFC 3678 §5.1: MCAST_JOIN_GROUP, or MCAST_JOIN_SOURCE_GROUP for each source.
pub fn join(socket: &UdpSocket, group: IpAddr, interface: u32, sources: &[IpAddr]) -> Result<()> {
    let level = if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    let gr_group = to_storage(&SocketAddr::new(group, 0)).0;
    if sources.is_empty() {
        let request = GroupRequest { gr_interface: interface, gr_group };
        return set(socket, level, libc::MCAST_JOIN_GROUP, &request);
    }
    for source in sources {
        let gsr_source = to_storage(&SocketAddr::new(*source, 0)).0;
        let request = GroupSourceRequest { gsr_interface: interface, gsr_group: gr_group, gsr_source };
        set(socket, level, libc::MCAST_JOIN_SOURCE_GROUP, &request)?;
    }
    Ok(())
}

#[repr(C)]
struct GroupRequest {
    gr_interface: u32,
    gr_group: sockaddr_storage,
}

#[repr(C)]
struct GroupSourceRequest {
    gsr_interface: u32,
    gsr_group: sockaddr_storage,
    gsr_source: sockaddr_storage,
}

pub fn set_receive_buffer(socket: &UdpSocket, bytes: c_int) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
}

/// Datagrams that the socket's full buffer has refused.
pub fn drops(socket: &UdpSocket) -> u32 {
    let mut info = [0u32; SK_MEMINFO_VARS];
    let mut length = size_of_val(&info) as socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the array.
    unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, info.as_mut_ptr().cast(), &mut length)
    };
    info[SK_MEMINFO_DROPS]
}

/// Datagrams of one size that leave a connected socket with one system call.
pub struct SendBatch {
    size_bytes: usize,
    buffer: Box<[u8]>,
    _iovecs: Box<[iovec]>,
    messages: Box<[mmsghdr]>,
}

impl SendBatch {
    pub fn new(count: usize, size_bytes: usize) -> Self {
        let mut buffer = vec![0u8; count * size_bytes].into_boxed_slice();
        let mut iovecs: Box<[iovec]> = buffer
            .chunks_mut(size_bytes)
            .map(|datagram| iovec { iov_base: datagram.as_mut_ptr().cast(), iov_len: size_bytes })
            .collect();
        // SAFETY: a zeroed mmsghdr is an empty message.
        let mut messages: Box<[mmsghdr]> = (0..count).map(|_| unsafe { zeroed() }).collect();
        for (message, part) in messages.iter_mut().zip(iovecs.iter_mut()) {
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        Self { size_bytes, buffer, _iovecs: iovecs, messages }
    }

    pub fn datagram(&mut self, index: usize) -> &mut [u8] {
        &mut self.buffer[index * self.size_bytes..(index + 1) * self.size_bytes]
    }

    /// Sends `count` datagrams from `first` on; how many the kernel took, at least one.
    pub fn send(&mut self, socket: &UdpSocket, first: usize, count: usize) -> Result<usize> {
        let messages = &mut self.messages[first..first + count];
        // SAFETY: the messages point into this struct (see the module's invariant).
        let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0) };
        if taken < 0 {
            return Err(Error::last_os_error());
        }
        Ok(taken as usize)
    }
}

/// Room for the datagrams of one recvmmsg, with their source addresses.
pub struct ReceiveBatch {
    size_bytes: usize,
    buffer: Box<[u8]>,
    _iovecs: Box<[iovec]>,
    names: Box<[sockaddr_storage]>,
    messages: Box<[mmsghdr]>,
}

impl ReceiveBatch {
    pub fn new(count: usize, size_bytes: usize) -> Self {
        let SendBatch { buffer, _iovecs, mut messages, .. } = SendBatch::new(count, size_bytes);
        // SAFETY: a zeroed sockaddr_storage is of family AF_UNSPEC.
        let mut names: Box<[sockaddr_storage]> = (0..count).map(|_| unsafe { zeroed() }).collect();
        for (message, name) in messages.iter_mut().zip(names.iter_mut()) {
            message.msg_hdr.msg_name = (&raw mut *name).cast::<c_void>();
        }
        Self { size_bytes, buffer, _iovecs, names, messages }
    }

    /// Waits for one datagram (the socket's timeout at most) and takes what is there: how many.
    pub fn receive(&mut self, socket: &UdpSocket) -> Result<usize> {
        for message in &mut self.messages {
            message.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
        }
        let (count, timeout) = (self.messages.len() as u32, std::ptr::null_mut());
        // SAFETY: the messages point into this struct (see the module's invariant).
        let taken = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), self.messages.as_mut_ptr(), count, libc::MSG_WAITFORONE, timeout)
        };
        if taken < 0 {
            return Err(Error::last_os_error());
        }
        Ok(taken as usize)
    }

    /// A received datagram and where it came from; None when it is of no IP family.
    pub fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let start = index * self.size_bytes;
        let length = (self.messages[index].msg_len as usize).min(self.size_bytes);
        Some((from_storage(&self.names[index])?, &self.buffer[start..start + length]))
    }
}

pub fn set_timeout(socket: &UdpSocket, timeout: Duration) -> Result<()> {
    socket.set_read_timeout(Some(timeout))
}

fn set<T>(socket: &UdpSocket, level: c_int, option: c_int, value: &T) -> Result<()> {
    // SAFETY: the option is the bytes of a plain C value.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (value as *const T).cast(), size_of::<T>() as socklen_t)
    })
}

fn check(result: c_int) -> Result<()> {
    if result < 0 {
        return Err(Error::last_os_error());
    }
    Ok(())
}

fn to_storage(address: &SocketAddr) -> (sockaddr_storage, socklen_t) {
    // SAFETY: sockaddr_storage is larger and stricter aligned than both addresses that are written into it.
    unsafe {
        let mut storage: sockaddr_storage = zeroed();
        let length = match address {
            SocketAddr::V4(v4) => {
                let name = &mut *(&raw mut storage).cast::<libc::sockaddr_in>();
                name.sin_family = libc::AF_INET as u16;
                name.sin_port = v4.port().to_be();
                name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let name = &mut *(&raw mut storage).cast::<libc::sockaddr_in6>();
                name.sin6_family = libc::AF_INET6 as u16;
                name.sin6_port = v6.port().to_be();
                name.sin6_addr.s6_addr = v6.ip().octets();
                name.sin6_scope_id = v6.scope_id();
                size_of::<libc::sockaddr_in6>()
            }
        };
        (storage, length as socklen_t)
    }
}

fn from_storage(storage: &sockaddr_storage) -> Option<SocketAddr> {
    // SAFETY: the family says which of the two addresses the storage holds.
    unsafe {
        match c_int::from(storage.ss_family) {
            libc::AF_INET => {
                let name = &*(&raw const *storage).cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(ip.into(), u16::from_be(name.sin_port)))
            }
            libc::AF_INET6 => {
                let name = &*(&raw const *storage).cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                Some(SocketAddr::new(ip.into(), u16::from_be(name.sin6_port)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernel_form() {
        for text in ["192.0.2.1:7700", "[2001:db8::1]:7700"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_storage(&to_storage(&address).0), Some(address));
        }
    }

    #[test]
    fn a_batch_travels_over_loopback() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_timeout(&receiver, Duration::from_secs(5)).unwrap();
        let sender = open(&receiver.local_addr().unwrap()).unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        let mut batch = SendBatch::new(4, 30);
        (0..4).for_each(|index| batch.datagram(index)[0] = index as u8);
        assert_eq!(batch.send(&sender, 1, 3).unwrap(), 3);
        let mut batch = ReceiveBatch::new(8, 100);
        let mut values = Vec::new();
        while values.len() < 3 {
            for index in 0..batch.receive(&receiver).unwrap() {
                let (source, datagram) = batch.datagram(index).unwrap();
                assert_eq!((source, datagram.len()), (sender.local_addr().unwrap(), 30));
                values.push(datagram[0]);
            }
        }
        assert_eq!(values, [1, 2, 3]);
    }
}
