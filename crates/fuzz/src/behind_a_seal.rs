//! Bytes from other nodes: datagrams as they are, and bodies that a member could put behind its own seal.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::datagram::{DatagramType, Inner, TreeHeader, KIND_SENDER_KEY, MAX_CONTROL_LEN, MAX_DATAGRAM_LEN};
use treecast_core::downstream_stream::KeyOffer;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::MAX_FRAME_LEN;
use treecast_core::handshake::SessionKeys;
use treecast_core::path::Endpoint;
use treecast_core::session::{Session, SessionParameters, SESSION_BODY_OFFSET};
use zeroize::Zeroizing;

use crate::handshakes::{signing_key, NETWORK};

/// Time passes with each input, so that what waits is given up some day.
static NOW_NS: AtomicU64 = AtomicU64::new(1_000_000_000);
const STEP_NS: u64 = 1_000_000;

/// Two nodes with a session between them: the sender's end of it, and the receiver.
static PAIR: LazyLock<(Arc<Session>, ForwardingTables)> = LazyLock::new(|| {
    let [one, two] = [1, 2].map(|index| ForwardingTables::new(index, &NETWORK, signing_key(), Box::new(|| {})));
    let keys = |seal: u8| SessionKeys {
        seal: Zeroizing::new([seal ^ 0xA5; 32]),
        open: Zeroizing::new([(3 - seal) ^ 0xA5; 32]),
    };
    for (tables, own, peer) in [(&one, 1, 2), (&two, 2, 1)] {
        let (aead, endpoint) = (Aead::Aes256Gcm, endpoint(peer as u8));
        let parameters = SessionParameters { index: own, remote_index: peer, peer, endpoint, aead, confirmed: true };
        tables.install_session(parameters, &keys(own as u8), 0).expect("an empty table");
    }
    (one.session(1).expect("it was installed"), two)
});

fn endpoint(last: u8) -> Endpoint {
    Endpoint { socket: 0, address: SocketAddr::from(([192, 0, 2, last], 7700)) }
}

/// A datagram of anybody: no session and no tree believes it.
pub fn datagram(bytes: &[u8]) {
    let (_, node) = &*PAIR;
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let (_, _) = (DatagramType::of(bytes), TreeHeader::parse(bytes));
    let mut recent = Recent::default();
    assert!(node.receive_session(&mut bytes.to_vec(), endpoint(66), now_ns, &mut recent).is_err());
    assert!(node.receive_tree(bytes, endpoint(1).address, now_ns, &mut recent).is_err());
    assert!(node.relay((bytes, 0), endpoint(1).address, now_ns, &mut recent).is_none_or(|fresh| fresh.is_err()));
    let _ = node.receive_handshake(bytes, 0, endpoint(66).address, now_ns);
    node.drain(16, || {});
}

/// A member's own datagram: the first byte is its kind, the others its body.
pub fn session_body(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    if body.len() > MAX_CONTROL_LEN {
        return;
    }
    let (session, node) = &*PAIR;
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    buffer[SESSION_BODY_OFFSET..][..body.len()].copy_from_slice(body);
    let Ok(length) = session.seal(Inner { kind: *kind, checksum: None }, body.len(), &mut buffer) else { return };
    let datagram = &mut buffer[..length];
    match node.receive_session(datagram, endpoint(1), now_ns, &mut Recent::default()) {
        Ok(Received::Opened(Opened::Frame(frame))) => assert_eq!(&datagram[frame.start..][..frame.length], body),
        Ok(Received::Opened(Opened::Part(part))) => {
            let mut frame = vec![0; MAX_FRAME_LEN];
            let part_bytes = &datagram[part.start..][..part.length];
            if let Ok(Some((length, _))) = node.reassemble(&part, part_bytes, 0, now_ns, &mut frame) {
                assert_eq!(length, usize::from(part.fragment.whole));
            }
        }
        _ => {}
    }
    node.expire_fragments(now_ns);
    node.drain(16, || {});
}

/// The body of an offer of a key, alone and as a member sends it, and the header behind each seal.
pub fn sender_key(bytes: &[u8]) {
    let (_, _) = (Inner::parse(bytes), KeyOffer::parse(1, bytes, 0));
    session_body(&[&[KIND_SENDER_KEY], bytes].concat());
}
