//! Ports of the node: whether one is open, how much it may flood, which hosts were seen on it.
//!
//! A worker reads on the way of each frame, Python sets: switches and limits are atomics, and the table of hosts lies behind a
//! mutex that is taken only when the source changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};
use std::sync::Mutex;

use foldhash::quality::RandomState; // seeded at random: a host cannot choose addresses that collide

use crate::flows::FlowTable;
use crate::headers::{Frame, Mac};
use crate::keep_local::KeptLocalKind;
use crate::limits::MAX_SEEN_HOSTS;
use crate::rate::{Rate, TokenBucket};
use crate::reason::Reason;
use crate::session::lock;

/// The TAP's number among them.
pub const TAP_PORT: u32 = 0;

/// A host that still sends is reported again after this.
const REPORTED_FOR_NS: u64 = 60_000_000_000;
/// A host that could not be reported is not tried again at each frame.
const RETRY_NS: u64 = 10_000_000;
/// A full table is searched for old entries no oftener.
const SWEEP_NS: u64 = 1_000_000_000;
const NO_LIMIT: u32 = u32::MAX;

/// Kinds of frames that flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storm {
    /// Frames to the broadcast MAC.
    Broadcast,
    /// Frames to a group's MAC.
    Multicast,
    /// Frames to a MAC that nobody knows.
    UnknownUnicast,
}

impl Storm {
    const fn reason(self) -> Reason {
        match self {
            Self::Broadcast => Reason::StormBroadcast,
            Self::Multicast => Reason::StormMulticast,
            Self::UnknownUnicast => Reason::StormUnknownUnicast,
        }
    }
}

/// Frames a second that may enter the overlay.
#[derive(Debug)]
struct Limit {
    per_second: AtomicU32,
    bucket: Mutex<TokenBucket>,
    /// Frames above it.
    refused: AtomicU64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { per_second: AtomicU32::new(NO_LIMIT), bucket: Mutex::default(), refused: AtomicU64::new(0) }
    }
}

impl Limit {
    fn set(&self, per_second: Option<u32>) {
        self.per_second.store(per_second.unwrap_or(NO_LIMIT), Ordering::Relaxed);
        *lock(&self.bucket) = TokenBucket::default();
        self.refused.store(0, Ordering::Relaxed);
    }

    fn take(&self, frames: u32, now_ns: u64) -> bool {
        let per_second = self.per_second.load(Ordering::Relaxed);
        let rate = Rate { per_second, burst: per_second };
        per_second == NO_LIMIT || lock(&self.bucket).take_many(rate, frames, now_ns)
    }
}

/// One port.
#[derive(Debug, Default)]
pub struct Port {
    /// How often it was renewed.
    generation: AtomicU32,
    blocked: AtomicBool,
    /// A packet socket on an interface that carries no other machine's frames: multicast only.
    packet_port: AtomicBool,
    /// Groups go out by filter only.
    selective: AtomicBool,
    floods_unknown: AtomicBool,
    /// Frames by which its LAN configures its own hosts alone, by [`KeptLocalKind::bit`].
    keeps: AtomicU8,
    /// Frames for groups go out one by one.
    groups_singly: AtomicBool,
    limits: [Limit; 3],
    /// The host of the frame before, and until when it needs no look at the table.
    last: AtomicU64,
    last_until_ns: AtomicU64,
    seen: Mutex<Seen>,
    /// Flows of its hosts to groups.
    pub sent: FlowTable,
}

impl Port {
    /// Do data frames pass?
    pub fn forwards(&self) -> bool {
        !self.blocked.load(Ordering::Relaxed)
    }

    /// Opens or closes it to data frames.
    pub fn set_forwarding(&self, on: bool) {
        self.blocked.store(!on, Ordering::Relaxed);
    }

    /// Is it a packet socket's? Then it takes and gives multicast only, without tags.
    pub fn is_packet_port(&self) -> bool {
        self.packet_port.load(Ordering::Relaxed)
    }

    /// Does it get only the groups that its hosts want?
    pub fn is_selective(&self) -> bool {
        self.selective.load(Ordering::Relaxed)
    }

    /// Sets whether it gets only the groups that its hosts want, or all that come to this node.
    pub fn set_selective(&self, on: bool) {
        self.selective.store(on, Ordering::Relaxed);
    }

    /// The generation of a port with this number: events of one that was closed are not this one's.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Resets the port. A packet port begins blocked and selective.
    pub fn renew(&self, packet_port: bool) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.blocked.store(packet_port, Ordering::Relaxed);
        self.selective.store(packet_port, Ordering::Relaxed);
        self.packet_port.store(packet_port, Ordering::Relaxed);
        self.floods_unknown.store(false, Ordering::Relaxed);
        self.set_storm_limits(None, None, None);
        self.set_keep_local(false, false);
        *lock(&self.seen) = Seen::default();
        self.sent.clear();
        self.last.store(0, Ordering::Relaxed);
    }

    /// Do frames for groups go out one by one, never joined? Who routes them may need that.
    pub fn groups_go_singly(&self) -> bool {
        self.groups_singly.load(Ordering::Relaxed)
    }

    /// Whether frames for groups go out one by one, or joined into super-frames where they may be.
    pub fn set_groups_singly(&self, on: bool) {
        self.groups_singly.store(on, Ordering::Relaxed);
    }

    /// Is unknown unicast sent to all?
    pub fn floods_unknown(&self) -> bool {
        self.floods_unknown.load(Ordering::Relaxed)
    }

    /// Whether unknown unicast is sent to all, or dropped.
    pub fn set_unknown_unicast_flood(&self, on: bool) {
        self.floods_unknown.store(on, Ordering::Relaxed);
    }

    /// Sets which frames neither leave the port's LAN for the overlay nor come there from it.
    pub fn set_keep_local(&self, routers: bool, dhcp: bool) {
        let bit = |on: bool, kind: KeptLocalKind| if on { kind.bit() } else { 0 };
        self.keeps.store(bit(routers, KeptLocalKind::Routers) | bit(dhcp, KeptLocalKind::Dhcp), Ordering::Relaxed);
    }

    /// May a frame pass, in whichever direction?
    pub fn passes(&self, frame: &Frame<'_>) -> Result<(), Reason> {
        let keeps = self.keeps.load(Ordering::Relaxed);
        if keeps == 0 {
            return Ok(());
        }
        match KeptLocalKind::of(frame) {
            Some(kind) if keeps & kind.bit() != 0 => Err(kind.reason()),
            _ => Ok(()),
        }
    }

    /// Sets the limits, in frames a second; the burst is one second's. None: no limit.
    pub fn set_storm_limits(&self, broadcast: Option<u32>, multicast: Option<u32>, unknown_unicast: Option<u32>) {
        for (limit, per_second) in self.limits.iter().zip([broadcast, multicast, unknown_unicast]) {
            limit.set(per_second);
        }
    }

    /// May these frames enter the overlay?
    pub fn admit(&self, storm: Storm, frames: u32, now_ns: u64) -> Result<(), Reason> {
        let Some(limit) = self.limits.get(storm as usize) else { return Ok(()) };
        if limit.take(frames, now_ns) {
            return Ok(());
        }
        limit.refused.fetch_add(u64::from(frames), Ordering::Relaxed);
        Err(storm.reason())
    }

    /// Frames above each limit since it was set, in the order of `set_storm_limits`.
    pub fn storm_refused(&self) -> [u64; 3] {
        self.limits.each_ref().map(|limit| limit.refused.load(Ordering::Relaxed))
    }

    /// A frame came from this host. `report` is called when it is to be reported; it returns whether it could be.
    pub fn saw(
        &self,
        vlan: u16,
        mac: Mac,
        now_ns: u64,
        report: impl FnOnce() -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let (key, group) = (host_key(vlan, mac), mac[0] & 1 != 0);
        let same = self.last.load(Ordering::Relaxed) == key;
        if same && now_ns < self.last_until_ns.load(Ordering::Relaxed) || group || mac == [0; 6] {
            return Ok(());
        }
        let reported_until = lock(&self.seen).note(key, now_ns, report);
        self.last.store(key, Ordering::Relaxed);
        self.last_until_ns.store(reported_until.unwrap_or(now_ns + RETRY_NS), Ordering::Relaxed);
        reported_until.map(|_| ())
    }

    /// The host lives elsewhere now: a frame of it that comes here again is reported at once.
    pub fn forget(&self, vlan: u16, mac: Mac) {
        let key = host_key(vlan, mac);
        lock(&self.seen).until_ns.remove(&key);
        let _ = self.last.compare_exchange(key, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn host_key(vlan: u16, [a, b, c, d, e, f]: Mac) -> u64 {
    u64::from_be_bytes([(vlan >> 8) as u8, vlan as u8, a, b, c, d, e, f])
}

/// Hosts that were reported, and until when that will do.
#[derive(Debug, Default)]
struct Seen {
    until_ns: HashMap<u64, u64, RandomState>,
    swept_ns: u64,
}

impl Seen {
    /// The time until which the host need not be reported.
    fn note(&mut self, key: u64, now_ns: u64, report: impl FnOnce() -> Result<(), Reason>) -> Result<u64, Reason> {
        if let Some(until_ns) = self.until_ns.get(&key).filter(|until_ns| now_ns < **until_ns) {
            return Ok(*until_ns);
        }
        if self.until_ns.len() >= MAX_SEEN_HOSTS && !self.until_ns.contains_key(&key) {
            self.sweep(now_ns);
            if self.until_ns.len() >= MAX_SEEN_HOSTS {
                return Err(Reason::HostsSeenFull);
            }
        }
        report()?;
        self.until_ns.insert(key, now_ns + REPORTED_FOR_NS);
        Ok(now_ns + REPORTED_FOR_NS)
    }

    fn sweep(&mut self, now_ns: u64) {
        if now_ns >= self.swept_ns + SWEEP_NS {
            self.swept_ns = now_ns;
            self.until_ns.retain(|_, until_ns| now_ns < *until_ns);
        }
    }
}
