//! Frames that do not fit one datagram: cut on the way out, put together again on the way in (section 4).
//!
//! [`cut`] and [`Fragment`] are the wire format. [`Reassembly`] keeps the parts that came until the last one comes: so many
//! frames per sender, so many in all, for a second. Everything in it is authentic, so a node can only harm itself: where a
//! sender of it has too many, its own oldest goes, and where all have too many, the oldest of the node with most.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Mutex;

use foldhash::quality::RandomState;

use crate::datagram::{PartialChecksum, StreamName};
use crate::headers::Headers;
use crate::limits::{MAX_REASSEMBLIES, MAX_REASSEMBLIES_PER_SENDER};
use crate::reason::{Drops, Reason};
use crate::refusals::RefusalCounts;
use crate::session::lock;
use crate::traffic_class::{decapsulate, of_parts};

/// Length of the fragment's header, the first bytes of the body.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// The longest frame: 9000, an Ethernet header, an 802.1Q tag.
pub const MAX_FRAME_LEN: usize = 9000 + 14 + 4;
const MIN_FRAME_LEN: usize = 14;
/// Fragments of the longest frame on the underlay with the smallest MTU.
const MAX_PARTS: u8 = 8;
/// How long the parts that came wait for the others.
const LIFETIME_NS: u64 = 1_000_000_000;
/// Old ones are looked for no oftener.
const SWEEP_NS: u64 = 100_000_000;

/// A fragment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Counts the frames of this session or tree that were cut; wraps.
    pub id: u32,
    /// The part's number, from 0 on.
    pub part: u8,
    /// Number of all parts: at least two.
    pub parts: u8,
    /// Length of the whole frame.
    pub whole: u16,
}

impl Fragment {
    /// Reads the header and checks it against the bytes that follow and the frame's checksum; they are returned.
    pub fn parse(body: &[u8], checksum: Option<PartialChecksum>) -> Result<(Self, &[u8]), Reason> {
        let malformed = Reason::FragmentMalformed;
        let (header, bytes) = body.split_first_chunk::<FRAGMENT_HEADER_LEN>().ok_or(malformed)?;
        let [i0, i1, i2, i3, part, parts, w0, w1] = *header;
        let id = u32::from_be_bytes([i0, i1, i2, i3]);
        let fragment = Self { id, part, parts, whole: u16::from_be_bytes([w0, w1]) };
        let whole = usize::from(fragment.whole);
        let summed = checksum.map_or(0, |c| usize::from(c.start) + usize::from(c.offset) + 2);
        let fits = (MIN_FRAME_LEN..=MAX_FRAME_LEN).contains(&whole) && summed <= whole;
        if !fits || !(2..=MAX_PARTS).contains(&parts) || part >= parts {
            return Err(malformed);
        }
        let range = fragment.range();
        if range.is_empty() || range.len() != bytes.len() {
            return Err(malformed);
        }
        Ok((fragment, bytes))
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; FRAGMENT_HEADER_LEN] {
        let [i0, i1, i2, i3] = self.id.to_be_bytes();
        let [w0, w1] = self.whole.to_be_bytes();
        [i0, i1, i2, i3, self.part, self.parts, w0, w1]
    }

    /// The range of the frame's bytes that it holds: all parts are equally long, but the last may be shorter.
    fn range(&self) -> Range<usize> {
        let whole = usize::from(self.whole);
        let each = whole.div_ceil(usize::from(self.parts));
        let start = each * usize::from(self.part);
        start..(start + each).min(whole)
    }
}

/// Cuts a frame into as few parts as hold at most `most` bytes of it each, at least two. None where that is impossible.
pub fn cut(frame: &[u8], id: u32, most: usize) -> Option<impl Iterator<Item = (Fragment, &[u8])>> {
    let whole = u16::try_from(frame.len()).ok()?;
    let parts = frame.len().div_ceil(most.max(1)).max(2);
    if !(MIN_FRAME_LEN..=MAX_FRAME_LEN).contains(&frame.len()) || parts > usize::from(MAX_PARTS) {
        return None;
    }
    let parts = parts as u8;
    Some((0..parts).filter_map(move |part| {
        let fragment = Fragment { id, part, parts, whole };
        frame.get(fragment.range()).map(|bytes| (fragment, bytes))
    }))
}

/// The session or tree that counts a fragment's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// A session, by our index.
    Session(u32),
    /// A tree of another root.
    Stream(StreamName),
}

/// A fragment that came: where it belongs and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// The node that sealed it.
    pub node: u32,
    /// The session or tree that counted its id.
    pub sender: SentBy,
    /// Its header.
    pub fragment: Fragment,
    /// The frame's checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
    /// The ECN of its datagram.
    pub ecn: u8,
    /// Its part of the frame.
    pub bytes: &'a [u8],
}

/// A frame of which some parts came.
#[derive(Debug)]
struct Waiting {
    node: u32,
    key: (SentBy, u32),
    parts: u8,
    /// Bit n: part n came.
    came: u8,
    checksum: Option<PartialChecksum>,
    ecn: u8,
    since_ns: u64,
    /// The frame's bytes, as many as it has. Its memory stays when the slot is free.
    bytes: Vec<u8>,
}

/// The parts of frames that are not whole yet.
#[derive(Debug, Default)]
pub struct Reassembly(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    /// Full and free slots; made as they are needed, and kept.
    slots: Vec<Waiting>,
    free: Vec<usize>,
    by_key: HashMap<(SentBy, u32), usize, RandomState>,
    per_sender: HashMap<SentBy, usize, RandomState>,
    per_node: HashMap<u32, usize, RandomState>,
    swept_ns: u64,
}

impl Reassembly {
    /// Takes a fragment. When it is a frame's last to arrive, the frame is written to `out`, of at least
    /// [`MAX_FRAME_LEN`] bytes: its length and headers. Frames that are given up are counted in `drops`, and where that
    /// is for others in `refusals`, too; the error is of this fragment.
    pub fn take(
        &self,
        arrived: &Arrived<'_>,
        now_ns: u64,
        out: &mut [u8],
        (drops, refusals): (&Drops, &RefusalCounts),
    ) -> Result<Option<(usize, Headers)>, Reason> {
        let mut table = lock(&self.0);
        table.expire(now_ns, drops);
        let key = (arrived.sender, arrived.fragment.id);
        let Some(number) = table.by_key.get(&key).copied() else {
            if let Some(node) = table.keep(arrived, now_ns) {
                drops.count(Reason::FragmentTableFull);
                refusals.note(node, Reason::FragmentTableFull);
            }
            return Ok(None);
        };
        let waiting = table.slots.get_mut(number).ok_or(Reason::FragmentMalformed)?;
        if !waiting.is_of(arrived) || !waiting.put(arrived)? {
            table.release(number);
            drops.count(Reason::FragmentMalformed); // the parts that waited
            return Err(Reason::FragmentMalformed);
        }
        if !waiting.is_whole() {
            return Ok(None);
        }
        let (length, ecn) = (waiting.bytes.len(), waiting.ecn);
        let copied = out.get_mut(..length).map(|frame| frame.copy_from_slice(&waiting.bytes));
        table.release(number);
        copied.ok_or(Reason::TooBig)?;
        let frame = out.get_mut(..length).unwrap_or_default();
        let headers = Headers::parse(frame);
        decapsulate(frame, &headers, ecn)?;
        Ok(Some((length, headers)))
    }

    /// Gives up frames that waited too long; to be called now and then.
    pub fn expire(&self, now_ns: u64, drops: &Drops) {
        lock(&self.0).expire(now_ns, drops);
    }

    /// Frames that wait.
    pub fn waiting(&self) -> usize {
        lock(&self.0).by_key.len()
    }
}

impl Waiting {
    fn empty(sender: SentBy) -> Self {
        Self { node: 0, key: (sender, 0), parts: 0, came: 0, checksum: None, ecn: 0, since_ns: 0, bytes: Vec::new() }
    }

    /// Is it a part of the frame that the others are of?
    fn is_of(&self, arrived: &Arrived<'_>) -> bool {
        let Fragment { parts, whole, .. } = arrived.fragment;
        parts == self.parts && usize::from(whole) == self.bytes.len() && arrived.checksum == self.checksum
    }

    /// Keeps the part's bytes; false when they do not fit. The error is of a part that came before.
    fn put(&mut self, arrived: &Arrived<'_>) -> Result<bool, Reason> {
        let bit = 1_u8.checked_shl(arrived.fragment.part.into()).unwrap_or(0);
        if self.came & bit != 0 {
            return Err(Reason::FragmentDuplicate);
        }
        let place = self.bytes.get_mut(arrived.fragment.range()).filter(|place| place.len() == arrived.bytes.len());
        let Some(place) = place else { return Ok(false) };
        place.copy_from_slice(arrived.bytes);
        self.came |= bit;
        self.ecn = of_parts(self.ecn, arrived.ecn);
        Ok(true)
    }

    fn is_whole(&self) -> bool {
        self.came.count_ones() == u32::from(self.parts)
    }
}

impl Slots {
    /// The node of which a frame made room, where one did.
    fn keep(&mut self, arrived: &Arrived<'_>, now_ns: u64) -> Option<u32> {
        let of_sender = self.per_sender.get(&arrived.sender).copied().unwrap_or_default();
        let given_up = if of_sender >= MAX_REASSEMBLIES_PER_SENDER {
            self.oldest(|waiting| waiting.key.0 == arrived.sender)
        } else if self.by_key.len() >= MAX_REASSEMBLIES {
            let most = self.per_node.values().max();
            self.oldest(|waiting| self.per_node.get(&waiting.node) == most)
        } else {
            None
        };
        let given_up = given_up.map(|number| self.release(number));
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Waiting::empty(arrived.sender));
            self.slots.len() - 1
        });
        let Some(slot) = self.slots.get_mut(number) else { return given_up };
        let Arrived { node, sender, fragment: Fragment { id, parts, whole, .. }, checksum, ecn, .. } = *arrived;
        (slot.node, slot.key) = (node, (sender, id));
        (slot.parts, slot.came, slot.checksum, slot.ecn, slot.since_ns) = (parts, 0, checksum, ecn, now_ns);
        slot.bytes.clear();
        slot.bytes.resize(whole.into(), 0);
        let _ = slot.put(arrived); // the first of its frame; it fits, it was parsed
        self.by_key.insert(slot.key, number);
        *self.per_sender.entry(sender).or_default() += 1;
        *self.per_node.entry(node).or_default() += 1;
        given_up
    }

    fn oldest(&self, is_of: impl Fn(&Waiting) -> bool) -> Option<usize> {
        let of = |number: &&usize| is_of(&self.slots[**number]);
        self.by_key.values().filter(of).min_by_key(|number| self.slots[**number].since_ns).copied()
    }

    fn expire(&mut self, now_ns: u64, drops: &Drops) {
        if now_ns < self.swept_ns + SWEEP_NS || self.by_key.is_empty() {
            return;
        }
        self.swept_ns = now_ns;
        let is_old = |number: &&usize| now_ns >= self.slots[**number].since_ns + LIFETIME_NS;
        let old: Vec<usize> = self.by_key.values().filter(is_old).copied().collect();
        drops.add(Reason::FragmentTimeout, old.len() as u64);
        for number in old {
            self.release(number);
        }
    }

    /// Empties a slot; the node that it was of.
    fn release(&mut self, number: usize) -> u32 {
        let Waiting { node, key, .. } = self.slots[number];
        self.by_key.remove(&key);
        self.free.push(number);
        one_fewer(&mut self.per_sender, &key.0);
        one_fewer(&mut self.per_node, &node);
        node
    }
}

fn one_fewer<K: Hash + Eq>(counts: &mut HashMap<K, usize, RandomState>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
