//! Sessions and peers: sealing and opening of session datagrams, liveness, round-trip times, addresses.
//!
//! A session is shared by the worker, which seals and opens, and Python's thread, which seals control messages: counters
//! are atomic, the replay window lies behind a mutex that nobody else wants.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use crate::aead::{Aead, AeadKey};
use crate::counters::{Traffic, Volume};
use crate::datagram::LARGEST_UNDERLAY_MTU;
use crate::datagram::{Inner, SessionHeader, AEAD_TAG_LEN, INNER_LEN, MAX_DATAGRAM_LEN, SESSION_HEADER_LEN};
use crate::datagram_counts::DatagramCounts;
use crate::handshake::SessionKeys;
use crate::limits::MAX_SESSIONS_PER_PEER;
use crate::path::{Endpoint, Path, ProbedVia, Receipt};
use crate::rate::{Rate, TokenBucket};
use crate::reason::Reason;
use crate::replay::SessionWindow;
use crate::rtt::RoundTrip;

/// A session seals no more datagrams than this (section 3).
pub const SESSION_LIMIT: u64 = 1 << 30;
/// Handshake datagrams of the peer in a session: a rekey has three, each a few times where some are lost.
const HANDSHAKES: Rate = Rate { per_second: 8, burst: 16 };
/// Where the body of a session datagram starts.
pub const SESSION_BODY_OFFSET: usize = SESSION_HEADER_LEN + INNER_LEN;

/// Locks; what a panicking thread left is still good, for all updates are single assignments.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parameters of a new session, apart from its keys.
#[derive(Clone, Copy, Debug)]
pub struct SessionParameters {
    /// Our index: what the peer writes into its datagrams.
    pub index: u32,
    /// The peer's index.
    pub remote_index: u32,
    /// The peer's node index.
    pub peer: u32,
    /// Where to send, if the peer has no path yet.
    pub endpoint: Endpoint,
    /// The AEAD of both directions.
    pub aead: Aead,
    /// May be sent on before the first datagram arrives.
    pub confirmed: bool,
}

/// An authentic, fresh session datagram.
#[derive(Debug)]
pub struct OpenedSession<'a> {
    /// Inner header and body.
    pub plaintext: &'a mut [u8],
    /// No higher counter has been seen.
    pub newest: bool,
    /// The first one of the session.
    pub first: bool,
}

/// One session with a peer.
#[derive(Debug)]
pub struct Session {
    /// Our index.
    pub index: u32,
    /// The peer's index.
    pub remote_index: u32,
    /// The peer's node index.
    pub peer: u32,
    /// The time at which it was installed (monotonic).
    pub installed_ns: u64,
    /// UDP datagrams and payload bytes.
    pub traffic: Traffic,
    /// Datagrams sent by the route of its peer, and received.
    pub datagram_counts: DatagramCounts,
    /// The path of its peer.
    pub path: Arc<Path>,
    /// Where the handshake found it.
    found_at: SocketAddr,
    seal: AeadKey,
    open: AeadKey,
    sealed: AtomicU64,
    cut: AtomicU32,
    window: Mutex<SessionWindow>,
    confirmed: AtomicBool,
    has_received: AtomicBool,
    received_ns: AtomicU64,
    underlay_mtu: AtomicUsize,
    round_trip: Mutex<RoundTrip>,
    handshakes: Mutex<TokenBucket>,
}

impl Session {
    /// None when the keys do not fit the AEAD, which 32 bytes always do.
    pub fn new(parameters: SessionParameters, path: Arc<Path>, keys: &SessionKeys, now_ns: u64) -> Option<Self> {
        let SessionParameters { index, remote_index, peer, endpoint, aead, confirmed } = parameters;
        Some(Self {
            index,
            remote_index,
            peer,
            installed_ns: now_ns,
            traffic: Traffic::default(),
            datagram_counts: DatagramCounts::default(),
            path,
            found_at: endpoint.address,
            seal: AeadKey::new(aead, &keys.seal).ok()?,
            open: AeadKey::new(aead, &keys.open).ok()?,
            sealed: AtomicU64::new(0),
            cut: AtomicU32::new(0),
            window: Mutex::default(),
            confirmed: AtomicBool::new(confirmed),
            has_received: AtomicBool::new(false),
            received_ns: AtomicU64::new(now_ns),
            underlay_mtu: AtomicUsize::new(LARGEST_UNDERLAY_MTU),
            round_trip: Mutex::default(),
            handshakes: Mutex::default(),
        })
    }

    /// Seals the body that lies at [`SESSION_BODY_OFFSET`] of `buffer`; returns the datagram's length.
    pub fn seal(&self, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        let length = SESSION_BODY_OFFSET + body_len + AEAD_TAG_LEN;
        if length > MAX_DATAGRAM_LEN {
            return Err(Reason::TooBig);
        }
        let datagram = buffer.get_mut(..length).ok_or(Reason::TooBig)?;
        if self.sealed.load(Ordering::Relaxed) >= SESSION_LIMIT {
            return Err(Reason::SessionExhausted);
        }
        let counter = self.sealed.fetch_add(1, Ordering::Relaxed) + 1;
        let (header, rest) = datagram.split_first_chunk_mut().ok_or(Reason::TooBig)?;
        *header = SessionHeader { receiver: self.remote_index, counter }.emit();
        *rest.first_chunk_mut().ok_or(Reason::TooBig)? = inner.emit();
        self.seal.seal(counter, SESSION_HEADER_LEN, datagram).map_err(|_| Reason::TooBig)?;
        Ok(length)
    }

    /// Whether one more handshake datagram of the peer counts now.
    pub fn takes_handshake(&self, now_ns: u64) -> bool {
        lock(&self.handshakes).take(HANDSHAKES, now_ns)
    }

    /// The id of the next frame that goes in parts.
    pub fn next_fragment_id(&self) -> u32 {
        self.cut.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens a datagram in place: tag, then replay window, then liveness.
    pub fn open<'a>(
        &self,
        header: &SessionHeader,
        datagram: &'a mut [u8],
        now_ns: u64,
    ) -> Result<OpenedSession<'a>, Reason> {
        let length = datagram.len() as u64;
        let plaintext =
            self.open.open(header.counter, SESSION_HEADER_LEN, datagram).map_err(|_| Reason::SessionAuth)?;
        let newest = {
            let mut window = lock(&self.window);
            let highest = window.highest();
            if !window.mark(header.counter) {
                return Err(Reason::SessionReplay);
            }
            header.counter > highest
        };
        self.received_ns.store(now_ns, Ordering::Relaxed);
        self.traffic.rx.add(1, length);
        let first = !self.has_received.load(Ordering::Relaxed) && !self.has_received.swap(true, Ordering::Relaxed);
        Ok(OpenedSession { plaintext, newest, first })
    }

    /// Where to send.
    pub fn endpoint(&self) -> Endpoint {
        self.path.endpoint()
    }

    /// The MTU of the peer's underlay, as it advertises.
    pub fn underlay_mtu(&self) -> usize {
        self.underlay_mtu.load(Ordering::Relaxed)
    }

    /// Datagrams sealed so far.
    pub fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::Relaxed)
    }

    /// Counts as if it had sealed so many datagrams. Never fewer than it has: their counters would come again.
    pub fn set_sealed(&self, datagrams: u64) {
        self.sealed.fetch_max(datagrams, Ordering::Relaxed);
    }

    /// May be sent on?
    pub fn confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }

    /// The time at which the last authentic datagram arrived, or at which it was installed.
    pub fn received_ns(&self) -> u64 {
        self.received_ns.load(Ordering::Relaxed)
    }

    /// Notes a probe sent now by this path or route; returns its value.
    pub fn probe(&self, via: ProbedVia, now_ns: u64) -> u64 {
        lock(&self.round_trip).probe(via, self.datagram_counts.routed(), now_ns)
    }

    /// Takes a probe reply, and how many datagrams had come at the peer, if it reports that; false when it answers no outstanding
    /// probe.
    pub fn probe_reply(&self, value: u64, came: Option<u64>, now_ns: u64) -> bool {
        let Some((via, sent)) = lock(&self.round_trip).reply(value, now_ns) else { return false };
        self.path.probe_answered(via, now_ns);
        if let Some(came) = came {
            self.path.receive_receipt(via, Receipt { session: self.index, sent, came });
        }
        true
    }

    /// The smoothed round-trip time in milliseconds.
    pub fn rtt_ms(&self) -> Option<f64> {
        lock(&self.round_trip).smoothed_ms()
    }

    /// The least of the last few round trips in milliseconds.
    pub fn least_rtt_ms(&self) -> Option<f64> {
        lock(&self.round_trip).least_ms()
    }
}

/// `((tx packets, tx bytes), (rx packets, rx bytes))`.
pub type Totals = ((u64, u64), (u64, u64));

/// A node that we have or had sessions with.
#[derive(Debug)]
pub struct Peer {
    /// Its node index.
    pub index: u32,
    /// Tree datagrams sent to it and come from it.
    pub tree_traffic: Traffic,
    /// Where all of its sessions send.
    pub path: Arc<Path>,
    past: Traffic,
    underlay_mtu: AtomicUsize,
    sessions: Mutex<Vec<Arc<Session>>>,
    current: ArcSwapOption<Session>,
}

impl Peer {
    /// A peer without sessions, and what was counted of it before.
    pub fn new(index: u32, path: Arc<Path>, ((tx, tx_bytes), (rx, rx_bytes)): Totals) -> Self {
        let (tree_traffic, past) = (Traffic::default(), Traffic::default());
        past.tx.add(tx, tx_bytes);
        past.rx.add(rx, rx_bytes);
        let underlay_mtu = AtomicUsize::new(LARGEST_UNDERLAY_MTU);
        let (sessions, current) = (Mutex::default(), ArcSwapOption::empty());
        Self { index, tree_traffic, path, past, underlay_mtu, sessions, current }
    }

    /// The newest confirmed session: what to send on.
    pub fn current(&self) -> Option<Arc<Session>> {
        self.current.load_full()
    }

    /// The newest session, confirmed or not.
    pub fn newest(&self) -> Option<Arc<Session>> {
        lock(&self.sessions).last().cloned()
    }

    /// Adds a session; returns the one that had to go: the oldest that is not in use.
    pub fn add(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut sessions = lock(&self.sessions);
        session.underlay_mtu.store(self.underlay_mtu(), Ordering::Relaxed);
        sessions.push(session);
        let in_use = self.current().map(|session| session.index);
        let dispensable = sessions.iter().position(|session| Some(session.index) != in_use).unwrap_or(0);
        let gone = (sessions.len() > MAX_SESSIONS_PER_PEER).then(|| sessions.remove(dispensable));
        if let Some(gone) = &gone {
            self.keep_numbers(gone);
        }
        self.choose(&sessions);
        gone
    }

    /// The MTU of its underlay, as it advertises; the largest there is until then.
    pub fn underlay_mtu(&self) -> usize {
        self.underlay_mtu.load(Ordering::Relaxed)
    }

    /// Sets the MTU of its sessions, present and future; returns the one before.
    pub fn set_underlay_mtu(&self, mtu: usize) -> usize {
        let sessions = lock(&self.sessions);
        sessions.iter().for_each(|session| session.underlay_mtu.store(mtu, Ordering::Relaxed));
        self.underlay_mtu.swap(mtu, Ordering::Relaxed)
    }

    /// Removes a session.
    pub fn remove(&self, index: u32) {
        let mut sessions = lock(&self.sessions);
        if let Some(position) = sessions.iter().position(|session| session.index == index) {
            let gone = sessions.remove(position);
            self.keep_numbers(&gone);
        }
        self.choose(&sessions);
    }

    /// Removes all sessions; returns their indices.
    pub fn clear(&self) -> Vec<u32> {
        let mut sessions = lock(&self.sessions);
        let indices = sessions.drain(..).map(|session| session.index).collect();
        self.current.store(None);
        indices
    }

    /// A session's first datagram has arrived: it may be sent on. Whoever sealed that has read what was sent to where the handshake
    /// found the peer.
    pub fn confirm(&self, session: &Session, now_ns: u64) {
        let sessions = lock(&self.sessions);
        if !session.confirmed() {
            self.path.validate(session.found_at, now_ns);
        }
        session.confirmed.store(true, Ordering::Release);
        self.choose(&sessions);
    }

    /// The totals of all sessions and trees.
    pub fn totals(&self) -> Totals {
        let sessions = lock(&self.sessions);
        let parts = sessions.iter().map(|session| &session.traffic).chain([&self.tree_traffic, &self.past]);
        parts.fold(((0, 0), (0, 0)), |(tx, rx), part| (sum(tx, &part.tx), sum(rx, &part.rx)))
    }

    fn choose(&self, sessions: &[Arc<Session>]) {
        self.current.store(sessions.iter().rev().find(|session| session.confirmed()).cloned());
    }

    fn keep_numbers(&self, session: &Session) {
        for (past, gone) in [(&self.past.tx, &session.traffic.tx), (&self.past.rx, &session.traffic.rx)] {
            let (packets, bytes) = gone.get();
            past.add(packets, bytes);
        }
    }
}

fn sum((packets, bytes): (u64, u64), volume: &Volume) -> (u64, u64) {
    let (more_packets, more_bytes) = volume.get();
    (packets + more_packets, bytes + more_bytes)
}
