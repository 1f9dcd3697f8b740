//! Token buckets, for what unknown senders can make this node do.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

/// `rate` events a second, after an initial `burst`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Events per second.
    pub per_second: u32,
    /// Events at once.
    pub burst: u32,
}

/// One token bucket; a token is 10^9 units, so that a nanosecond adds `per_second` units.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    used: u64,
    updated_ns: u64,
}

impl TokenBucket {
    /// Takes a token, if there is one at `now_ns`.
    pub fn take(&mut self, rate: Rate, now_ns: u64) -> bool {
        self.take_many(rate, 1, now_ns)
    }

    /// Takes `count` tokens if there is one at `now_ns`; what is missing is owed. So a burst taken as one is never
    /// refused for ever, and the rate holds in the long run.
    pub fn take_many(&mut self, rate: Rate, count: u32, now_ns: u64) -> bool {
        const TOKEN: u64 = 1_000_000_000;
        let elapsed = now_ns.saturating_sub(self.updated_ns);
        self.updated_ns = self.updated_ns.max(now_ns);
        self.used = self.used.saturating_sub(elapsed.saturating_mul(rate.per_second.into()));
        if self.used.saturating_add(TOKEN) > u64::from(rate.burst) * TOKEN {
            return false;
        }
        self.used = self.used.saturating_add(u64::from(count) * TOKEN);
        true
    }
}

/// A bounded number of buckets, shared by the prefixes (IPv4 /32, IPv6 /64) that hash to the same one under a secret.
#[derive(Debug)]
pub struct PrefixBuckets {
    rate: Rate,
    secret: std::hash::RandomState,
    buckets: Box<[TokenBucket]>,
}

impl PrefixBuckets {
    /// `count` buckets (at least one).
    pub fn new(rate: Rate, count: usize) -> Self {
        let buckets = vec![TokenBucket::default(); count.max(1)].into_boxed_slice();
        Self { rate, secret: std::hash::RandomState::new(), buckets }
    }

    /// Takes a token of the prefix that `address` lies in.
    pub fn take(&mut self, address: IpAddr, now_ns: u64) -> bool {
        let prefix = match address {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        };
        let slot = self.secret.hash_one(prefix) % self.buckets.len() as u64;
        let rate = self.rate;
        self.buckets.get_mut(slot as usize).is_some_and(|bucket| bucket.take(rate, now_ns))
    }
}
