//! Broadcast is its root's own: who holds the key that all nodes share opens it, and makes none.

use crate::common::*;
use proptest::prelude::*;
use serde_json::Value;
use treecast_core::aead::Aead;
use treecast_core::arrival::{IngressNode, Opened, Proof, Recent};
use treecast_core::broadcast_signature::{verify, SignatureChecks, SuspectChecks, SIGNATURE_LEN};
use treecast_core::datagram::{TreeHeader, TreeName, BROADCAST_STREAM, KIND_FRAGMENT, TREE_ASSOCIATED_LEN};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::reason::Reason;
use treecast_core::root_tree::SenderKey;
use treecast_core::tree_state::TreePlace;
use treecast_core::tree_tag::TreeKey;
use zeroize::Zeroizing;

const NAME: TreeName = TreeName { root: 1, stream: BROADCAST_STREAM, epoch: EPOCH };
const FRAME: &[u8] = &[7; 60];
const SECOND_NS: u64 = 1_000_000_000;
const NOT_SIGNED: Result<Vec<u8>, Reason> = Err(Reason::BroadcastSignature);
const TOO_MANY: Result<Vec<u8>, Reason> = Err(Reason::BroadcastSignatureRate);

/// Node 2 is on the broadcast tree of node 1, whose certificate it knows. Node 3 has the tree's keys, too.
struct Broadcast {
    root: ForwardingTables,
    member: ForwardingTables,
}

impl Broadcast {
    fn new(place: TreePlace) -> Self {
        let (root, member) = (tables(1), tables(2));
        join(&root, &member, 10, Aead::Aes256Gcm);
        tree(&root, &member, BROADCAST_STREAM, place);
        certify(&member, 1, 1);
        Self { root, member }
    }

    fn genuine(&self) -> Vec<u8> {
        seal_tree(&self.root.tree(BROADCAST_STREAM).unwrap(), FRAME)
    }

    fn take(&self, datagram: &[u8]) -> Result<Vec<u8>, Reason> {
        receive_tree(&self.member, datagram)
    }
}

/// The certificate of a node names the key of that one.
fn certify(tables: &ForwardingTables, node: u32, key_of: u32) {
    let signing_key = signing_key(key_of).public();
    let certified = CertifiedNode { bridge: true, carried: false, addresses: [].into(), signing_key, send_to: None };
    tables.certify_node(node, certified).unwrap();
}

/// The datagram with this counter by node 3, as node 1.
fn forged(counter: u64) -> Vec<u8> {
    let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
    key.set_sealed(counter - 1);
    seal_tree(&tree_with(NAME, 9, key), FRAME)
}

/// The same datagram with other flags, under a right tree tag.
fn with_flags(mut datagram: Vec<u8>, flags: u8) -> Vec<u8> {
    datagram[1] = flags;
    datagram.truncate(datagram.len() - 8);
    let tag = TreeKey::new([9; 16]).tag(&datagram).unwrap();
    datagram.extend_from_slice(&tag);
    datagram
}

#[test]
fn broadcast_arrives_once_without_its_signature_and_is_counted_without_it() {
    let broadcast = Broadcast::new(leaf());
    let datagram = broadcast.genuine();
    assert!(TreeHeader::parse(&datagram).unwrap().signed);
    assert_eq!(datagram.len(), 56 + FRAME.len() + SIGNATURE_LEN);
    assert_eq!(broadcast.take(&datagram), Ok(FRAME.to_vec()));
    assert_eq!(broadcast.take(&datagram), Err(Reason::TreeReplay));
    let stream = &broadcast.member.downstream_streams()[0];
    assert_eq!(stream.rx.get(), (1, FRAME.len() as u64));
}

#[test]
fn a_holder_of_the_shared_key_makes_none_as_another_and_takes_no_counter_away() {
    let broadcast = Broadcast::new(leaf());
    for counter in [1, 2, 3] {
        assert_eq!(broadcast.take(&forged(counter)), NOT_SIGNED);
    }
    for _ in 0..3 {
        assert_eq!(broadcast.take(&broadcast.genuine()), Ok(FRAME.to_vec()));
    }
}

#[test]
fn who_repeats_a_genuine_datagram_costs_no_check_of_a_signature() {
    let broadcast = Broadcast::new(leaf());
    let datagram = broadcast.genuine();
    assert_eq!(broadcast.take(&datagram), Ok(FRAME.to_vec()));
    for _ in 0..5000 {
        assert_eq!(broadcast.take(&datagram), Err(Reason::TreeReplay));
    }
    assert_eq!(broadcast.take(&broadcast.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn nobody_takes_the_flag_off_nor_gives_it_to_another_stream() {
    for place in [leaf(), relaying(&[3])] {
        let broadcast = Broadcast::new(place.clone());
        assert_eq!(broadcast.take(&with_flags(broadcast.genuine(), 0)), NOT_SIGNED, "to be opened or sent on");
        let (of_group, _) = tree(&broadcast.root, &broadcast.member, 5, place.clone());
        let datagram = seal_tree(&of_group, FRAME);
        let signed = with_flags(datagram.clone(), 1);
        let relayed = relay(&broadcast.member, &signed).map(|fresh| fresh.err());
        assert_eq!(relayed, (!place.children.is_empty()).then_some(Some(Reason::BroadcastSignature)));
        assert_eq!(broadcast.take(&signed), NOT_SIGNED);
        assert_eq!(broadcast.take(&with_flags(datagram, 2)), Err(Reason::FlagsUnknown));
    }
}

#[test]
fn the_key_is_that_of_the_certificate_that_counts() {
    let broadcast = Broadcast::new(leaf());
    certify(&broadcast.member, 1, 3);
    assert_eq!(broadcast.take(&broadcast.genuine()), NOT_SIGNED);
    assert_eq!(broadcast.take(&forged(5)), Ok(FRAME.to_vec()), "node 3's key is the one");
    broadcast.member.uncertify_node(1);
    assert_eq!(broadcast.take(&broadcast.genuine()), NOT_SIGNED);
    certify(&broadcast.member, 1, 1);
    assert_eq!(broadcast.take(&broadcast.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn each_part_of_a_frame_is_signed() {
    let broadcast = Broadcast::new(leaf());
    let root = broadcast.root.tree(BROADCAST_STREAM).unwrap();
    let part = |number: u8, byte: u8| [&[0, 0, 0, 9, number, 2, 0, 60][..], &[byte; 30]].concat();
    let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
    key.set_sealed(1);
    let forger = tree_with(NAME, 9, key);
    let mut frame = [0; 9018];
    let mut take = |datagram: Vec<u8>| {
        let (opened, datagram) = open_from(&broadcast.member, 1, &datagram, NOW_NS)?;
        let Opened::Part(opened) = opened else { panic!("a part: {opened:?}") };
        assert_eq!(opened.ingress, IngressNode::peer(1));
        let bytes = &datagram[opened.start..][..opened.length];
        let whole = broadcast.member.reassemble(&opened, bytes, 0, NOW_NS, &mut frame)?;
        Ok(whole.map(|(length, _)| frame[..length].to_vec()))
    };
    let sealed = |tree, number, byte| seal_for(tree, &tree.members.load(), KIND_FRAGMENT, &part(number, byte));
    assert_eq!(take(sealed(&root, 0, 7)), Ok(None));
    assert_eq!(take(sealed(&forger, 1, 8)), Err(Reason::BroadcastSignature));
    assert_eq!(take(sealed(&root, 1, 7)), Ok(Some(FRAME.to_vec())));
}

#[test]
fn a_key_of_a_group_carries_frames_to_groups_and_no_broadcast() {
    let tables = tables(2);
    certify(&tables, 1, 1);
    assert_eq!(IngressNode::stream(NAME.stream_name(), None), IngressNode::peer(1));
    let of_group = IngressNode::stream(TreeName { stream: 5, ..NAME }.stream_name(), None);
    assert_eq!(of_group.proof, Proof::Shared(None));
    let check = |frame: &[u8], ingress| tables.check_source(&Frame::read(frame), ingress, &mut Recent::default());
    let udp = [0; 8];
    let to = |address| ipv4([10, 0, 0, 1], address, 17, &udp);
    let mut to_every_mac = to([239, 1, 1, 1]);
    to_every_mac[..6].fill(0xFF);
    let broadcast_class = [
        to([224, 0, 0, 251]),
        to([255; 4]),
        to([10, 0, 0, 2]),
        to_every_mac,
        ethernet([0xFF; 6], 0x0806, &[0; 28]),
        ethernet([1, 0x1B, 0x19, 0, 0, 0], 0x88F7, &[0; 40]),
        ipv6([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFB], 17, &udp),
        ipv6([0xFF, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 58, &[136; 24]),
    ];
    for frame in broadcast_class {
        assert_eq!(check(&frame, of_group), Err(Reason::BroadcastSignature), "{frame:02x?}");
        assert_eq!(check(&frame, IngressNode::peer(1)), Ok(()));
    }
    for frame in [to([239, 1, 1, 1]), ipv6([0xFF, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 17, &udp)] {
        assert_eq!(check(&frame, of_group), Ok(()));
    }
}

#[test]
fn a_root_signs_a_thousand_a_second() {
    let broadcast = Broadcast::new(leaf());
    let root = broadcast.root.tree(BROADCAST_STREAM).unwrap();
    let admitted = |tree: &treecast_core::root_tree::RootTree, now_ns: u64| {
        (0..5000).filter(|_| tree.admit(|| now_ns).is_ok()).count()
    };
    assert_eq!([NOW_NS, NOW_NS, NOW_NS + SECOND_NS / 2].map(|now_ns| admitted(&root, now_ns)), [1000, 0, 500]);
    assert_eq!(root.admit(|| NOW_NS).err(), Some(Reason::BroadcastSignatureRate));
    let (of_group, _) = tree(&broadcast.root, &broadcast.member, 5, leaf());
    assert_eq!(admitted(&of_group, NOW_NS), 5000);
}

#[test]
fn who_floods_as_one_root_costs_a_bounded_number_of_checks_and_others_nothing() {
    let flooded = Broadcast::new(leaf());
    let other = tables(4);
    join(&other, &flooded.member, 40, Aead::Aes256Gcm);
    certify(&flooded.member, 4, 4);
    let (root, _) = tree(&other, &flooded.member, BROADCAST_STREAM, TreePlace { parent: 4, ..leaf() });
    let of_other = |datagram: &[u8]| open_from(&flooded.member, 4, datagram, NOW_NS).map(|_| ());
    let mut checked = 0;
    for counter in 1..=4000 {
        match flooded.take(&forged(counter)) {
            Err(Reason::BroadcastSignature) => checked += 1,
            Err(Reason::BroadcastSignatureRate) => {}
            other => panic!("{other:?}"),
        }
        if counter % 8 == 0 {
            assert_eq!(of_other(&seal_tree(&root, FRAME)), Ok(()));
        }
    }
    assert_eq!(checked, 2000);
    assert_eq!(flooded.take(&flooded.genuine()), TOO_MANY, "as node 1 itself");
    assert_eq!(flooded.member.refusals.take(), [], "nobody knows who forges, and it is not node 1");
    let later = |datagram: &[u8]| receive_tree_at(&flooded.member, datagram, NOW_NS + SECOND_NS / 1000);
    assert_eq!(later(&flooded.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn a_root_that_signs_more_than_is_checked_is_named() {
    let broadcast = Broadcast::new(leaf());
    for _ in 0..2000 {
        assert_eq!(broadcast.take(&broadcast.genuine()), Ok(FRAME.to_vec()));
    }
    for _ in 0..300 {
        assert_eq!(broadcast.take(&broadcast.genuine()), TOO_MANY);
    }
    assert_eq!(broadcast.member.refusals.take(), [(1, Reason::BroadcastSignatureRate, 300)]);
}

#[test]
fn roots_as_which_others_forge_share_the_checks_of_one() {
    let (all, suspects): (Vec<SignatureChecks>, _) =
        ((0..10).map(|_| SignatureChecks::default()).collect(), SuspectChecks::default());
    let flood = |now_ns: u64| {
        let forge =
            |checks: &&SignatureChecks| checks.admit(&suspects, now_ns).map(|()| checks.note_forged(now_ns)).is_ok();
        (0..1000).map(|_| all.iter().filter(forge).count()).sum::<usize>()
    };
    assert_eq!(flood(NOW_NS), 2000 + all.len(), "the first as each is checked before it is suspect");
    assert_eq!(flood(NOW_NS + SECOND_NS / 2), 500);
    let honest = SignatureChecks::default();
    assert!((0..1000).all(|_| honest.admit(&suspects, NOW_NS + SECOND_NS / 2).is_ok()));
    let over_ns = NOW_NS + SECOND_NS / 2 + SECOND_NS;
    assert!((0..1500).all(|_| all[0].admit(&suspects, over_ns).is_ok()), "after a second it is suspect no more");
}

proptest! {
    #[test]
    fn a_signature_is_of_one_key_one_header_and_one_plaintext(
        associated: [u8; TREE_ASSOCIATED_LEN],
        text in prop::collection::vec(any::<u8>(), 1..1400),
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let key = signing_key(1);
        let signature = key.sign(&associated, &text).unwrap();
        prop_assert!(verify(&key.public(), &associated, &text, &signature));
        prop_assert!(!verify(&signing_key(2).public(), &associated, &text, &signature));
        let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1 << bit;
        let (mut header, mut other, mut wrong) = (associated, text.clone(), signature);
        flip(&mut header);
        flip(&mut other);
        flip(&mut wrong);
        prop_assert!(!verify(&key.public(), &header, &text, &signature));
        prop_assert!(!verify(&key.public(), &associated, &other, &signature));
        prop_assert!(!verify(&key.public(), &associated, &text, &wrong));
    }
}

/// Three roots and who forges as them: `milliseconds root forged count checked`.
pub fn steps() -> Value {
    let (roots, suspects) = ([(); 3].map(|()| SignatureChecks::default()), SuspectChecks::default());
    let (mut random, mut at_ms) = (1u64, 0u64);
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let step = |_: u32| {
        at_ms += [0, 125, 250, 500, 1000][next(5) as usize];
        let (root, forged, count) = (next(3), next(2), next(900));
        let one = |_: &u64| {
            let checks = &roots[root as usize];
            let now_ns = at_ms * 1_000_000;
            checks
                .admit(&suspects, now_ns)
                .map(|()| {
                    if forged == 1 {
                        checks.note_forged(now_ns)
                    }
                })
                .is_ok()
        };
        format!("{at_ms} {root} {forged} {count} {}", (0..count).filter(one).count())
    };
    (0..200).map(step).collect()
}
