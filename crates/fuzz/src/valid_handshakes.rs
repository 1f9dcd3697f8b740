//! Valid handshake datagrams, by name: those of one handshake, a refusal instead of its end, a cookie on its way.

use treecast_core::datagram::{u32_at, COOKIE};
use treecast_core::mac::{prefix, COOKIE_MAC_LEN, MAC_LEN};

use crate::handshakes::{after_final, initiator, BothSides, MAC};
use crate::input::Input;

/// The INIT that begins the handshake.
pub fn init() -> Vec<u8> {
    after_final().expect("keys of any bytes").init
}

/// One of each kind, and an INIT with the cookie.
pub fn handshakes() -> Vec<Input> {
    let BothSides { mut two, init, response, last, .. } = after_final().expect("keys of any bytes");
    let refusal = two.write_refusal(b"\x93\x01\xa0\xc0").expect("it is short");
    let cookie = cookie(&init).expect("an INIT is long enough");
    let again = initiator().and_then(|one| one.with_cookie(&cookie)).expect("the cookie answers it");
    let all = [
        ("init", init),
        ("response", response),
        ("final", last),
        ("refusal", refusal),
        ("cookie", cookie),
        ("init_with_cookie", again),
    ];
    all.map(|(name, bytes)| (name.to_string(), bytes)).into()
}

/// The answer of a node under load to an INIT.
fn cookie(init: &[u8]) -> Option<Vec<u8>> {
    let (before, _) = init.split_last_chunk::<COOKIE_MAC_LEN>()?;
    let (_, mac) = before.split_last_chunk::<MAC_LEN>()?;
    let mut bytes = [&prefix(COOKIE), u32_at(init, 4)?.to_be_bytes().as_slice(), mac, &[8; 16]].concat();
    let end = MAC.mac(&bytes);
    bytes.extend(end);
    Some(bytes)
}
