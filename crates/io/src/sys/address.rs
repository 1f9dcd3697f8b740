//! Socket addresses as the kernel wants them, for the calls that are made by hand.

use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;

use rustix::net::addr::SocketAddrStorage;
use rustix::net::{AddressFamily, SocketAddrAny};

/// A `sockaddr` and its length.
#[derive(Clone)]
pub struct RawAddress(SocketAddrAny);

impl RawAddress {
    /// All zero: to be filled by the kernel.
    pub fn empty() -> Self {
        let length = mem::size_of::<SocketAddrStorage>() as libc::socklen_t;
        // SAFETY: all bytes up to the length are initialized, the family among them: AF_UNSPEC.
        Self(unsafe { SocketAddrAny::new(MaybeUninit::zeroed(), length) })
    }

    /// The raw address of a socket address.
    pub fn new(address: &SocketAddr) -> Self {
        Self((*address).into())
    }

    /// The socket address, where the family is IPv4 or IPv6. Its flow label is no part of who somebody is.
    pub fn get(&self) -> Option<SocketAddr> {
        let mut address: SocketAddr = self.0.clone().try_into().ok()?;
        if let SocketAddr::V6(v6) = &mut address {
            v6.set_flowinfo(0);
        }
        Some(address)
    }

    /// An IPv4 address?
    pub fn is_ipv4(&self) -> bool {
        self.0.address_family() == AddressFamily::INET
    }

    /// The address for a message header: where it lies, and its length.
    pub(super) fn name(&self) -> (*const libc::c_void, libc::socklen_t) {
        (self.0.as_ptr().cast(), self.0.addr_len())
    }

    /// The same of one that the kernel is to fill.
    pub(super) fn name_mut(&mut self) -> (*mut libc::c_void, libc::socklen_t) {
        (self.0.as_mut_ptr().cast(), self.0.addr_len())
    }
}
