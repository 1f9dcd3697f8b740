//! epoll and eventfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{check, own, raw};

/// A counter that others can wait for.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Not signalled.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain integers.
        own(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(Self)
    }

    /// Makes it readable.
    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: reads 8 bytes. It fails only when the counter is full, and then it is readable already.
        unsafe { libc::write(raw(self.0.as_fd()), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        let mut count = [0; 8];
        // SAFETY: writes 8 bytes. It fails only when the counter is zero already.
        unsafe { libc::read(raw(self.0.as_fd()), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Descriptors to wait for, each with a token.
#[derive(Debug)]
pub struct Poll(OwnedFd);

/// Events taken from one wait; more come with the next.
const MAX_READY: usize = 32;

/// What one wait found.
pub struct Ready {
    events: [libc::epoll_event; MAX_READY],
    count: usize,
}

impl Ready {
    /// The tokens of the readable descriptors.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().take(self.count).map(|event| event.u64)
    }
}

impl Poll {
    /// Nothing to wait for yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain integers.
        own(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    /// Waits for `fd` to be readable, from now on, level-triggered.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: both descriptors are open; the kernel copies the event.
        check(unsafe { libc::epoll_ctl(raw(self.0.as_fd()), libc::EPOLL_CTL_ADD, raw(fd), &raw mut event) })?;
        Ok(())
    }

    /// Waits for `fd` no more.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let none = std::ptr::null_mut();
        // SAFETY: both descriptors are open; the event is not read when deleting.
        check(unsafe { libc::epoll_ctl(raw(self.0.as_fd()), libc::EPOLL_CTL_DEL, raw(fd), none) })?;
        Ok(())
    }

    /// Waits until something is readable, or so much time has passed (in whole milliseconds, rounded up).
    pub fn wait(&self, timeout_ns: Option<u64>) -> io::Result<Ready> {
        let timeout_ms =
            timeout_ns.map_or(-1, |wait_ns| i32::try_from(wait_ns.div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX_READY];
        // SAFETY: the kernel writes at most MAX_READY events into the array.
        let result =
            unsafe { libc::epoll_wait(raw(self.0.as_fd()), events.as_mut_ptr(), MAX_READY as i32, timeout_ms) };
        match check(result) {
            Ok(count) => Ok(Ready { events, count: count as usize }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Ready { events, count: 0 }),
            Err(error) => Err(error),
        }
    }
}
