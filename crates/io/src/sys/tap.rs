//! The TAP: one Ethernet interface of this machine, whose frames are read and written here.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use treecast_core::offload::vnet::VNET_LEN;

use rustix::net::{socket_with, AddressFamily, SocketFlags, SocketType};

use super::{check, raw};

const TUNSETIFF: libc::Ioctl = 0x4004_54CA;
const TUNSETPERSIST: libc::Ioctl = 0x4004_54CB;
const TUNSETVNETHDRSZ: libc::Ioctl = 0x4004_54D8;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54D0;
const IFF_TUN_EXCL: libc::c_int = 0x8000;
const TUNSETQUEUE: libc::Ioctl = 0x4004_54D9;
const TUN_F_CSUM: libc::c_uint = 0x01;
const TUN_F_TSO4: libc::c_uint = 0x02;
const TUN_F_TSO6: libc::c_uint = 0x04;
const TUN_F_TSO_ECN: libc::c_uint = 0x08;
const TUN_F_USO4: libc::c_uint = 0x20;
const TUN_F_USO6: libc::c_uint = 0x40;
/// Frames that the interface queues for us; 500 are lost while a worker waits for its turn.
const TX_QUEUE_LEN: libc::c_int = 4000;

/// Offloads that the kernel granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapOffloads {
    /// Partial checksums.
    pub csum: bool,
    /// TCP super-frames.
    pub tso: bool,
    /// UDP super-frames.
    pub uso: bool,
}

/// Offloads to request from the kernel, best first. USO4 and USO6 go only together and with CSUM.
const OFFERS: [(libc::c_uint, TapOffloads); 4] = [
    (
        TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
        TapOffloads { csum: true, tso: true, uso: true },
    ),
    (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, TapOffloads { csum: true, tso: true, uso: false }),
    (TUN_F_CSUM, TapOffloads { csum: true, tso: false, uso: false }),
    (0, TapOffloads { csum: false, tso: false, uso: false }),
];

/// An open TAP. It vanishes when this is dropped, unless it is to stay.
///
/// The kernel puts each flow of the host into one of its queues, by a hash of addresses and ports. A frame written to a queue
/// would draw its flow's other direction there (tun's "automq"), and a flow that changes its queue can lose its order: what
/// several queues would share is therefore written through one more, detached, which the kernel gives nothing to.
#[derive(Debug)]
pub struct Tap {
    queues: Vec<OwnedFd>,
    /// None: the only queue is written too.
    writer: Option<OwnedFd>,
    name: String,
    offloads: TapOffloads,
    /// Where the kernel counts frames that its full queues refused.
    dropped: Option<File>,
    /// How many that were when it was opened: while nobody has an interface open, all are dropped.
    dropped_before: u64,
}

impl Tap {
    /// Makes the interface, down, or takes one that nobody uses, as it is, and gives it this MAC and MTU; frames go behind a virtio-net header.
    /// One queue where the kernel refuses `queues` of them.
    pub fn open(name: &str, mac: [u8; 6], mtu: u32, queues: usize, take: bool) -> io::Result<Self> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let mtu = libc::c_int::try_from(mtu).map_err(|_| invalid())?;
        let (queues, writer) = if take { take_queues(name, queues)? } else { make_queues(name, queues)? };
        let mut offloads = TapOffloads::default();
        for queue in queues.iter().chain(&writer) {
            set_header_len(queue)?;
            offloads = set_offloads(queue)?;
        }
        let dropped = File::open(format!("/sys/class/net/{name}/statistics/tx_dropped")).ok();
        let mut tap = Self { queues, writer, name: name.to_owned(), offloads, dropped, dropped_before: 0 };
        tap.dropped_before = tap.overruns();
        tap.configure(mac, mtu)?;
        Ok(tap)
    }

    /// No interface: there is nothing to read, and each write fails (EBADF).
    pub fn none() -> Self {
        let (name, offloads) = (String::new(), TapOffloads::default());
        Self { queues: Vec::new(), writer: None, name, offloads, dropped: None, dropped_before: 0 }
    }

    /// Whether the interface is to stay when it is closed. At first: one that was made goes, one that was taken does as before.
    pub fn set_stay(&self, on: bool) -> io::Result<()> {
        let Some(queue) = self.queues.first() else { return Ok(()) };
        // SAFETY: TUNSETPERSIST takes its switch by value.
        check(unsafe { libc::ioctl(raw(queue.as_fd()), TUNSETPERSIST, libc::c_ulong::from(on)) })?;
        Ok(())
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Offloads that the kernel granted.
    pub fn offloads(&self) -> TapOffloads {
        self.offloads
    }

    /// Frames and super-frames so far that the full queues refused; 0 where the system does not count them.
    pub fn overruns(&self) -> u64 {
        let mut text = [0; 32];
        let read = self.dropped.as_ref().and_then(|file| file.read_at(&mut text, 0).ok());
        let text = read.and_then(|length| text.get(..length)).unwrap_or_default();
        let total: u64 = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        total.saturating_sub(self.dropped_before)
    }

    /// The queues, to wait for.
    pub fn queues(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.queues.iter().map(AsFd::as_fd)
    }

    /// Reads one frame or super-frame of a queue behind its virtio-net header.
    pub fn read(&self, queue: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let fd = self.queues.get(queue).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        Ok(rustix::io::read(fd, buffer)?)
    }

    /// Writes one frame or super-frame; the parts begin with its virtio-net header.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let fd =
            self.writer.as_ref().or(self.queues.first()).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        Ok(rustix::io::writev(fd, parts)?)
    }

    fn configure(&self, mac: [u8; 6], mtu: libc::c_int) -> io::Result<()> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        // Any socket will do for interface requests.
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        let mut hardware = request(&self.name).ok_or_else(invalid)?;
        // SAFETY: all zeros is a sockaddr.
        let mut address: libc::sockaddr = unsafe { mem::zeroed() };
        address.sa_family = libc::ARPHRD_ETHER;
        for (to, from) in address.sa_data.iter_mut().zip(mac) {
            *to = from as libc::c_char;
        }
        hardware.ifr_ifru.ifru_hwaddr = address;
        let mut size = request(&self.name).ok_or_else(invalid)?;
        size.ifr_ifru.ifru_mtu = mtu;
        let mut queue = request(&self.name).ok_or_else(invalid)?;
        queue.ifr_ifru.ifru_metric = TX_QUEUE_LEN;
        for (code, request) in [(libc::SIOCSIFHWADDR, hardware), (libc::SIOCSIFMTU, size), (libc::SIOCSIFTXQLEN, queue)]
        {
            // SAFETY: these requests read one ifreq, which lives until the call returns.
            check(unsafe { libc::ioctl(raw(socket.as_fd()), code as libc::Ioctl, &raw const request) })?;
        }
        Ok(())
    }
}

/// The queues to read, and the one to write where it is none of them.
type Queues = (Vec<OwnedFd>, Option<OwnedFd>);

/// IFF_TUN_EXCL keeps a new interface from becoming a queue of another program's.
fn make_queues(name: &str, count: usize) -> io::Result<Queues> {
    if count >= 2 {
        match open_queues(name, count, IFF_TUN_EXCL) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Err(error),
            Err(_) => {}
            queues => return queues,
        }
    }
    Ok((vec![open_queue(name, IFF_TUN_EXCL)?], None))
}

/// The kernel answers EINVAL where an interface has one queue only, and where it is no TAP.
fn take_queues(name: &str, count: usize) -> io::Result<Queues> {
    match open_queues(name, count.max(1), 0) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok((vec![open_queue(name, 0)?], None)),
        queues => queues,
    }
}

/// Opens so many queues to read, and a detached one to write. The first makes the interface, if there is none.
fn open_queues(name: &str, count: usize, first_flags: libc::c_int) -> io::Result<Queues> {
    let flags = |number| libc::IFF_MULTI_QUEUE | if number == 0 { first_flags } else { 0 };
    let queues = (0..count).map(|number| open_queue(name, flags(number))).collect::<io::Result<_>>()?;
    let writer = open_queue(name, libc::IFF_MULTI_QUEUE)?;
    let mut request = request(name).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    request.ifr_ifru.ifru_flags = libc::IFF_DETACH_QUEUE as libc::c_short;
    // SAFETY: TUNSETQUEUE reads one ifreq, which lives until the call returns.
    check(unsafe { libc::ioctl(raw(writer.as_fd()), TUNSETQUEUE, &raw mut request) })?;
    Ok((queues, Some(writer)))
}

/// Makes the interface, or adds a queue to it.
fn open_queue(name: &str, extra_flags: libc::c_int) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let fd: OwnedFd = options.open("/dev/net/tun")?.into();
    let mut request = request(name).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | extra_flags;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives until the call returns.
    check(unsafe { libc::ioctl(raw(fd.as_fd()), TUNSETIFF, &raw mut request) })?;
    Ok(fd)
}

/// The program before us may have had longer headers.
fn set_header_len(fd: &OwnedFd) -> io::Result<()> {
    let length = VNET_LEN as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int, which lives until the call returns.
    check(unsafe { libc::ioctl(raw(fd.as_fd()), TUNSETVNETHDRSZ, &raw const length) })?;
    Ok(())
}

fn set_offloads(fd: &OwnedFd) -> io::Result<TapOffloads> {
    let mut last = Ok(TapOffloads::default());
    for (mask, offloads) in OFFERS {
        // SAFETY: TUNSETOFFLOAD takes its mask by value.
        match check(unsafe { libc::ioctl(raw(fd.as_fd()), TUNSETOFFLOAD, libc::c_ulong::from(mask)) }) {
            Ok(_) => return Ok(offloads),
            Err(error) => last = Err(error),
        }
    }
    last
}

/// An interface request for `name`; None when that is no interface name.
fn request(name: &str) -> Option<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.bytes().any(|byte| byte == 0 || byte == b'/') {
        return None;
    }
    // SAFETY: all zeros is an ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Some(request)
}
