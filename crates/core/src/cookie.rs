//! Cookies (`docs/protocol.md` section 3): under load, an INIT counts only from an address that has answered before.
//!
//! Nothing is kept of who was sent one: it is a MAC of the address, under a secret of this run that changes with time.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{constant_time, hmac, rand};

use crate::datagram::{u32_at, COOKIE};
use crate::mac::{prefix, MacKey, COOKIE_MAC_LEN, HANDSHAKE_LEN, MAC_LEN};
use crate::rate::{PrefixBuckets, Rate, TokenBucket};
use crate::reason::Reason;

/// Length of a cookie.
pub const COOKIE_LEN: usize = 16;
/// Length of a COOKIE datagram.
pub const COOKIE_DATAGRAM_LEN: usize = 8 + MAC_LEN + COOKIE_LEN + MAC_LEN;

/// INITs with a good MAC that are no load.
const UNLOADED: Rate = Rate { per_second: 100, burst: 100 };
/// INITs of one IPv4 address or IPv6 /64: of those with a cookie, and without. One node needs one a handshake, and repeats it.
const PER_PREFIX: Rate = Rate { per_second: 50, burst: 200 };
const PREFIX_BUCKETS: usize = 1024;
/// Load lasts for this long after the last INIT above that.
const LOADED_FOR_NS: u64 = 1_000_000_000;
/// A cookie is good until this time ends.
const PERIOD_NS: u64 = 120_000_000_000;

#[derive(Debug)]
struct Load {
    bucket: TokenBucket,
    until_ns: u64,
    /// The buckets of INITs that prove their address: forged ones of that address take nothing from these.
    proven: PrefixBuckets,
    unproven: PrefixBuckets,
}

impl Load {
    /// One more INIT with a good MAC: whether they are many.
    fn note(&mut self, now_ns: u64) -> bool {
        if !self.bucket.take(UNLOADED, now_ns) {
            self.until_ns = now_ns + LOADED_FOR_NS;
        }
        now_ns < self.until_ns
    }
}

/// Gives out cookies, and judges INITs.
#[derive(Debug)]
pub struct Cookies {
    secret: hmac::Key,
    load: Mutex<Load>,
}

impl Default for Cookies {
    fn default() -> Self {
        let mut secret = [0; 32];
        let _ = rand::fill(&mut secret); // where there is no randomness AWS-LC ends the process
        let load = Load {
            bucket: TokenBucket::default(),
            until_ns: 0,
            proven: PrefixBuckets::new(PER_PREFIX, PREFIX_BUCKETS),
            unproven: PrefixBuckets::new(PER_PREFIX, PREFIX_BUCKETS),
        };
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), load: Mutex::new(load) }
    }
}

impl Cookies {
    /// None: an INIT with a good MAC counts; else the COOKIE datagram that answers it, or why it is dropped.
    pub fn judge(
        &self,
        mac: &MacKey,
        init: &[u8],
        source: SocketAddr,
        now_ns: u64,
    ) -> Result<Option<[u8; COOKIE_DATAGRAM_LEN]>, Reason> {
        let cookie = self.cookie(source, now_ns);
        let (covered, shown) = init.split_last_chunk::<COOKIE_MAC_LEN>().ok_or(Reason::DatagramShort)?;
        let proven = constant_time::verify_slices_are_equal(&cookie_mac(&cookie, covered), shown).is_ok();
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = load.note(now_ns);
        if proven {
            return load.proven.take(source.ip(), now_ns).then_some(None).ok_or(Reason::HandshakeRateSource);
        }
        if !loaded && load.unproven.take(source.ip(), now_ns) {
            return Ok(None);
        }
        drop(load);
        Ok(answer(mac, init, covered, &cookie))
    }

    fn cookie(&self, source: SocketAddr, now_ns: u64) -> [u8; COOKIE_LEN] {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(&(now_ns / PERIOD_NS).to_be_bytes());
        match source.ip() {
            std::net::IpAddr::V4(address) => context.update(&address.octets()),
            std::net::IpAddr::V6(address) => context.update(&address.octets()),
        }
        context.update(&source.port().to_be_bytes());
        first_16(context.sign().as_ref())
    }
}

/// The COOKIE datagram that answers an INIT, of which `covered` is what is before its cookie's MAC.
fn answer(mac: &MacKey, init: &[u8], covered: &[u8], cookie: &[u8; COOKIE_LEN]) -> Option<[u8; COOKIE_DATAGRAM_LEN]> {
    let (_, init_mac) = covered.split_last_chunk::<MAC_LEN>()?;
    let mut bytes = Vec::with_capacity(COOKIE_DATAGRAM_LEN);
    bytes.extend_from_slice(&prefix(COOKIE));
    bytes.extend_from_slice(&u32_at(init, 4)?.to_be_bytes());
    bytes.extend_from_slice(init_mac);
    bytes.extend_from_slice(cookie);
    let value = mac.mac(&bytes);
    bytes.extend_from_slice(&value);
    bytes.try_into().ok()
}

/// The MAC at the end of an INIT that has a cookie.
fn cookie_mac(cookie: &[u8; COOKIE_LEN], covered: &[u8]) -> [u8; COOKIE_MAC_LEN] {
    first_16(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, cookie), covered).as_ref())
}

fn first_16(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

/// Puts the cookie of a COOKIE datagram, whose MAC was checked, into the INIT that it answers; false when it answers another.
pub(crate) fn put_into(init: &mut [u8], datagram: &[u8]) -> bool {
    let Some((covered, end)) = init.split_last_chunk_mut::<COOKIE_MAC_LEN>() else { return false };
    let answered = datagram.get(8..8 + MAC_LEN);
    let cookie: Option<&[u8; COOKIE_LEN]> = datagram.get(8 + MAC_LEN..).and_then(<[u8]>::first_chunk);
    match (covered.split_last_chunk::<MAC_LEN>(), answered, cookie) {
        (Some((_, own)), Some(answered), Some(cookie)) if own == answered => {
            *end = cookie_mac(cookie, covered);
            true
        }
        _ => false,
    }
}

const _: () = assert!(COOKIE_DATAGRAM_LEN < HANDSHAKE_LEN);
