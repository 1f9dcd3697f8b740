//! Frames that do not fit one datagram: cut in two on the way out, put together again on the way in (section 4).
//!
//! [`cut`] and [`Fragment`] are the wire format. [`Reassembly`] keeps the part that came first until the other comes: so
//! many per sender, so many in all, for a second. Everything in it is authentic, so a sender can only harm itself: when it
//! has too many, its own oldest goes.

use std::collections::HashMap;
use std::sync::Mutex;

use foldhash::quality::RandomState;

use crate::datagram::{PartialChecksum, TreeName};
use crate::reason::{Drops, Reason};
use crate::session::lock;
use crate::traffic_class::{decapsulate, of_parts};

/// Length of the fragment's header, the first bytes of the body.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// The longest frame: 1500, an Ethernet header, an 802.1Q tag.
pub const MAX_FRAME_LEN: usize = 1500 + 14 + 4;
const MIN_FRAME_LEN: usize = 14;
/// How long the first part waits for the other.
const LIFETIME_NS: u64 = 1_000_000_000;
/// Frames of one session or tree that may wait.
const MAX_PER_SENDER: usize = 64;
/// Frames that may wait in all: with their places 1.6 MB.
pub const MAX_WAITING: usize = 1024;
/// Old ones are looked for no oftener.
const SWEEP_NS: u64 = 100_000_000;

/// A fragment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Counts the frames of this session or tree that were cut; wraps.
    pub id: u32,
    /// 0: from the frame's first byte on; 1: up to its last.
    pub part: u8,
    /// Length of the whole frame.
    pub whole: u16,
}

impl Fragment {
    /// Reads the header and checks it against the bytes that follow and the frame's checksum; they are returned.
    pub fn parse(body: &[u8], checksum: Option<PartialChecksum>) -> Result<(Self, &[u8]), Reason> {
        let malformed = Reason::FragmentMalformed;
        let (header, bytes) = body.split_first_chunk::<FRAGMENT_HEADER_LEN>().ok_or(malformed)?;
        let [i0, i1, i2, i3, part, 0, w0, w1] = *header else { return Err(malformed) };
        let fragment = Self { id: u32::from_be_bytes([i0, i1, i2, i3]), part, whole: u16::from_be_bytes([w0, w1]) };
        let whole = usize::from(fragment.whole);
        let summed = checksum.map_or(0, |c| usize::from(c.start) + usize::from(c.offset) + 2);
        let fits = (MIN_FRAME_LEN..=MAX_FRAME_LEN).contains(&whole) && !bytes.is_empty() && bytes.len() < whole;
        if part > 1 || !fits || summed > whole {
            return Err(malformed);
        }
        Ok((fragment, bytes))
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; FRAGMENT_HEADER_LEN] {
        let [i0, i1, i2, i3] = self.id.to_be_bytes();
        let [w0, w1] = self.whole.to_be_bytes();
        [i0, i1, i2, i3, self.part, 0, w0, w1]
    }
}

/// Cuts a frame in the middle, so that both datagrams are equally long (but for one byte). None for one that is too long.
pub fn cut(frame: &[u8], id: u32) -> Option<[(Fragment, &[u8]); 2]> {
    if !(MIN_FRAME_LEN..=MAX_FRAME_LEN).contains(&frame.len()) {
        return None;
    }
    let whole = frame.len() as u16;
    let (front, back) = frame.split_at_checked(frame.len().div_ceil(2))?;
    Some([(Fragment { id, part: 0, whole }, front), (Fragment { id, part: 1, whole }, back)])
}

/// Whose ids a fragment's id is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A session, by our index.
    Session(u32),
    /// A tree of another root.
    Tree(TreeName),
}

/// A fragment that came: where it belongs and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who counted its id.
    pub sender: Sender,
    /// Its header.
    pub fragment: Fragment,
    /// The frame's checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
    /// The ECN of its datagram.
    pub ecn: u8,
    /// Its part of the frame.
    pub bytes: &'a [u8],
}

/// The part that came first.
#[derive(Debug)]
struct Waiting {
    key: (Sender, u32),
    part: u8,
    whole: u16,
    checksum: Option<PartialChecksum>,
    ecn: u8,
    since_ns: u64,
    length: usize,
    bytes: [u8; MAX_FRAME_LEN],
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reassembly(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Full and free places; made as they are needed, and kept.
    places: Vec<Waiting>,
    free: Vec<usize>,
    by_key: HashMap<(Sender, u32), usize, RandomState>,
    per_sender: HashMap<Sender, usize, RandomState>,
    swept_ns: u64,
}

impl Reassembly {
    /// Takes a fragment. When it is a frame's second to arrive, the frame is written to `out`, of at least
    /// [`MAX_FRAME_LEN`] bytes: its length. Frames that are given up are counted in `drops`; the error is of this fragment.
    pub fn take(
        &self,
        arrived: &Arrived<'_>,
        now_ns: u64,
        out: &mut [u8],
        drops: &Drops,
    ) -> Result<Option<usize>, Reason> {
        let mut places = lock(&self.0);
        places.expire(now_ns, drops);
        let key = (arrived.sender, arrived.fragment.id);
        let Some(number) = places.by_key.get(&key).copied() else {
            places.keep(arrived, now_ns, drops);
            return Ok(None);
        };
        let waiting = places.places.get(number).ok_or(Reason::FragmentMalformed)?;
        if waiting.part == arrived.fragment.part && waiting.whole == arrived.fragment.whole {
            return Err(Reason::FragmentDuplicate);
        }
        let joined = waiting.join(arrived, out);
        let ecn = of_parts(waiting.ecn, arrived.ecn);
        places.release(number);
        let Some(length) = joined else {
            drops.count(Reason::FragmentMalformed); // the part that waited
            return Err(Reason::FragmentMalformed);
        };
        decapsulate(out.get_mut(..length).unwrap_or_default(), ecn)?;
        Ok(Some(length))
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
    /// Writes both parts; None when they are not the two parts of one frame.
    fn join(&self, arrived: &Arrived<'_>, out: &mut [u8]) -> Option<usize> {
        let Fragment { part, whole, .. } = arrived.fragment;
        let mine = self.bytes.get(..self.length)?;
        let whole_len = usize::from(whole);
        let same = part != self.part && whole == self.whole && arrived.checksum == self.checksum;
        if !same || mine.len() + arrived.bytes.len() != whole_len {
            return None;
        }
        let (front, back) = if part == 1 { (mine, arrived.bytes) } else { (arrived.bytes, mine) };
        let (to_front, to_back) = out.get_mut(..whole_len)?.split_at_mut_checked(front.len())?;
        to_front.copy_from_slice(front);
        to_back.copy_from_slice(back);
        Some(whole_len)
    }
}

impl Places {
    fn keep(&mut self, arrived: &Arrived<'_>, now_ns: u64, drops: &Drops) {
        let of_sender = self.per_sender.get(&arrived.sender).copied().unwrap_or_default();
        if of_sender >= MAX_PER_SENDER {
            self.give_up_oldest(Some(arrived.sender), drops);
        } else if self.by_key.len() >= MAX_WAITING {
            self.give_up_oldest(None, drops);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Waiting::empty(arrived.sender));
            self.places.len() - 1
        });
        let Some(place) = self.places.get_mut(number) else { return };
        let Arrived { sender, fragment: Fragment { id, part, whole }, checksum, ecn, bytes } = *arrived;
        let length = bytes.len().min(MAX_FRAME_LEN);
        place.key = (sender, id);
        (place.part, place.whole, place.checksum, place.ecn) = (part, whole, checksum, ecn);
        (place.since_ns, place.length) = (now_ns, length);
        place.bytes[..length].copy_from_slice(&bytes[..length]);
        self.by_key.insert(place.key, number);
        *self.per_sender.entry(sender).or_default() += 1;
    }

    fn give_up_oldest(&mut self, sender: Option<Sender>, drops: &Drops) {
        let of = |number: &&usize| sender.is_none_or(|sender| self.places[**number].key.0 == sender);
        let oldest = self.by_key.values().filter(of).min_by_key(|number| self.places[**number].since_ns).copied();
        if let Some(number) = oldest {
            self.release(number);
            drops.count(Reason::FragmentTableFull);
        }
    }

    fn expire(&mut self, now_ns: u64, drops: &Drops) {
        if now_ns < self.swept_ns + SWEEP_NS || self.by_key.is_empty() {
            return;
        }
        self.swept_ns = now_ns;
        let is_old = |number: &&usize| now_ns >= self.places[**number].since_ns + LIFETIME_NS;
        let old: Vec<usize> = self.by_key.values().filter(is_old).copied().collect();
        drops.add(Reason::FragmentTimeout, old.len() as u64);
        old.into_iter().for_each(|number| self.release(number));
    }

    /// Empties a place.
    fn release(&mut self, number: usize) {
        let key = self.places[number].key;
        self.by_key.remove(&key);
        self.free.push(number);
        if let Some(count) = self.per_sender.get_mut(&key.0) {
            *count -= 1;
            if *count == 0 {
                self.per_sender.remove(&key.0);
            }
        }
    }
}

impl Waiting {
    fn empty(sender: Sender) -> Self {
        let (key, bytes) = ((sender, 0), [0; MAX_FRAME_LEN]);
        Self { key, part: 0, whole: 0, checksum: None, ecn: 0, since_ns: 0, length: 0, bytes }
    }
}
