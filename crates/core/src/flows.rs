//! Flows: packets and bytes by sender and group, in tables of a fixed size.
//!
//! A port has one table for what its hosts send, the node one for what its hosts are given. Anybody on a LAN may send to any
//! number of groups from any number of addresses. So a flow has a set of few places, found by a keyed hash; in a full set the
//! place is given up by a flow that ended long ago, else by the owner (a MAC, a root) with most flows in it, its smallest one.
//! So one owner displaces itself, and many who send a frame each displace each other.
//!
//! Workers count runs of frames ([`FlowAccount`]) and take a set's lock once a run; a reader holds one lock at a time.

use std::cmp::Reverse;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Mutex;

use foldhash::quality::RandomState; // seeded at random: a host cannot choose flows that collide

use crate::limits::MAX_FLOWS;
use crate::session::lock;

const PLACES: usize = 16;
const SETS: usize = MAX_FLOWS / PLACES;
/// A source that is silent for so long is no sender any more: the Keepalive_Period of RFC 7761 section 4.11.
pub const SENDER_LIFETIME_NS: u64 = 210_000_000_000;
/// A rate is measured over one to two such spans, and over no less than half of one.
const RATE_SPAN_NS: u64 = 2_000_000_000;
/// A flow that was silent for so long has no rate.
const RATE_SILENCE_NS: u64 = 5_000_000_000;

/// The key of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The 802.1Q VLAN id, 0 when untagged.
    pub vlan: u16,
    /// The node at which it entered the overlay.
    pub root: u32,
    /// The IP destination.
    pub group: IpAddr,
    /// The IP source.
    pub source: IpAddr,
}

/// The counts of a flow at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FlowCounts {
    at_ns: u64,
    packets: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: FlowKey,
    owner: u64,
    packets: u64,
    bytes: u64,
    last_ns: u64,
    /// Its first frame, or the first after a silence of [`SENDER_LIFETIME_NS`].
    began: FlowCounts,
    /// Two moments of late, the older first: their difference is the rate.
    marks: [FlowCounts; 2],
}

/// A flow as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowReport {
    /// The flow that is reported.
    pub key: FlowKey,
    /// All frames of it that were counted.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The time since its first frame, or the first after it had ended.
    pub since_ns: u64,
    /// Frames since then.
    pub since_packets: u64,
    /// Their bytes.
    pub since_bytes: u64,
    /// The time since its last frame.
    pub silent_ns: u64,
    /// Frames and bits a second of late; None: not measured yet.
    pub rate: Option<(f64, f64)>,
}

impl FlowReport {
    /// Does its source count as a sender?
    pub fn is_sending(&self) -> bool {
        self.silent_ns < SENDER_LIFETIME_NS
    }
}

impl Entry {
    fn new(key: FlowKey, owner: u64, now_ns: u64) -> Self {
        let began = FlowCounts { at_ns: now_ns, packets: 0, bytes: 0 };
        Self { key, owner, packets: 0, bytes: 0, last_ns: now_ns, began, marks: [began; 2] }
    }

    fn add(&mut self, packets: u64, bytes: u64, now_ns: u64) {
        let now = FlowCounts { at_ns: now_ns, packets: self.packets, bytes: self.bytes };
        let silent_ns = now_ns.saturating_sub(self.last_ns);
        if silent_ns >= SENDER_LIFETIME_NS {
            self.began = now;
        }
        if silent_ns >= RATE_SILENCE_NS {
            self.marks = [now; 2];
        } else if now_ns.saturating_sub(self.marks[1].at_ns) >= RATE_SPAN_NS {
            self.marks = [self.marks[1], now];
        }
        self.packets += packets;
        self.bytes += bytes;
        self.last_ns = self.last_ns.max(now_ns);
    }

    fn report(&self, now_ns: u64) -> FlowReport {
        let silent_ns = now_ns.saturating_sub(self.last_ns);
        FlowReport {
            key: self.key,
            packets: self.packets,
            bytes: self.bytes,
            since_ns: now_ns.saturating_sub(self.began.at_ns),
            since_packets: self.packets - self.began.packets,
            since_bytes: self.bytes - self.began.bytes,
            silent_ns,
            rate: if silent_ns >= RATE_SILENCE_NS { Some((0.0, 0.0)) } else { self.rate(now_ns) },
        }
    }

    fn rate(&self, now_ns: u64) -> Option<(f64, f64)> {
        let since = self.marks[0];
        let span_ns = now_ns.saturating_sub(since.at_ns);
        let per_second = |count: u64| count as f64 * 1e9 / span_ns as f64;
        let (packets, bytes) = (self.packets - since.packets, self.bytes - since.bytes);
        (span_ns >= RATE_SPAN_NS / 2).then(|| (per_second(packets), per_second(8 * bytes)))
    }
}

/// Packets and bytes by sender and group, in a fixed number of places.
#[derive(Debug)]
pub struct FlowTable {
    hasher: RandomState,
    sets: Box<[Mutex<Vec<Entry>>]>,
}

impl Default for FlowTable {
    fn default() -> Self {
        Self { hasher: RandomState::default(), sets: (0..SETS).map(|_| Mutex::default()).collect() }
    }
}

impl FlowTable {
    /// Counts frames of a flow. True when another flow that still sends had to give way to it.
    pub fn add(&self, key: &FlowKey, owner: u64, packets: u64, bytes: u64, now_ns: u64) -> bool {
        let number = (self.hasher.hash_one(key) >> 32) as usize % SETS;
        let Some(set) = self.sets.get(number) else { return false };
        let mut set = lock(set);
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == *key) {
            entry.add(packets, bytes, now_ns);
            return false;
        }
        let mut entry = Entry::new(*key, owner, now_ns);
        entry.add(packets, bytes, now_ns);
        if set.len() < PLACES {
            set.push(entry);
            return false;
        }
        let Some(gone) = who_gives_way(&set, now_ns) else { return false };
        let before = set.get_mut(gone).map(|place| std::mem::replace(place, entry));
        before.is_some_and(|before| before.report(now_ns).is_sending())
    }

    /// All flows, in no order.
    pub fn report(&self, now_ns: u64) -> Vec<FlowReport> {
        let mut reports = Vec::new();
        for set in &self.sets {
            let set = lock(set).clone();
            reports.extend(set.iter().map(|entry| entry.report(now_ns)));
        }
        reports
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.sets.iter().for_each(|set| lock(set).clear());
    }
}

fn who_gives_way(set: &[Entry], now_ns: u64) -> Option<usize> {
    let rank = |entry: &Entry| {
        let ended = now_ns.saturating_sub(entry.last_ns) >= SENDER_LIFETIME_NS;
        let of_owner = set.iter().filter(|other| other.owner == entry.owner).count();
        (ended, of_owner, Reverse(entry.packets), Reverse(entry.last_ns))
    };
    set.iter().enumerate().max_by_key(|(_, entry)| rank(entry)).map(|(place, _)| place)
}

/// Frames of one flow that came one after another: counted in the table when another flow's come, or at the end of a batch.
#[derive(Debug, Default)]
pub struct FlowAccount {
    run: Option<(FlowKey, u64)>,
    packets: u64,
    bytes: u64,
    replaced: u64,
}

impl FlowAccount {
    /// Counts frames of a flow.
    pub fn add(&mut self, table: &FlowTable, key: FlowKey, owner: u64, packets: usize, bytes: usize, now_ns: u64) {
        if self.run != Some((key, owner)) {
            self.put(table, now_ns);
            self.run = Some((key, owner));
        }
        self.packets += packets as u64;
        self.bytes += bytes as u64;
    }

    /// Counts at the end of a batch how many flows that still send had to give way to others in it.
    pub fn finish(&mut self, table: &FlowTable, now_ns: u64) -> u64 {
        self.put(table, now_ns);
        std::mem::take(&mut self.replaced)
    }

    fn put(&mut self, table: &FlowTable, now_ns: u64) {
        if let Some((key, owner)) = self.run.take() {
            self.replaced += u64::from(table.add(&key, owner, self.packets, self.bytes, now_ns));
        }
        (self.packets, self.bytes) = (0, 0);
    }
}
