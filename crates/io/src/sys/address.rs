//! Socket addresses as the kernel wants them.

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `sockaddr` and its length.
#[derive(Clone, Copy)]
pub struct RawAddress {
    /// Large enough for any family.
    pub storage: libc::sockaddr_storage,
    /// How much of it counts.
    pub length: libc::socklen_t,
}

impl RawAddress {
    /// All zero: to be filled by the kernel.
    pub fn empty() -> Self {
        // SAFETY: sockaddr_storage is plain old data; all zeros is a value of it.
        let storage = unsafe { mem::zeroed() };
        Self { storage, length: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    /// From a socket address.
    pub fn new(address: &SocketAddr) -> Self {
        let mut raw = Self::empty();
        match address {
            SocketAddr::V4(v4) => {
                let value = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                raw.length = mem::size_of_val(&value) as libc::socklen_t;
                // SAFETY: sockaddr_storage is larger than sockaddr_in and aligned for it.
                unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_in>().write(value) };
            }
            SocketAddr::V6(v6) => {
                let value = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                raw.length = mem::size_of_val(&value) as libc::socklen_t;
                // SAFETY: sockaddr_storage is larger than sockaddr_in6 and aligned for it.
                unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_in6>().write(value) };
            }
        }
        raw
    }

    /// As a socket address, where the family is IPv4 or IPv6.
    pub fn get(&self) -> Option<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that it is a sockaddr_in, which is plain old data smaller than the storage.
                let value = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(value.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(value.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that it is a sockaddr_in6, which is plain old data smaller than the storage.
                let value = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(value.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(value.sin6_port), 0, value.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}
