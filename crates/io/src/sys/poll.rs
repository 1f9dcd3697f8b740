//! epoll and eventfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags, Timespec};
use rustix::io::Errno;

/// A counter that others can wait for.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// An event that is not signalled.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable.
    pub fn signal(&self) {
        // A write fails only when the counter is full, and then it is readable already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        // A read fails only when the counter is zero already.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
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

/// The outcome of one wait.
pub struct Ready {
    events: [Event; MAX_READY],
    count: usize,
}

impl Ready {
    /// The tokens of the readable descriptors.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().take(self.count).map(|event| { event.data }.u64())
    }
}

impl Poll {
    /// A poll with nothing to wait for yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Waits for `fd` to be readable, from now on, level-triggered.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Waits for `fd` no more.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.0, fd)?)
    }

    /// Waits until something is readable, or so much time has passed (in whole milliseconds, rounded up).
    pub fn wait(&self, timeout_ns: Option<u64>) -> io::Result<Ready> {
        let timeout = timeout_ns.map(|wait_ns| {
            let wait_ms = i32::try_from(wait_ns.div_ceil(1_000_000)).unwrap_or(i32::MAX);
            Timespec { tv_sec: (wait_ms / 1000).into(), tv_nsec: (wait_ms % 1000 * 1_000_000).into() }
        });
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; MAX_READY];
        let count = match epoll::wait(&self.0, &mut events[..], timeout.as_ref()) {
            Err(Errno::INTR) => 0,
            found => found?,
        };
        Ok(Ready { events, count })
    }
}
