//! Addresses that were sent cookies lately: how many each gets while cookies wait in this machine.
//!
//! Cookies wait where nobody has the address on the LAN (an unresolved neighbour), which who forges it decides. A slot is the last
//! address's that hashes to it: who floods can displace others, but by that nobody gets less than he has.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Mutex;

use crate::rate::{Rate, TokenBucket};
use crate::session::lock;

/// The rate of cookies: with three seconds for each of 1,024 neighbours (the kernel's limit) 6,144 wait, 5 MB of the kernel's.
const PER_ADDRESS: Rate = Rate { per_second: 2, burst: 2 };
const SLOTS: usize = 4096;

/// The addresses, by their hash under a secret.
#[derive(Debug)]
pub struct AnsweredAddresses {
    secret: std::hash::RandomState,
    slots: Mutex<Box<[(u64, TokenBucket)]>>,
}

impl Default for AnsweredAddresses {
    fn default() -> Self {
        let slots = vec![(0, TokenBucket::default()); SLOTS].into_boxed_slice();
        Self { secret: std::hash::RandomState::new(), slots: Mutex::new(slots) }
    }
}

impl AnsweredAddresses {
    /// Whether one more is for this address.
    pub fn take(&self, address: IpAddr, now_ns: u64) -> bool {
        let hash = self.secret.hash_one(address);
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.get_mut(hash as usize % SLOTS) else { return false };
        if slot.0 != hash {
            *slot = (hash, TokenBucket::default());
        }
        slot.1.take(PER_ADDRESS, now_ns)
    }
}
