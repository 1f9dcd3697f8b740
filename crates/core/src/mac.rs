//! The MAC at the end of each handshake datagram (`docs/protocol.md` section 3).

use aws_lc_rs::{digest, hmac};

use crate::datagram::{array_at, COOKIE, FINAL, INIT, REFUSAL, RESPONSE};
use crate::reason::Reason;

/// Length of a network key.
pub const NETWORK_KEY_LEN: usize = 32;
/// Length of the MAC.
pub const MAC_LEN: usize = 16;
/// Length of the MAC under a cookie, behind the other one of an INIT; zeros where it has none.
pub const COOKIE_MAC_LEN: usize = 16;
/// Length of INIT, RESPONSE and FINAL: sealed in a session (36 bytes), which a neighbour forwards (48) by a TURN channel (4), they fit
/// the smallest underlay (1,280: RFC 8200 section 5) behind IPv6 and UDP headers (48).
pub const HANDSHAKE_LEN: usize = 1136;
const _: () = assert!(HANDSHAKE_LEN + 36 + 48 + 4 + 48 <= 1280);

const VERSION: u8 = 2;

/// The key of a network's handshake MAC.
#[derive(Clone, Debug)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The key derived from the network key.
    pub fn new(network_key: &[u8; NETWORK_KEY_LEN]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"treecast handshake mac 2");
        context.update(network_key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, context.finish().as_ref()))
    }

    /// The MAC of what precedes it.
    pub fn mac(&self, bytes: &[u8]) -> [u8; MAC_LEN] {
        let tag = hmac::sign(&self.0, bytes);
        let mut out = [0; MAC_LEN];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }

    /// Length, version and MAC of a handshake datagram, in this order; returns the bytes before the MAC.
    pub fn check<'a>(&self, datagram: &'a [u8]) -> Result<&'a [u8], Reason> {
        let [kind, version, zero1, zero2] = array_at(datagram, 0).ok_or(Reason::DatagramShort)?;
        if datagram.len() > HANDSHAKE_LEN {
            return Err(Reason::DatagramLong);
        }
        let minimum = match kind {
            INIT | RESPONSE | FINAL => HANDSHAKE_LEN,
            REFUSAL => 8 + 16 + MAC_LEN,
            COOKIE => 8 + MAC_LEN + 16 + MAC_LEN,
            _ => return Err(Reason::UnknownType),
        };
        if datagram.len() < minimum {
            return Err(Reason::DatagramShort);
        }
        if version != VERSION || zero1 != 0 || zero2 != 0 {
            return Err(Reason::HandshakeVersion);
        }
        let datagram = match kind {
            INIT => datagram.split_last_chunk::<COOKIE_MAC_LEN>().ok_or(Reason::DatagramShort)?.0,
            _ => datagram,
        };
        let (bytes, mac) = datagram.split_last_chunk::<MAC_LEN>().ok_or(Reason::DatagramShort)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.mac(bytes), mac).map_err(|_| Reason::HandshakeMac)?;
        Ok(bytes)
    }
}

/// The four bytes that start a handshake datagram.
pub fn prefix(kind: u8) -> [u8; 4] {
    [kind, VERSION, 0, 0]
}
