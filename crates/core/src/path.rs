//! The path to a node: the address to which all of its sessions send, and other addresses from which its datagrams came.
//!
//! The data plane moves no path by itself. It reports an authentic datagram from elsewhere to Python, which challenges that
//! address (RFC 9000 section 8.2). Until the address is validated, at most three times as many bytes go there as came from
//! there. The data plane gives no path up, either. It counts the probes that were not answered, on the path and by the route
//! that may stand in its place, and keeps what the last reply reported of the route.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::limits::MAX_UNVALIDATED_ADDRESSES;
use crate::rate::{Rate, TokenBucket};

/// Bytes that may go to an address for each one that came from it (as RFC 9000 section 8.1).
const BYTES_FOR_EACH: u64 = 3;
/// How often addresses of a node may be reported.
const NEWS: Rate = Rate { per_second: 1, burst: MAX_UNVALIDATED_ADDRESSES as u32 };
/// The time for which an address is no news again.
const NEWS_INTERVAL_NS: u64 = 1_000_000_000;
/// How fine the time is of what came last: a datagram more in it writes nothing.
const RECEIVED_GRAIN_NS: u64 = 100_000_000;
/// Two nodes find that their path is there again at most so long one after the other: a turn of probes, and their reviews.
const SETTLING_NS: u64 = 4_000_000_000;
/// Two nodes that have chosen different paths find one at most so long after: a turn of probes, a challenge, and its answer.
const VALIDATION_NS: u64 = 4_000_000_000;

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
    validated: ArcSwapOption<ValidatedAddress>,
    elsewhere: Mutex<Elsewhere>,
    moves: AtomicU32,
    unanswered: AtomicU32,
    route_moves: AtomicU32,
    unanswered_by_route: AtomicU32,
    routes_set: AtomicU32,
    has_sent_by_route: AtomicBool,
    settling_ns: AtomicU64,
    receipt: Mutex<Option<Receipt>>,
    received_by_route_ns: AtomicU64,
    received_ns: AtomicU64,
}

/// The reply to a probe by a route: what it reports of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Our index.
    pub session: u32,
    /// Datagrams of the session that had gone by its route.
    pub sent: u64,
    /// Datagrams of the session that had come, by whatever path or route.
    pub came: u64,
}

/// A probe went by the path or by a route, as that was after so many moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbedVia {
    /// An answer shows that the node is there, if that still is its path.
    Path(u32),
    /// An answer shows that a neighbour leads there, if that still is its route.
    Route(u32),
}

/// An address that the node has validated lately, and that is its path no more, or not yet: it may still send from there.
#[derive(Debug)]
struct ValidatedAddress {
    address: SocketAddr,
    until_ns: u64,
}

#[derive(Debug, Default)]
struct Elsewhere {
    unvalidated: Vec<UnvalidatedAddress>,
    news: TokenBucket,
}

/// An address from which datagrams of the node came, and which has answered no challenge yet.
#[derive(Debug)]
struct UnvalidatedAddress {
    endpoint: Endpoint,
    received: u64,
    sent: u64,
    news_ns: u64,
    challenge: Option<u64>,
}

impl Path {
    /// A path to where a handshake went.
    pub fn new(endpoint: Endpoint, now_ns: u64) -> Self {
        Self {
            endpoint: ArcSwap::from_pointee(endpoint),
            validated: ArcSwapOption::empty(),
            elsewhere: Mutex::default(),
            moves: AtomicU32::new(0),
            unanswered: AtomicU32::new(0),
            route_moves: AtomicU32::new(0),
            unanswered_by_route: AtomicU32::new(0),
            routes_set: AtomicU32::new(0),
            has_sent_by_route: AtomicBool::new(false),
            settling_ns: AtomicU64::new(0),
            receipt: Mutex::default(),
            received_by_route_ns: AtomicU64::new(0),
            received_ns: AtomicU64::new(now_ns),
        }
    }

    /// Where to send.
    pub fn endpoint(&self) -> Endpoint {
        **self.endpoint.load()
    }

    /// Sends there from now on; returns where it did before.
    pub fn set(&self, endpoint: Endpoint, now_ns: u64) -> Endpoint {
        self.elsewhere().unvalidated.retain(|address| address.endpoint != endpoint);
        let before = *self.endpoint.swap(Arc::new(endpoint));
        self.validate(before.address, now_ns);
        self.moves.fetch_add(1, Ordering::AcqRel); // a probe that was sent in between counts for the path before
        self.unanswered.store(0, Ordering::Relaxed);
        self.received_ns.store(now_ns, Ordering::Relaxed);
        before
    }

    /// The node has shown that it is there: it may send from there, and not only from where its path leads.
    pub fn validate(&self, address: SocketAddr, now_ns: u64) {
        if address != self.endpoint().address {
            let until_ns = now_ns.saturating_add(VALIDATION_NS);
            self.validated.store(Some(Arc::new(ValidatedAddress { address, until_ns })));
        }
    }

    /// May the node itself send from there? Nobody else has validated that address.
    pub fn is_from(&self, address: &SocketAddr, now_ns: u64) -> bool {
        let validated = |one: &ValidatedAddress| one.address == *address && now_ns < one.until_ns;
        self.endpoint().address == *address || self.validated.load().as_deref().is_some_and(validated)
    }

    /// A turn of probes begins: one on the path, and one by the route where there is one.
    pub fn turn(&self, has_route: bool) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        if has_route {
            self.unanswered_by_route.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The path of the next probe, as it is now.
    pub fn probed(&self) -> ProbedVia {
        ProbedVia::Path(self.moves.load(Ordering::Acquire))
    }

    /// How often the node has got a route.
    pub fn routes_set(&self) -> u32 {
        self.routes_set.load(Ordering::Relaxed)
    }

    /// The node has a route from now on.
    pub fn route_set(&self) {
        self.routes_set.fetch_add(1, Ordering::Relaxed);
        self.has_sent_by_route.store(false, Ordering::Relaxed);
        self.settling_ns.store(0, Ordering::Relaxed);
    }

    /// A frame of the node came by a neighbour: the node itself has a route, and may have it longer than this one.
    pub fn note_frame_by_route(&self) {
        self.has_sent_by_route.store(true, Ordering::Relaxed);
    }

    /// May the node still have its route, though this one has none any more?
    pub fn is_settling(&self, now_ns: u64) -> bool {
        if !self.has_sent_by_route.load(Ordering::Relaxed) {
            return false;
        }
        let begun = self.settling_ns.compare_exchange(0, now_ns.max(1), Ordering::Relaxed, Ordering::Relaxed);
        begun.is_ok() || begun.is_err_and(|since| now_ns.saturating_sub(since) < SETTLING_NS)
    }

    /// The route of the next probe, as it is now.
    pub fn probed_by_route(&self) -> ProbedVia {
        ProbedVia::Route(self.route_moves.load(Ordering::Acquire))
    }

    /// A probe that went by this was answered.
    pub fn probe_answered(&self, via: ProbedVia, now_ns: u64) {
        if via == self.probed_by_route() {
            self.unanswered_by_route.store(0, Ordering::Relaxed);
            self.received_by_route_ns.store(now_ns, Ordering::Relaxed);
        } else if via == self.probed() {
            self.unanswered.store(0, Ordering::Relaxed);
            self.received_ns.store(now_ns, Ordering::Relaxed);
        }
    }

    /// The reply to a probe that went by this reported so.
    pub fn receive_receipt(&self, via: ProbedVia, receipt: Receipt) {
        let mut last = lock(&self.receipt);
        if via == self.probed_by_route() {
            *last = Some(receipt);
        }
    }

    /// The last one since the node has this route.
    pub fn receipt(&self) -> Option<Receipt> {
        *lock(&self.receipt)
    }

    /// Something came by the next hop of the route.
    pub fn receive_by_route(&self, now_ns: u64) {
        if now_ns.saturating_sub(self.received_by_route_ns()) >= RECEIVED_GRAIN_NS {
            self.received_by_route_ns.store(now_ns, Ordering::Relaxed);
        }
    }

    /// The time at which something last came by the next hop, or answered a probe by the route, since the node has this one.
    pub fn received_by_route_ns(&self) -> u64 {
        self.received_by_route_ns.load(Ordering::Relaxed)
    }

    /// All goes by another neighbour from now on, or by none.
    pub fn route_changed(&self) {
        let mut last = lock(&self.receipt);
        self.route_moves.fetch_add(1, Ordering::AcqRel);
        *last = None;
        self.received_by_route_ns.store(0, Ordering::Relaxed);
        self.unanswered_by_route.store(0, Ordering::Relaxed);
    }

    /// The time at which something authentic last came from where the path leads: anybody may have written that into it.
    pub fn received_ns(&self) -> u64 {
        self.received_ns.load(Ordering::Relaxed)
    }

    /// Turns since a probe on the path was answered, and since one by the route was.
    pub fn unanswered(&self) -> (u32, u32) {
        (self.unanswered.load(Ordering::Relaxed), self.unanswered_by_route.load(Ordering::Relaxed))
    }

    /// A new authentic datagram of so many bytes came from there. True: that is elsewhere, and news.
    pub fn receive(&self, from: Endpoint, length: usize, now_ns: u64) -> bool {
        if from == self.endpoint() {
            if now_ns.saturating_sub(self.received_ns()) >= RECEIVED_GRAIN_NS {
                self.received_ns.store(now_ns, Ordering::Relaxed);
            }
            return false;
        }
        let Elsewhere { unvalidated, news } = &mut *self.elsewhere();
        if let Some(known) = unvalidated.iter_mut().find(|address| address.endpoint == from) {
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
        if unvalidated.len() >= MAX_UNVALIDATED_ADDRESSES {
            let oldest = unvalidated.iter().enumerate().min_by_key(|(_, address)| address.news_ns);
            if let Some((position, _)) = oldest {
                unvalidated.remove(position);
            }
        }
        let received = length as u64;
        unvalidated.push(UnvalidatedAddress { endpoint: from, received, sent: 0, news_ns: now_ns, challenge: None });
        true
    }

    /// Whether so many bytes may go there: any number on the path, elsewhere few for what came from there. They count.
    pub fn may_send(&self, to: Endpoint, length: usize) -> bool {
        if to == self.endpoint() {
            return true;
        }
        let mut elsewhere = self.elsewhere();
        let Some(address) = elsewhere.unvalidated.iter_mut().find(|address| address.endpoint == to) else {
            return false;
        };
        let sent = address.sent + length as u64;
        let permitted = sent <= BYTES_FOR_EACH * address.received;
        if permitted {
            address.sent = sent;
        }
        permitted
    }

    /// Expects this value as the answer from an address, instead of the one before. Nothing where nothing came from.
    pub fn challenge(&self, endpoint: Endpoint, value: u64) {
        let mut elsewhere = self.elsewhere();
        if let Some(address) = elsewhere.unvalidated.iter_mut().find(|address| address.endpoint == endpoint) {
            address.challenge = Some(value);
        }
    }

    /// Takes an answer: the address that was challenged with this value, once.
    pub fn answered(&self, value: u64) -> Option<Endpoint> {
        let mut elsewhere = self.elsewhere();
        let challenged = elsewhere.unvalidated.iter_mut().find(|address| address.challenge == Some(value))?;
        challenged.challenge = None;
        Some(challenged.endpoint)
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        lock(&self.elsewhere)
    }
}

/// Locks; what a panicking thread left is still good, for all updates are single assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
