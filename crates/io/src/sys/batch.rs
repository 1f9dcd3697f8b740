//! Many datagrams per system call: `recvmmsg` with UDP_GRO, `sendmmsg` with UDP_SEGMENT.
//!
//! By hand: rustix has no `recvmmsg`, and its `sendmmsg` knows neither UDP_SEGMENT nor traffic classes.
//! Headers are allocated once. Pointers in them are written anew before each call and not used after it.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::address::RawAddress;
use super::udp::{UDP_GRO, UDP_SEGMENT};
use super::{check, raw};

/// Room for two control messages of an int each (2 * CMSG_SPACE(4) = 48), aligned as cmsghdr wants.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_LEN]);

const CONTROL_LEN: usize = 64;

/// Bytes that UDP_GRO may join.
pub const MESSAGE_LEN: usize = 65_536;

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all zeros is an mmsghdr: null pointers, zero lengths.
    unsafe { mem::zeroed() }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// One received message: one datagram, or several equal ones of a flow (the last may be shorter).
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where it came from.
    pub source: Option<SocketAddr>,
    /// Bytes in its buffer.
    pub length: usize,
    /// Length of each datagram in it.
    pub segment: usize,
    /// DSCP and ECN of its IP header: the kernel joins only datagrams whose are equal.
    pub traffic_class: u8,
    /// The kernel cut it off.
    pub truncated: bool,
}

/// Buffers and headers for receiving.
pub struct Receiver {
    buffers: Box<[u8]>,
    messages: Vec<Message>,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[RawAddress]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers in headers and vectors are never followed outside `receive`, which writes them first.
unsafe impl Send for Receiver {}

impl Receiver {
    /// Buffers for up to `count` messages at a time.
    pub fn new(count: usize) -> Self {
        Self {
            buffers: vec![0; count * MESSAGE_LEN].into_boxed_slice(),
            messages: Vec::with_capacity(count),
            headers: vec![empty_header(); count].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; count].into_boxed_slice(),
            addresses: vec![RawAddress::empty(); count].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); count].into_boxed_slice(),
        }
    }

    /// Receives what is there; true when more may be.
    pub fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        self.messages.clear();
        for (index, buffer) in self.buffers.chunks_exact_mut(MESSAGE_LEN).enumerate() {
            self.vectors[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MESSAGE_LEN };
            let header = &mut self.headers[index].msg_hdr;
            (header.msg_name, header.msg_namelen) = self.addresses[index].name_mut();
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = mem::size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points to a name, a vector, a buffer and a control area of its own with its true length;
        // all are fields of `self`, which is borrowed mutably until the call has returned.
        let received =
            unsafe { libc::recvmmsg(raw(fd), headers, count, libc::MSG_DONTWAIT as _, std::ptr::null_mut()) };
        let received = check(received)? as usize;
        for (header, address) in self.headers.iter().zip(&self.addresses).take(received) {
            let length = (header.msg_len as usize).min(MESSAGE_LEN);
            let Noted { gro_size, traffic_class } = Noted::of(&header.msg_hdr);
            let segment = if gro_size > 0 { gro_size } else { length };
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.messages.push(Message { source: address.get(), length, segment, traffic_class, truncated });
        }
        Ok(received == self.headers.len())
    }

    /// The bytes of a message of the last receive.
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.buffers[index * MESSAGE_LEN..][..self.messages[index].length]
    }

    /// The messages of the last receive, each with its bytes.
    pub fn messages(&self) -> impl Iterator<Item = (&Message, &[u8])> {
        let buffers = self.buffers.chunks_exact(MESSAGE_LEN);
        self.messages.iter().zip(buffers).map(|(message, buffer)| (message, &buffer[..message.length]))
    }

    /// The same, to open in place.
    pub fn messages_mut(&mut self) -> impl Iterator<Item = (&Message, &mut [u8])> {
        let buffers = self.buffers.chunks_exact_mut(MESSAGE_LEN);
        self.messages.iter().zip(buffers).map(|(message, buffer)| (message, &mut buffer[..message.length]))
    }
}

/// The control messages of a received header.
#[derive(Default)]
struct Noted {
    gro_size: usize,
    traffic_class: u8,
}

impl Noted {
    fn of(header: &libc::msghdr) -> Self {
        let mut noted = Self::default();
        // SAFETY: the kernel has filled the control area and set its length; the macros stay within that, and a message's
        // data are as long as its kind says: an int for UDP_GRO and IPV6_TCLASS, a byte for IP_TOS.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while !control.is_null() {
                let data = libc::CMSG_DATA(control);
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::SOL_UDP, UDP_GRO) => {
                        let size = data.cast::<libc::c_int>().read_unaligned();
                        noted.gro_size = usize::try_from(size).unwrap_or(0);
                    }
                    (libc::IPPROTO_IP, libc::IP_TOS) => noted.traffic_class = data.read(),
                    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                        noted.traffic_class = data.cast::<libc::c_int>().read_unaligned() as u8;
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
        noted
    }
}

/// One message to send: one datagram, or a run of equal ones (the last may be shorter).
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The destination.
    pub address: &'a RawAddress,
    /// All datagrams, one after the other.
    pub data: &'a [u8],
    /// Length of each; 0 when there is but one.
    pub segment: u16,
    /// DSCP and ECN of its IP header.
    pub traffic_class: u8,
}

/// Headers for sending.
pub struct BatchSender {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers in headers and vectors are never followed outside `send`, which writes them first.
unsafe impl Send for BatchSender {}

impl BatchSender {
    /// Buffers for up to `count` messages per system call.
    pub fn new(count: usize) -> Self {
        Self {
            headers: vec![empty_header(); count].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; count].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); count].into_boxed_slice(),
        }
    }

    /// Messages per system call.
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Sends up to `capacity` messages with one call; returns how many left. The error is that of the first message.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        messages: impl ExactSizeIterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (index, message) in messages.take(self.headers.len()).enumerate() {
            self.vectors[index] =
                libc::iovec { iov_base: message.data.as_ptr().cast_mut().cast(), iov_len: message.data.len() };
            let header = &mut self.headers[index].msg_hdr;
            let (name, length) = message.address.name();
            (header.msg_name, header.msg_namelen) = (name.cast_mut(), length);
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            write_control(&mut self.controls[index], header, &message);
            count = index + 1;
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: each header points to a vector and a control area of its own in `self`, which is borrowed mutably, and to
        // an address and data borrowed for `'a`, which outlives the call. The kernel only reads names and data.
        check(unsafe { libc::sendmmsg(raw(fd), headers, count as libc::c_uint, libc::MSG_DONTWAIT as _) })
            .map(|sent| sent as usize)
    }
}

/// Points the header to a control area with what the message needs: nothing for a single datagram of class 0.
fn write_control(control: &mut Control, header: &mut libc::msghdr, message: &Outgoing<'_>) {
    header.msg_control = std::ptr::null_mut();
    header.msg_controllen = 0;
    let mut used = 0;
    if message.segment > 0 {
        used = put(control, used, (libc::SOL_UDP, UDP_SEGMENT), message.segment);
    }
    if message.traffic_class > 0 {
        let kind = match message.address.is_ipv4() {
            true => (libc::IPPROTO_IP, libc::IP_TOS),
            false => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        used = put(control, used, kind, libc::c_int::from(message.traffic_class));
    }
    if used > 0 {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = used as _;
    }
}

/// Writes a control message behind `used` bytes of others; the bytes used then.
fn put<T: Copy>(control: &mut Control, used: usize, (level, kind): (libc::c_int, libc::c_int), value: T) -> usize {
    const HEADER_LEN: usize = mem::size_of::<libc::cmsghdr>();
    let length = HEADER_LEN + mem::size_of::<T>();
    let free = &mut control.0[used..][..length.next_multiple_of(mem::align_of::<libc::cmsghdr>())];
    // SAFETY: all zeros is a cmsghdr: plain integers.
    let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
    (head.cmsg_level, head.cmsg_type, head.cmsg_len) = (level, kind, length as _);
    // SAFETY: `free` is as long as header and value together (it was sliced so), and unaligned writes need no alignment.
    unsafe {
        free.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(head);
        free.as_mut_ptr().add(HEADER_LEN).cast::<T>().write_unaligned(value);
    }
    used + free.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP_GRO_OF: (libc::c_int, libc::c_int) = (libc::SOL_UDP, UDP_GRO);

    /// Notes of a receiver when the kernel has written these `used` bytes.
    fn noted(control: &mut Control, used: usize) -> (usize, u8) {
        let mut header = empty_header().msg_hdr;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = used as _;
        let Noted { gro_size, traffic_class } = Noted::of(&header);
        (gro_size, traffic_class)
    }

    #[test]
    fn control_messages_are_read_in_any_order_and_number() {
        let mut control = Control([0xFF; CONTROL_LEN]);
        assert_eq!(noted(&mut control, 0), (0, 0));
        let used = put(&mut control, 0, UDP_GRO_OF, 1280 as libc::c_int);
        assert_eq!(noted(&mut control, used), (1280, 0));
        let used = put(&mut control, used, (libc::IPPROTO_IPV6, libc::IPV6_TCLASS), 0xBB as libc::c_int);
        assert_eq!((used, noted(&mut control, used)), (48, (1280, 0xBB)));
        let used = put(&mut control, 0, (libc::IPPROTO_IP, libc::IP_TOS), 0x2A_u8);
        assert_eq!(noted(&mut control, used), (0, 0x2A));
        let used = put(&mut control, used, UDP_GRO_OF, -1 as libc::c_int);
        assert_eq!(noted(&mut control, used), (0, 0x2A));
    }

    #[test]
    fn what_is_to_be_sent_needs_no_control_area_a_size_a_class_or_both() {
        for address in ["192.0.2.1:1", "[2001:db8::1]:1"] {
            let address = RawAddress::new(&address.parse().unwrap());
            for (segment, traffic_class, expected) in [(0, 0, 0 as _), (1280, 0, 24), (0, 0xB8, 24), (1280, 3, 48)] {
                let mut control = Control([0; CONTROL_LEN]);
                let mut header = empty_header().msg_hdr;
                write_control(
                    &mut control,
                    &mut header,
                    &Outgoing { address: &address, data: &[], segment, traffic_class },
                );
                assert_eq!((header.msg_controllen, header.msg_control.is_null()), (expected, expected == 0));
            }
        }
    }
}
