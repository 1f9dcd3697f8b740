//! Every parser of bytes from outside, fed with so many mutated valid inputs: nothing panics, and nothing that was altered is
//! believed. The cases are the same each time; `TREECAST_FUZZ_SCALE` times as many begin with these.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::datagram::{DatagramType, Inner, TreeHeader, INIT};
use treecast_core::datagram::{KIND_CONTROL, KIND_FRAGMENT, KIND_FRAME, KIND_SENDER_KEY, MAX_CONTROL_LEN};
use treecast_core::downstream_stream::KeyOffer;
use treecast_core::egress::Leaving;
use treecast_core::fragment::{cut, Fragment, MAX_FRAME_LEN};
use treecast_core::handshake::Handshake;
use treecast_core::headers::Frame;
use treecast_core::mac::MacKey;
use treecast_core::reason::Reason;

/// xorshift64*, so that a seed is all there is to a failure.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    /// One to four changes: bit flips, set bytes, cuts, growth, copies within.
    fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match (self.below(6), bytes.is_empty()) {
                (_, true) => bytes.push(self.next() as u8),
                (0 | 1, _) => bytes[at] ^= 1 << self.below(8),
                (2, _) => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                (3, _) => bytes.truncate(at),
                (4, _) => bytes.extend((0..self.below(64)).map(|_| 0xA5)),
                _ => {
                    let to = self.below(bytes.len());
                    let length = self.below(bytes.len() - at.max(to)).min(32);
                    bytes.copy_within(at..at + length, to);
                }
            }
        }
        bytes
    }
}

/// Runs `test` on so many mutations of `corpus`, times the scale.
fn fuzz(seed: u64, cases: u32, corpus: &[Vec<u8>], mut test: impl FnMut(&[u8])) {
    let scale = std::env::var("TREECAST_FUZZ_SCALE").map_or(1, |text| text.parse().expect("a number"));
    let mut random = Random(seed);
    for _ in 0..cases * scale {
        let valid = &corpus[random.below(corpus.len())];
        let bytes = random.mutate(valid);
        if bytes != *valid {
            test(&bytes);
        }
    }
    corpus.iter().for_each(|valid| test(&valid[..valid.len() / 2]));
}

fn frames() -> Vec<Vec<u8>> {
    let group = [0xFF, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    vec![
        ipv4([10, 0, 0, 1], [239, 1, 2, 3], 17, &[7; 40]),
        ipv4([10, 0, 0, 1], [224, 0, 0, 22], 2, &[0x22, 0, 0, 0, 0, 0, 0, 1]),
        ipv6(group, 17, &[7; 40]),
        ipv6(group, 0, &[60, 0, 5, 2, 0, 0, 1, 0, 58, 0, 1, 4, 0, 0, 0, 0, 143, 0, 0, 0]),
        ipv6([0xFD; 16], 44, &[58, 0, 0, 0, 0, 0, 0, 1, 135, 0, 0, 0]),
        ethernet([0xFF; 6], 0x0806, &[0; 28]),
        ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &[&[30, 20, 30, 20, 0, 108, 0, 0, 0xC2, 1][..], &[7; 98]].concat()),
        ethernet([0xFF; 6], 0x8100, &[0, 7, 8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 1, 17, 0, 0, 10, 0, 0, 1, 239, 0, 0, 1]),
    ]
}

#[test]
fn frames_from_the_tap() {
    let node = tables(1);
    node.renew_port(1, true);
    node.port(1).unwrap().set_forwarding(true);
    fuzz(1, 300_000, &frames(), |frame| {
        for port in [0, 1] {
            classify(&node, port, frame, 1, NOW_NS);
            node.goes_out(port, &Leaving::of(&Frame::read(frame)));
        }
    });
}

#[test]
fn session_datagrams() {
    let (one, two) = (tables(1), tables(2));
    let (session, back) = join(&one, &two, 10, Aead::Aes256Gcm);
    let corpus: Vec<_> =
        [KIND_FRAME, KIND_CONTROL, 3, 4].iter().map(|kind| seal(&session, *kind, &[*kind; 100])).collect();
    fuzz(2, 300_000, &corpus, |datagram| {
        let _ = DatagramType::of(datagram);
        assert!(receive(&two, datagram, endpoint(66)).is_err());
    });
    assert_eq!(back.endpoint(), endpoint(1));
    assert_eq!(back.traffic.rx.get(), (0, 0));
    assert!(two.events.drain(10, || {}).is_empty());
}

#[test]
fn tree_datagrams() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, relaying(&[3]));
    let corpus: Vec<_> = (14..40).map(|length| seal_tree(&root, &vec![length as u8; length])).collect();
    let mut relayed = 0;
    fuzz(3, 300_000, &corpus, |datagram| {
        assert!(receive_tree(&two, datagram).is_err());
        if let Some(Ok((tree, _))) = relay(&two, datagram) {
            // Only the ciphertext was altered, which a relay cannot see: it may pass, and opens nothing.
            let header = TreeHeader::parse(datagram).unwrap();
            assert_eq!(two.open_tree(&tree, &header, &mut datagram.to_vec(), true, NOW_NS), Err(Reason::TreeAuth));
            relayed += 1;
        }
    });
    assert!(relayed <= corpus.len(), "each counter once");
}

#[test]
fn handshake_datagrams() {
    let network = network();
    let one = Handshake::initiate(&[1; 32], &network, 1, [2; 32]).unwrap();
    let init = one.init_datagram().unwrap().to_vec();
    let mut two = Handshake::respond(&[3; 32], &network, 2, &init, [4; 32]).unwrap();
    let response = two.write_response(b"payload").unwrap();
    let mac = MacKey::new(&NETWORK_KEY);
    let node = tables(1);
    let corpus = [init.clone(), response];
    fuzz(4, 5_000, &corpus, |datagram| {
        let without_cookie = init.len() - 16;
        if datagram.len() != init.len() || datagram[..without_cookie] != init[..without_cookie] {
            assert!(node.receive_handshake(datagram, 0, endpoint(9).address, NOW_NS).is_err());
        }
        // As somebody who knows the network's key: the MAC is right, the rest is not.
        let mut with_mac = datagram.to_vec();
        let behind = if with_mac.first() == Some(&INIT) { 32 } else { 16 };
        if let Some(end) = with_mac.len().checked_sub(behind) {
            let value = mac.mac(&with_mac[..end]);
            with_mac[end..end + 16].copy_from_slice(&value);
        }
        let _ = Handshake::respond(&[3; 32], &network, 2, &with_mac, [4; 32]);
        assert!(two.read_final(&with_mac).is_err());
    });
}

#[test]
fn sender_keys_and_inner_headers() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    tree(&one, &two, 5, leaf());
    let offer = one.offer(5, KEY_ID, NO_KEY_BEFORE, b"\x93\x00\xc4\x04\xef\x01\x01\x01\xc0", NOW_NS).unwrap().to_vec();
    let inner = [&Inner { kind: KIND_FRAME, checksum: None }.emit()[..], &[9; 60]].concat();
    fuzz(5, 100_000, &[offer, inner], |bytes| {
        let _ = Inner::parse(bytes);
        let _ = KeyOffer::parse(1, bytes, NOW_NS);
        if bytes.len() <= MAX_CONTROL_LEN {
            let _ = receive(&two, &seal(&session, KIND_SENDER_KEY, bytes), endpoint(1));
            let _ = receive(&two, &seal(&session, bytes.first().copied().unwrap_or(9), bytes), endpoint(1));
        }
        two.events.drain(100, || {});
    });
}

/// A member's own fragments, valid and mutated, of many frames at a time: nothing panics, the table stays bounded, and a
/// frame that comes out is as long as its parts said.
#[test]
fn fragments_of_a_member() {
    let two = tables(2);
    let (one, mut now_ns) = (tables(1), NOW_NS);
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let bodies = |id: u32, length: usize| {
        let whole = vec![id as u8; length];
        let joined = |(fragment, bytes): (Fragment, &[u8])| [&fragment.emit()[..], bytes].concat();
        cut(&whole, id, 1168).unwrap().map(joined).collect::<Vec<_>>()
    };
    let corpus: Vec<Vec<u8>> = (0..200).flat_map(|id| bodies(id, 14 + (id as usize * 137) % 9000)).collect();
    let mut buffer = vec![0; MAX_FRAME_LEN];
    let mut joined = 0;
    fuzz(6, 200_000, &corpus, |body| {
        now_ns += 1_000_000;
        if body.len() > 1400 {
            return;
        }
        let mut datagram = seal(&session, KIND_FRAGMENT, body);
        let Ok(received) = two.receive_session(&mut datagram, endpoint(1), now_ns, &mut Recent::default()) else {
            return;
        };
        let Received::Opened(Opened::Part(part)) = received else { panic!("a part: {received:?}") };
        let bytes = &datagram[part.start..][..part.length];
        if let Ok(Some((length, _))) = two.reassemble(&part, bytes, 0, now_ns, &mut buffer) {
            assert_eq!(length, usize::from(part.fragment.whole));
            joined += 1;
        }
    });
    assert!(joined > 0);
    two.expire_fragments(now_ns + 2_000_000_000);
    assert!(two.drops.get(Reason::FragmentTimeout) > 0);
}
