//! Frames in parts: cut, sealed, put together in any order, bounded, and nothing believed that does not fit.

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, OpenedPart, Received, Recent};
use treecast_core::datagram::{PartialChecksum, StreamName, TreeHeader, KIND_FRAGMENT};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::{self, Arrived, Fragment, Reassembly, SentBy, MAX_FRAME_LEN};
use treecast_core::reason::{Drops, Reason};
use treecast_core::refusals::RefusalCounts;
use treecast_core::root_tree::RootTree;
use treecast_core::session::Session;
use treecast_core::traffic_class::{CE, ECT_0};

const SECOND_NS: u64 = 1_000_000_000;
const MOST: usize = 1168; // of a frame in one datagram, on the underlay with the smallest MTU

fn frame(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn cut(whole: &[u8], id: u32) -> Vec<(Fragment, &[u8])> {
    fragment::cut(whole, id, MOST).unwrap().collect()
}

fn session(index: u32) -> SentBy {
    SentBy::Session(index)
}

/// The node of a session, by its number, and the root of a stream.
fn node_of(sender: SentBy) -> u32 {
    match sender {
        SentBy::Session(index) => index,
        SentBy::Stream(name) => name.root,
    }
}

/// A reassembly, its drops and its buffer.
#[derive(Default)]
struct Table {
    table: Reassembly,
    drops: Drops,
    refusals: RefusalCounts,
    buffer: Vec<u8>,
}

impl Table {
    fn new() -> Self {
        Self { buffer: vec![0; MAX_FRAME_LEN], ..Self::default() }
    }

    fn take(&mut self, sender: SentBy, part: &(Fragment, &[u8]), now_ns: u64) -> Result<Option<Vec<u8>>, Reason> {
        let node = node_of(sender);
        let arrived = Arrived { node, sender, fragment: part.0, checksum: None, ecn: 0, bytes: part.1 };
        let taken = self.table.take(&arrived, now_ns, &mut self.buffer, (&self.drops, &self.refusals))?;
        Ok(taken.map(|(length, _)| self.buffer[..length].to_vec()))
    }
}

#[test]
fn congestion_marked_on_either_part_goes_over_to_the_frame() {
    let mut whole = frame(1514, 3);
    whole[12..20].copy_from_slice(&[0x86, 0xDD, 0x60, ECT_0 << 4, 0, 0, 0x05, 0xB4]);
    let [one, two] = cut(&whole, 7)[..] else { panic!() };
    for (first, second, expected) in [(0, 0, ECT_0), (CE, ECT_0, CE), (ECT_0, CE, CE)] {
        let mut table = Table::new();
        let mut take = |part: &(Fragment, &[u8]), ecn| {
            let arrived = Arrived { node: 1, sender: session(1), fragment: part.0, checksum: None, ecn, bytes: part.1 };
            table.table.take(&arrived, NOW_NS, &mut table.buffer, (&table.drops, &table.refusals))
        };
        assert_eq!(take(&one, first), Ok(None));
        assert_eq!(take(&two, second).map(|taken| taken.map(|(length, _)| length)), Ok(Some(1514)));
        assert_eq!(table.buffer[15] >> 4, expected);
    }
}

#[test]
fn a_frame_is_cut_in_equal_parts_that_join_in_any_order() {
    let mut table = Table::new();
    for length in [14, 15, 100, 1393, 1514, 2 * MOST, 2 * MOST + 1, 8 * MOST - 326, MAX_FRAME_LEN] {
        let whole = frame(length, 3);
        let mut parts = cut(&whole, 7);
        let (longest, shortest) = (parts[0].1.len(), parts[parts.len() - 1].1.len());
        assert!(longest <= MOST && parts.len() == length.div_ceil(MOST).max(2));
        assert!(longest - shortest < parts.len() && parts.iter().rev().skip(1).all(|part| part.1.len() == longest));
        for _ in 0..parts.len() {
            parts.rotate_left(1);
            let (last, others) = parts.split_last().unwrap();
            for part in others {
                assert_eq!(table.take(session(1), part, NOW_NS), Ok(None));
            }
            assert_eq!(table.take(session(1), last, NOW_NS), Ok(Some(whole.clone())));
        }
    }
    assert_eq!(table.table.waiting(), 0);
    assert!(fragment::cut(&frame(MAX_FRAME_LEN + 1, 0), 1, MOST).is_none());
    assert!(fragment::cut(&frame(MAX_FRAME_LEN, 0), 1, MAX_FRAME_LEN / 8).is_none(), "more than eight parts");
    assert!(fragment::cut(&frame(13, 0), 1, MOST).is_none());
}

#[test]
fn senders_do_not_mix() {
    let mut table = Table::new();
    let (one, two) = (frame(1500, 1), frame(1500, 2));
    let tree = |stream| SentBy::Stream(StreamName { root: 1, stream });
    let senders = [session(1), session(2), tree(1), tree(2)];
    for (sender, whole) in senders.iter().zip([&one, &two, &two, &one]) {
        assert_eq!(table.take(*sender, &cut(whole, 5)[0], NOW_NS), Ok(None));
    }
    for (sender, whole) in senders.iter().zip([&one, &two, &two, &one]) {
        assert_eq!(table.take(*sender, &cut(whole, 5)[1], NOW_NS), Ok(Some(whole.clone())));
    }
}

#[test]
fn a_part_that_stays_alone_is_given_up_after_a_second_and_counted() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    let [one, two] = cut(&whole, 1)[..] else { panic!() };
    table.take(session(1), &one, NOW_NS).unwrap();
    table.table.expire(NOW_NS + SECOND_NS - 1, &table.drops);
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentTimeout)), (1, 0));
    table.table.expire(NOW_NS + 2 * SECOND_NS, &table.drops);
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentTimeout)), (0, 1));
    assert_eq!(table.take(session(1), &two, NOW_NS + 2 * SECOND_NS), Ok(None), "too late");
}

#[test]
fn the_same_part_again_is_a_duplicate_and_the_frame_still_comes() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    let [one, two] = cut(&whole, 1)[..] else { panic!() };
    let taken = [&one, &one, &two].map(|part| table.take(session(1), part, NOW_NS));
    assert_eq!(taken, [Ok(None), Err(Reason::FragmentDuplicate), Ok(Some(whole.clone()))]);
}

#[test]
fn parts_that_contradict_each_other_are_both_dropped() {
    let mut table = Table::new();
    let (long, short) = (frame(1500, 1), frame(1400, 1));
    table.take(session(1), &cut(&long, 1)[0], NOW_NS).unwrap();
    assert_eq!(table.take(session(1), &cut(&short, 1)[1], NOW_NS), Err(Reason::FragmentMalformed));
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentMalformed)), (0, 1));
    let parts = cut(&long, 2);
    let [one, (header, bytes)] = parts[..] else { panic!() };
    table.take(session(1), &one, NOW_NS).unwrap();
    assert_eq!(table.take(session(1), &(header, &bytes[1..]), NOW_NS), Err(Reason::FragmentMalformed));
    let arrived = |checksum| Arrived { node: 1, sender: session(1), fragment: header, checksum, ecn: 0, bytes };
    table.take(session(1), &one, NOW_NS).unwrap();
    let other = Some(PartialChecksum { start: 34, offset: 6 });
    let taken = table.table.take(&arrived(other), NOW_NS, &mut table.buffer, (&table.drops, &table.refusals));
    assert_eq!(taken, Err(Reason::FragmentMalformed));
}

#[test]
fn one_sender_has_64_places_and_only_itself_to_harm() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    table.take(session(2), &cut(&whole, 1)[0], NOW_NS).unwrap();
    for id in 0..100 {
        table.take(session(1), &cut(&whole, id)[0], NOW_NS + u64::from(id)).unwrap();
    }
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentTableFull)), (65, 36));
    assert_eq!(table.take(session(2), &cut(&whole, 1)[1], NOW_NS), Ok(Some(whole.clone())));
    assert_eq!(table.take(session(1), &cut(&whole, 99)[1], NOW_NS), Ok(Some(whole.clone())), "the newest");
    assert_eq!(table.take(session(1), &cut(&whole, 35)[1], NOW_NS), Ok(None), "the oldest went");
}

#[test]
fn frames_that_came_whole_take_none_of_their_sender_s_places() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    for id in 0..100 {
        let parts = cut(&whole, id);
        table.take(session(1), &parts[0], NOW_NS).unwrap();
        assert_eq!(table.take(session(1), &parts[1], NOW_NS), Ok(Some(whole.clone())));
    }
    for part in 0..2 {
        for id in 200..264 {
            assert!(table.take(session(1), &cut(&whole, id)[part], NOW_NS).is_ok());
        }
    }
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentTableFull)), (0, 0));
}

#[test]
fn all_senders_together_have_1024_places() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    for number in 0..3000 {
        table.take(session(number), &cut(&whole, 1)[0], NOW_NS + u64::from(number)).unwrap();
        assert!(table.table.waiting() <= 1024);
    }
    assert_eq!(table.drops.get(Reason::FragmentTableFull), 3000 - 1024);
    assert_eq!(table.take(session(2999), &cut(&whole, 1)[1], NOW_NS), Ok(Some(whole.clone())));
}

#[test]
fn a_node_with_many_streams_has_only_itself_to_harm() {
    let mut table = Table::new();
    let whole = frame(1500, 1);
    table.take(session(2), &cut(&whole, 1)[0], NOW_NS).unwrap();
    for number in 0..40 * 64 {
        let sender = SentBy::Stream(StreamName { root: 1, stream: number % 40 });
        table.take(sender, &cut(&whole, number)[0], NOW_NS + u64::from(number)).unwrap();
    }
    assert_eq!((table.table.waiting(), table.drops.get(Reason::FragmentTableFull)), (1024, 40 * 64 + 1 - 1024));
    assert_eq!(table.refusals.take(), [(1, Reason::FragmentTableFull, 40 * 64 + 1 - 1024)], "who fills it is named");
    assert_eq!(table.take(session(2), &cut(&whole, 1)[1], NOW_NS), Ok(Some(whole)), "the oldest of all");
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let body =
        |part, parts, whole, length| [&Fragment { id: 1, part, parts, whole }.emit()[..], &vec![0; length]].concat();
    for (part, parts, whole, length) in [(1, 2, 1500, 750), (0, 2, 1501, 751), (1, 2, 1501, 750), (7, 8, 9018, 1122)] {
        assert!(Fragment::parse(&body(part, parts, whole, length), None).is_ok());
    }
    for (part, parts, whole, length) in [
        (2, 2, 1500, 750),  // a third of two
        (0, 1, 1500, 1500), // one part is no part
        (0, 0, 1500, 750),  // of none
        (1, 9, 9000, 1000), // too many
        (0, 8, 9019, 1128), // too long
        (0, 2, 13, 7),      // too short
        (1, 2, 1500, 749),  // less than its part
        (1, 2, 1500, 751),  // more
        (7, 8, 14, 0),      // nothing left for it
    ] {
        let wrong = body(part, parts, whole, length);
        let parsed = Fragment::parse(&wrong, None);
        assert_eq!(parsed, Err(Reason::FragmentMalformed), "{part} of {parts}, {length} of {whole}");
    }
    let good = body(1, 2, 1500, 750);
    assert_eq!(Fragment::parse(&good[..8], None), Err(Reason::FragmentMalformed), "empty");
    assert_eq!(Fragment::parse(&good[..7], None), Err(Reason::FragmentMalformed), "short");
    let outside = Some(PartialChecksum { start: 90, offset: 9 });
    assert_eq!(
        Fragment::parse(&body(1, 2, 100, 50), outside),
        Err(Reason::FragmentMalformed),
        "a sum outside the frame"
    );
}

/// All parts, sealed.
fn seal_parts(session: &Session, whole: &[u8], id: u32) -> Vec<Vec<u8>> {
    let sealed = |(fragment, bytes): (Fragment, &[u8])| {
        let body = [&fragment.emit()[..], bytes].concat();
        seal(session, KIND_FRAGMENT, &body)
    };
    cut(whole, id).into_iter().map(sealed).collect()
}

fn seal_tree_parts(tree: &RootTree, whole: &[u8]) -> Vec<Vec<u8>> {
    let sealed = |(fragment, bytes): (Fragment, &[u8])| {
        let body = [&fragment.emit()[..], bytes].concat();
        seal_for(tree, &tree.members.load(), KIND_FRAGMENT, &body)
    };
    cut(whole, tree.next_fragment_id()).into_iter().map(sealed).collect()
}

/// The outcome of a datagram with a part at a receiver.
fn join_part(tables: &ForwardingTables, datagram: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
    let mut buffer = datagram.to_vec();
    let mut recent = Recent::default();
    let opened = if datagram[0] == 0xC4 {
        match tables.receive_session(&mut buffer, endpoint(1), NOW_NS, &mut recent)? {
            Received::Opened(opened) => opened,
            other => panic!("a part: {other:?}"),
        }
    } else {
        let (header, tree): (TreeHeader, _) = tables.receive_tree(&buffer, endpoint(1).address, NOW_NS, &mut recent)?;
        tables.open_tree(tree, &header, &mut buffer, false, NOW_NS)?
    };
    let Opened::Part(part) = opened else { panic!("a part: {opened:?}") };
    let OpenedPart { start, length, .. } = part;
    let mut frame = vec![0; MAX_FRAME_LEN];
    let joined = tables.reassemble(&part, &buffer[start..start + length], 0, NOW_NS, &mut frame)?;
    Ok(joined.map(|(length, _)| frame[..length].to_vec()))
}

#[test]
fn sealed_parts_of_sessions_and_trees_arrive_as_the_frame() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let whole = frame(MAX_FRAME_LEN, 9);
    for parts in [seal_parts(&session, &whole, session.next_fragment_id()), seal_tree_parts(&root, &whole)] {
        assert!(parts.iter().all(|part| part.len() <= 1232) && parts.len() == 8);
        assert!(parts.windows(2).all(|two| two[0].len() >= two[1].len()), "they leave as one run");
        for part in parts.iter().skip(1) {
            assert_eq!(join_part(&two, part), Ok(None));
            assert!(join_part(&two, part).is_err(), "a replay");
        }
        assert_eq!(join_part(&two, &parts[0]), Ok(Some(whole.clone())));
    }
}

#[test]
fn ids_count_from_zero_for_each_session_and_tree() {
    let (one, two) = (tables(1), tables(2));
    let (session, back) = join(&one, &two, 10, Aead::Aes256Gcm);
    assert_eq!((session.next_fragment_id(), session.next_fragment_id(), back.next_fragment_id()), (0, 1, 0));
    let (root, _) = tree(&one, &two, 5, leaf());
    assert_eq!((root.next_fragment_id(), root.next_fragment_id()), (0, 1));
}

proptest! {
    #[test]
    fn any_order_and_loss_joins_exactly_what_came_whole(
        lengths in prop::collection::vec(14..=MAX_FRAME_LEN, 20),
        shuffle in any::<u64>(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let wholes: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(id, length)| frame(*length, id as u8)).collect();
        let mut parts: Vec<_> = wholes.iter().zip(0..).flat_map(|(whole, id)| cut(whole, id)).collect();
        parts.sort_by_key(|(fragment, _)| (u64::from(fragment.id * 8) + u64::from(fragment.part)).wrapping_add(1).wrapping_mul(shuffle | 1));
        let mut missing = [0_usize; 20];
        for index in lost {
            if !parts.is_empty() {
                let gone = parts.remove(index.index(parts.len()));
                missing[gone.0.id as usize] += 1;
            }
        }
        let mut table = Table::new();
        let mut joined = Vec::new();
        for part in &parts {
            if let Some(whole) = table.take(session(1), part, NOW_NS).unwrap() {
                prop_assert_eq!(&whole, &wholes[part.0.id as usize]);
                joined.push(part.0.id as usize);
            }
        }
        joined.sort_unstable();
        prop_assert_eq!(joined, (0..20).filter(|id| missing[*id] == 0).collect::<Vec<usize>>());
        let some = |id: &usize| missing[*id] > 0 && missing[*id] < cut(&wholes[*id], 0).len();
        let waiting = (0..20).filter(some).count();
        prop_assert_eq!(table.table.waiting(), waiting);
        table.table.expire(NOW_NS + 2 * SECOND_NS, &table.drops);
        prop_assert_eq!(table.drops.get(Reason::FragmentTimeout), waiting as u64);
    }

    #[test]
    fn any_body_is_read(body in prop::collection::vec(any::<u8>(), 0..60), start in any::<u8>(), offset in any::<u8>()) {
        let checksum = Some(PartialChecksum { start, offset }).filter(|_| start & 1 == 0);
        if let Ok((fragment, bytes)) = Fragment::parse(&body, checksum) {
            prop_assert_eq!([&fragment.emit()[..], bytes].concat(), body);
        }
    }
}
