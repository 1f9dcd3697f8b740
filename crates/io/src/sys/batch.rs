//! Many datagrams per system call: `recvmmsg` with UDP_GRO, `sendmmsg` with UDP_SEGMENT.
//!
//! Headers are allocated once. Pointers in them are written anew before each call and not used after it.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::address::RawAddress;
use super::udp::{UDP_GRO, UDP_SEGMENT};
use super::{check, raw};

/// Room for one control message of up to 8 bytes, aligned as cmsghdr wants.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 32]);

/// What UDP_GRO may join.
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
    /// For up to `count` messages at a time.
    pub fn new(count: usize) -> Self {
        Self {
            buffers: vec![0; count * MESSAGE_LEN].into_boxed_slice(),
            messages: Vec::with_capacity(count),
            headers: vec![empty_header(); count].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; count].into_boxed_slice(),
            addresses: vec![RawAddress::empty(); count].into_boxed_slice(),
            controls: vec![Control([0; 32]); count].into_boxed_slice(),
        }
    }

    /// Receives what is there; true when more may be.
    pub fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        self.messages.clear();
        for (index, buffer) in self.buffers.chunks_exact_mut(MESSAGE_LEN).enumerate() {
            self.vectors[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MESSAGE_LEN };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.addresses[index].storage).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
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
            let segment = gro_size(&header.msg_hdr).filter(|size| *size > 0).unwrap_or(length);
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.messages.push(Message { source: address.get(), length, segment, truncated });
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

/// The UDP_GRO control message of a received header.
fn gro_size(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled the control area and set its length; the macros stay within that.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::SOL_UDP && (*control).cmsg_type == UDP_GRO {
                let size = libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok();
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    None
}

/// One message to send: one datagram, or a run of equal ones (the last may be shorter).
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// To whom.
    pub address: &'a RawAddress,
    /// All datagrams, one after the other.
    pub data: &'a [u8],
    /// Length of each; 0 when there is but one.
    pub segment: u16,
}

/// Headers for sending.
pub struct Sender {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers in headers and vectors are never followed outside `send`, which writes them first.
unsafe impl Send for Sender {}

impl Sender {
    /// For up to `count` messages per system call.
    pub fn new(count: usize) -> Self {
        Self {
            headers: vec![empty_header(); count].into_boxed_slice(),
            vectors: vec![EMPTY_VECTOR; count].into_boxed_slice(),
            controls: vec![Control([0; 32]); count].into_boxed_slice(),
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
            header.msg_name = (&raw const message.address.storage).cast_mut().cast();
            header.msg_namelen = message.address.length;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
            if message.segment > 0 {
                write_segment(&mut self.controls[index], header, message.segment);
            }
            count = index + 1;
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: each header points to a vector and a control area of its own in `self`, which is borrowed mutably, and to
        // an address and data borrowed for `'a`, which outlives the call. The kernel only reads names and data.
        check(unsafe { libc::sendmmsg(raw(fd), headers, count as libc::c_uint, libc::MSG_DONTWAIT as _) })
            .map(|sent| sent as usize)
    }
}

/// Points the header to a control area that holds one UDP_SEGMENT message.
fn write_segment(control: &mut Control, header: &mut libc::msghdr, segment: u16) {
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: the control area is aligned for cmsghdr and has room for CMSG_SPACE(2) = 24 of its 32 bytes, so the first
    // header exists and its data lie inside.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(mem::size_of::<u16>() as u32) as _;
        let first = libc::CMSG_FIRSTHDR(header);
        (*first).cmsg_level = libc::SOL_UDP;
        (*first).cmsg_type = UDP_SEGMENT;
        (*first).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as u32) as _;
        libc::CMSG_DATA(first).cast::<u16>().write_unaligned(segment);
    }
}
