//! The path to a node: where all of its sessions send, and the addresses besides from which it was heard.
//!
//! The data plane moves no path by itself. An authentic datagram from elsewhere is news for Python, which challenges that
//! address; until it has answered, at most three times as many bytes go there as came from there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::limits::MAX_PATH_CANDIDATES;
use crate::rate::{Rate, TokenBucket};

/// Bytes that may go to an address for each one that came from it (as RFC 9000 section 8.1).
const BYTES_FOR_EACH: u64 = 3;
/// How often a node may be news, wherever it is heard.
const NEWS: Rate = Rate { per_second: 1, burst: MAX_PATH_CANDIDATES as u32 };
/// For so long an address is no news again.
const NEWS_INTERVAL_NS: u64 = 1_000_000_000;

/// Where a peer is reached: through which of our sockets, at which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Number of the socket, in the order of `listen`.
    pub socket: u32,
    /// The peer's address.
    pub address: SocketAddr,
}

/// One node's.
#[derive(Debug)]
pub struct Path {
    endpoint: ArcSwap<Endpoint>,
    elsewhere: Mutex<Elsewhere>,
}

#[derive(Debug, Default)]
struct Elsewhere {
    candidates: Vec<Candidate>,
    news: TokenBucket,
}

/// An address from which the node was heard, and which has answered no challenge yet.
#[derive(Debug)]
struct Candidate {
    endpoint: Endpoint,
    received: u64,
    sent: u64,
    news_ns: u64,
    challenge: Option<u64>,
}

impl Path {
    /// A path to where a handshake went.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: ArcSwap::from_pointee(endpoint), elsewhere: Mutex::default() }
    }

    /// Where to send.
    pub fn endpoint(&self) -> Endpoint {
        **self.endpoint.load()
    }

    /// Sends there from now on; returns where it did before.
    pub fn set(&self, endpoint: Endpoint) -> Endpoint {
        self.elsewhere().candidates.retain(|candidate| candidate.endpoint != endpoint);
        *self.endpoint.swap(Arc::new(endpoint))
    }

    /// A new authentic datagram of so many bytes came from elsewhere. True: that is news.
    pub fn heard(&self, from: Endpoint, length: usize, now_ns: u64) -> bool {
        let Elsewhere { candidates, news } = &mut *self.elsewhere();
        if let Some(known) = candidates.iter_mut().find(|candidate| candidate.endpoint == from) {
            known.received += length as u64;
            let due = now_ns.saturating_sub(known.news_ns) >= NEWS_INTERVAL_NS && news.take(NEWS, now_ns);
            if due {
                known.news_ns = now_ns;
            }
            return due;
        }
        if !news.take(NEWS, now_ns) {
            return false;
        }
        if candidates.len() >= MAX_PATH_CANDIDATES {
            let oldest = candidates.iter().enumerate().min_by_key(|(_, candidate)| candidate.news_ns);
            if let Some((position, _)) = oldest {
                candidates.remove(position);
            }
        }
        let received = length as u64;
        candidates.push(Candidate { endpoint: from, received, sent: 0, news_ns: now_ns, challenge: None });
        true
    }

    /// Whether so many bytes may go there: any number on the path, elsewhere few for what came from there. They count.
    pub fn may_send(&self, to: Endpoint, length: usize) -> bool {
        if to == self.endpoint() {
            return true;
        }
        let mut elsewhere = self.elsewhere();
        let Some(candidate) = elsewhere.candidates.iter_mut().find(|candidate| candidate.endpoint == to) else {
            return false;
        };
        let sent = candidate.sent + length as u64;
        let permitted = sent <= BYTES_FOR_EACH * candidate.received;
        if permitted {
            candidate.sent = sent;
        }
        permitted
    }

    /// Expects this value as the answer from an address, instead of the one before. Nothing where nobody was heard.
    pub fn challenge(&self, endpoint: Endpoint, value: u64) {
        let mut elsewhere = self.elsewhere();
        if let Some(candidate) = elsewhere.candidates.iter_mut().find(|candidate| candidate.endpoint == endpoint) {
            candidate.challenge = Some(value);
        }
    }

    /// Takes an answer: the address that was challenged with this value, once.
    pub fn answered(&self, value: u64) -> Option<Endpoint> {
        let mut elsewhere = self.elsewhere();
        let challenged = elsewhere.candidates.iter_mut().find(|candidate| candidate.challenge == Some(value))?;
        challenged.challenge = None;
        Some(challenged.endpoint)
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
