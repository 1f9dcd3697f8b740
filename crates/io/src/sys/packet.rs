//! Packet sockets (packet(7)): the group-addressed frames of one interface, in and out, each behind a virtio-net header.
//!
//! The header (`PACKET_VNET_HDR`) is not for speed: what a local program sends has its checksum still to be done, and what
//! GRO has joined is longer than a frame; without the header neither could be known.

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netdevice::name_to_index;
use rustix::net::{socket_with, AddressFamily, SocketFlags, SocketType};

use super::{check, own, raw};

const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const BUFFER_BYTES: libc::c_int = 8 << 20;
const MAC_LEN: usize = 6;

/// Offset of the ancillary data that a filter may load, and there: has the frame an 802.1Q tag (linux/filter.h)?
const SKF_AD_VLAN_TAG_PRESENT: u32 = (-0x1000_i32 + 48) as u32;

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Untagged frames to a group or to all: the machine's own unicast is no business of ours, and would wake us each time.
const FILTER: [libc::sock_filter; 6] = [
    instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 0),
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 3, 1),
    instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, SKF_AD_VLAN_TAG_PRESENT),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 0),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0x4_0000),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
];

/// A packet socket on one interface.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens one on an interface (CAP_NET_RAW). It takes nothing before all is set. EINVAL for what is no Ethernet interface.
    pub fn open(interface: &str) -> io::Result<OwnedFd> {
        let fd = Self::open_unbound()?;
        let index = name_to_index(&fd, interface)?;
        Self::bind(&fd, index as libc::c_int)?;
        Self::adopt(fd).map(|socket| socket.0)
    }

    /// Opens one on no interface yet (CAP_NET_RAW), of which nothing comes before `bind`.
    pub fn open_unbound() -> io::Result<OwnedFd> {
        // Protocol 0: no frame comes until it is bound.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        set(&fd, libc::SOL_PACKET, PACKET_VNET_HDR, &1_i32)?;
        set(&fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32)?;
        if set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &BUFFER_BYTES).is_err() {
            set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &BUFFER_BYTES)?;
        }
        let mut filter = FILTER;
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        set(&fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        set(&fd, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, &1_i32)?; // a holder of the socket cannot make it receive more
        Ok(fd)
    }

    /// Puts one on an interface, by its number, which needs no rights: the first, or another after that was taken away.
    pub fn bind(fd: &impl AsFd, index: libc::c_int) -> io::Result<()> {
        let all_groups = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_ALLMULTI as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &all_groups)?;
        // SAFETY: all zeros is a sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        let length = mem::size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address lives until the call returns, with its true length.
        check(unsafe { libc::bind(raw(fd.as_fd()), (&raw const address).cast(), length) })?;
        Ok(())
    }

    /// Takes one that `open` made, perhaps in another process. EINVAL for anything else.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let socket = Self(fd);
        let (mut vnet, mut length) = (0_i32, mem::size_of::<libc::c_int>() as libc::socklen_t);
        // SAFETY: the kernel writes one int at most.
        check(unsafe {
            let value = (&raw mut vnet).cast();
            libc::getsockopt(raw(socket.as_fd()), libc::SOL_PACKET, PACKET_VNET_HDR, value, &raw mut length)
        })?;
        match socket.mac() {
            Some(_) if vnet == 1 => Ok(socket),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    }

    /// The interface's own MAC now; None when the interface is gone, or has none.
    pub fn mac(&self) -> Option<[u8; MAC_LEN]> {
        // SAFETY: all zeros is a sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut length = mem::size_of_val(&address) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, the size of the address.
        check(unsafe { libc::getsockname(raw(self.as_fd()), (&raw mut address).cast(), &raw mut length) }).ok()?;
        let packet = i32::from(address.sll_family) == libc::AF_PACKET && address.sll_hatype == libc::ARPHRD_ETHER;
        address.sll_addr.first_chunk().copied().filter(|_| packet && usize::from(address.sll_halen) == MAC_LEN)
    }

    /// Reads one frame or super-frame behind its virtio-net header.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self, buffer)?)
    }

    /// Sends one frame or super-frame; the parts begin with its virtio-net header.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::writev(self, parts)?)
    }

    /// Frames that the full socket refused since this was last read.
    pub fn lost(&self) -> u64 {
        let mut packets_and_drops = [0_u32; 2];
        let mut length = mem::size_of_val(&packets_and_drops) as libc::socklen_t;
        // SAFETY: the kernel writes one tpacket_stats: two u32.
        let asked = check(unsafe {
            let value = packets_and_drops.as_mut_ptr().cast();
            libc::getsockopt(raw(self.as_fd()), libc::SOL_PACKET, PACKET_STATISTICS, value, &raw mut length)
        });
        asked.map_or(0, |_| packets_and_drops[1].into())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor of one's own for what another holds by number. EBADF when that is none.
pub fn duplicate(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers; a number that is no descriptor is an error.
    own(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) })
}

fn set<T>(fd: &impl AsFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the option's value lives until the call returns, and so does what a filter program points to.
    check(unsafe { libc::setsockopt(raw(fd.as_fd()), level, option, (&raw const *value).cast(), length) })?;
    Ok(())
}
