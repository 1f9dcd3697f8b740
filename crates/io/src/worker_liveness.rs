//! Liveness of a worker: it is signalled now and then, and answers from its loop.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::poll::EventFd;

/// One worker's.
#[derive(Debug)]
pub struct WorkerLiveness {
    /// Readable when the worker is signalled.
    pub signalled: EventFd,
    signalled_times: AtomicU64,
    answered_times: AtomicU64,
}

impl WorkerLiveness {
    /// A worker that was not signalled yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { signalled: EventFd::new()?, signalled_times: AtomicU64::new(0), answered_times: AtomicU64::new(0) })
    }

    /// Signals the worker.
    pub fn signal(&self) {
        self.signalled_times.fetch_add(1, Ordering::SeqCst);
        self.signalled.signal();
    }

    /// The worker's answer to all signals so far.
    pub fn answer(&self) {
        self.signalled.clear();
        self.answered_times.store(self.signalled_times.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Has the worker answered the last signal?
    pub fn is_answered(&self) -> bool {
        self.answered_times.load(Ordering::SeqCst) == self.signalled_times.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::Poll;
    use std::os::fd::AsFd;

    #[test]
    fn signalled_and_not_answered_is_seen_until_it_is() {
        let liveness = WorkerLiveness::new().unwrap();
        let poll = Poll::new().unwrap();
        poll.add(liveness.signalled.as_fd(), 7).unwrap();
        let readable = || poll.wait(Some(0)).unwrap().tokens().count();
        assert!(liveness.is_answered());
        assert_eq!(readable(), 0);
        liveness.signal();
        liveness.signal();
        assert!(!liveness.is_answered());
        assert_eq!(readable(), 1);
        liveness.answer();
        assert!(liveness.is_answered());
        assert_eq!(readable(), 0);
    }
}
