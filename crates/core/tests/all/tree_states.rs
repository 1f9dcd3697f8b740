//! Places on trees: what a state of a tree may say, and what a relay does without the sender key.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::Recent;
use treecast_core::datagram::{StreamName, TreeName, KIND_TREE_STATE};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::limits::{MAX_DOWNSTREAM_STREAMS_PER_ROOT, MAX_TREE_CHILDREN};
use treecast_core::reason::Reason;
use treecast_core::root_tree::SenderKey;
use treecast_core::table::Refused;
use treecast_core::tree_state::{TreePlace, TreeState};
use zeroize::Zeroizing;

const NAME: TreeName = TreeName { root: 1, stream: 5, epoch: EPOCH };
const FRAME: &[u8] = &[7; 60];
/// Offsets in the record.
const PARENT: usize = 20;
const LARGEST: usize = 28;
const CHILDREN: usize = 48;
/// The first backup child in a record with two children.
const BEHIND: usize = CHILDREN + 2 * 4 + 2;

/// The record of node 1 for a node at this place.
fn state(place: &TreePlace) -> Vec<u8> {
    let root = tables(1);
    root.create_tree(5, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
    root.tree_state(5, EPOCH, place).unwrap().to_vec()
}

fn parse(record: &[u8]) -> Result<TreePlace, Reason> {
    TreeState::parse(1, record, 0).map(|state| state.place)
}

#[test]
fn a_state_says_what_the_root_wrote_and_more_may_stand_behind_it() {
    let many: Vec<u32> = (3..3 + MAX_TREE_CHILDREN as u32).collect();
    let (half, rest) = (many[..100].to_vec(), many[100..].to_vec());
    for (children, below) in [(vec![], vec![]), (vec![3], vec![2, 4]), (vec![], vec![9]), (half, rest), (many, vec![])]
    {
        let place = TreePlace {
            parent: 700,
            backup: 800,
            children: children.into(),
            backup_children: below.into(),
            ..TreePlace::default()
        };
        let mut record = state(&place);
        let read = TreeState::parse(1, &record, 0).unwrap();
        assert_eq!((read.tree, read.key_id), (NAME, KEY_ID));
        assert_eq!(read.place, place);
        let both = TreePlace { backup_sends: true, ..place.clone() };
        assert_eq!(parse(&state(&both)), Ok(both));
        record.extend_from_slice(b"of a later version");
        assert_eq!(parse(&record), Ok(place));
    }
}

#[test]
fn no_backup_sends_where_there_is_none_and_flags_of_a_later_version_count_for_nothing() {
    let mut record = state(&TreePlace { backup_sends: true, ..leaf() });
    assert_eq!(parse(&record), Ok(leaf()));
    let place = TreePlace { backup: 6, ..leaf() };
    record = state(&place);
    *record.last_mut().unwrap() = 0xFE;
    assert_eq!(parse(&record), Ok(place));
}

#[test]
fn a_state_that_cannot_be_is_malformed() {
    let place = TreePlace { parent: 4, backup: 6, backup_children: [5, 9].into(), ..relaying(&[7, 8]) };
    let good = state(&place);
    assert_eq!(parse(&good), Ok(place.clone()));
    assert_eq!(parse(&good[..good.len() - 1]), Ok(place), "flags may be absent");
    for length in 0..good.len() - 1 {
        assert_eq!(parse(&good[..length]), Err(Reason::TreeStateMalformed), "{length} bytes");
    }
    let altered = |offset: usize, bytes: &[u8]| {
        let mut record = good.clone();
        record[offset..offset + bytes.len()].copy_from_slice(bytes);
        parse(&record)
    };
    let bad: [(usize, &[u8]); 14] = [
        (PARENT, &[0, 0, 0, 0]),   // children without a parent
        (PARENT, &[0, 0, 0, 6]),   // the backup
        (PARENT, &[0, 0, 0, 7]),   // a child
        (CHILDREN, &[0, 0, 0, 8]), // twice
        (CHILDREN, &[0, 0, 0, 9]), // not in order
        (CHILDREN, &[0, 0, 0, 1]), // the root
        (BEHIND, &[0, 0, 0, 4]),   // the parent as a backup child
        (BEHIND, &[0, 0, 0, 6]),   // the backup
        (BEHIND, &[0, 0, 0, 7]),   // a child
        (BEHIND, &[0, 0, 0, 9]),   // twice
        (BEHIND, &[0, 0, 0, 10]),  // not in order
        (BEHIND, &[0, 0, 0, 1]),   // the root
        (LARGEST, &[4, 207]),      // 1,231 bytes
        (LARGEST, &[34, 249]),     // 8,953 bytes
    ];
    for (offset, bytes) in bad {
        assert_eq!(altered(offset, bytes), Err(Reason::TreeStateMalformed), "{bytes:?} at {offset}");
    }
    let both = TreePlace { parent: 4, backup: 6, backup_sends: true, ..relaying(&[4, 6, 8]) };
    assert_eq!(parse(&state(&both)), Ok(both.clone()), "on the other tree they are above");
    let root = TreePlace { children: [1].into(), ..both };
    assert_eq!(parse(&state(&root)), Err(Reason::TreeStateMalformed));
    let crowded = |children: u32, backup_children: u32| {
        let behind = 1000 + children;
        state(&TreePlace {
            parent: 4,
            backup: 6,
            children: (1000..behind).collect(),
            backup_children: (behind..behind + backup_children).collect(),
            ..TreePlace::default()
        })
    };
    let most = MAX_TREE_CHILDREN as u32;
    for (children, backup_children) in [(most, 0), (0, most), (most - 7, 7)] {
        assert!(parse(&crowded(children, backup_children)).is_ok());
        assert_eq!(parse(&crowded(children + 1, backup_children)), Err(Reason::TreeStateMalformed));
        assert_eq!(parse(&crowded(children, backup_children + 1)), Err(Reason::TreeStateMalformed));
    }
}

#[test]
fn who_is_on_the_tree_no_more_is_given_no_tree_key() {
    let gone = TreePlace { parent: 0, ..leaf() };
    let (record, kept) = (state(&gone), state(&leaf()));
    assert_eq!(record[CHILDREN - 16..CHILDREN], [0; 16]);
    assert_eq!(kept[CHILDREN - 16..CHILDREN], [9; 16]);
    assert_eq!(parse(&record), Ok(gone));
}

/// Node 2 relays the tree of node 1 to node 3, and holds no sender key.
fn relay_without_key() -> (ForwardingTables, ForwardingTables) {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    one.create_tree(5, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
    take_place(&one, &two, NAME, &relaying(&[3]));
    (one, two)
}

#[test]
fn a_relay_without_the_sender_key_passes_datagrams_on_once_and_opens_none() {
    let (one, two) = relay_without_key();
    let datagram = seal_tree(&one.tree(5).unwrap(), FRAME);
    let (tree, next_hops) = relay(&two, &datagram).unwrap().unwrap();
    assert_eq!((&**next_hops, tree.stream.is_subscribed()), (&[3][..], false));
    assert_eq!(relay(&two, &datagram).unwrap().err(), Some(Reason::TreeReplay));
    assert_eq!(receive_tree(&two, &datagram), Err(Reason::TreeNotDelivered));
}

#[test]
fn a_relay_passes_on_what_comes_under_the_key_before_for_three_seconds_after_the_first_datagram_under_the_next() {
    let (one, two) = relay_without_key();
    let root = one.tree(5).unwrap();
    let old = [seal_tree(&root, FRAME), seal_tree(&root, FRAME)];
    let next = TreeName { epoch: EPOCH + 1, ..NAME };
    one.make_key(5, KEY_ID + 1, next.epoch, secrets(9, 9)).unwrap();
    take_place(&one, &two, next, &relaying(&[3]));
    one.use_key(5, KEY_ID + 1).unwrap();
    assert!(relay(&two, &seal_tree(&root, FRAME)).unwrap().is_ok());
    let at = |datagram: &[u8], after_ns| {
        let mut recent = Recent::default();
        let relayed = two.relay((datagram, 0), endpoint(1).address, NOW_NS + after_ns, &mut recent);
        relayed.unwrap().map(|_| ())
    };
    assert_eq!(at(&old[0], 2_999_999_999), Ok(()));
    assert_eq!(at(&old[1], 3_000_000_000), Err(Reason::TreeKeyUnknown));
}

#[test]
fn one_window_of_a_key_counts_for_all_trees_of_its_stream_at_relays_and_at_leaves() {
    let (_, two) = relay_without_key();
    let (to_leaf, leaf_node) = (tables(1), tables(4));
    join(&to_leaf, &leaf_node, 20, Aead::Aes256Gcm);
    tree(&to_leaf, &leaf_node, 5, leaf());
    let next = TreeName { epoch: EPOCH + 1, ..NAME };
    // The same key on another tree, as its root may have it.
    let sealed = |name| {
        let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
        seal_tree(&tree_with(name, 9, key), FRAME)
    };
    let again = tables(1);
    join(&again, &two, 30, Aead::Aes256Gcm);
    again.create_tree(5, EPOCH + 1, KEY_ID, secrets(9, 8)).unwrap();
    take_place(&again, &two, next, &relaying(&[3]));
    let again = tables(1);
    join(&again, &leaf_node, 40, Aead::Aes256Gcm);
    again.create_tree(5, EPOCH + 1, KEY_ID, secrets(9, 8)).unwrap();
    take_place(&again, &leaf_node, next, &leaf());
    assert_eq!(sealed(NAME)[28..68], sealed(next)[28..68], "the sealed part is the same in both epochs");
    assert!(relay(&two, &sealed(NAME)).unwrap().is_ok());
    assert_eq!(relay(&two, &sealed(next)).unwrap().err(), Some(Reason::TreeReplay));
    assert_eq!(receive_tree(&leaf_node, &sealed(NAME)), Ok(FRAME.to_vec()));
    assert_eq!(receive_tree(&leaf_node, &sealed(next)), Err(Reason::TreeReplay));
}

#[test]
fn who_was_on_an_earlier_tree_cannot_have_a_datagram_of_a_later_key_sent_on() {
    let (one, two) = relay_without_key();
    let next = TreeName { epoch: EPOCH + 1, ..NAME };
    one.make_key(5, KEY_ID + 1, EPOCH + 1, secrets(3, 4)).unwrap();
    take_place(&one, &two, next, &relaying(&[3]));
    // The tree key of the earlier tree, under the id of the later sender key.
    let key = SenderKey::new(KEY_ID + 1, Aead::preferred(), Zeroizing::new([0; 32]));
    let forged = seal_tree(&tree_with(NAME, 9, key), FRAME);
    assert_eq!(relay(&two, &forged).unwrap().err(), Some(Reason::TreeKeyUnknown));
    one.use_key(5, KEY_ID + 1).unwrap();
    assert!(relay(&two, &seal_tree(&one.tree(5).unwrap(), FRAME)).unwrap().is_ok());
}

#[test]
fn a_subscriber_that_leaves_holds_no_key_any_more_and_relays_on() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, relaying(&[3]));
    two.leave_stream(name.stream_name());
    let datagram = seal_tree(&root, FRAME);
    let (tree, _) = relay(&two, &datagram).unwrap().unwrap();
    assert!(!tree.stream.is_subscribed());
    two.end_relaying(name.stream_name());
    assert!(two.downstream_streams().is_empty() && !two.relays());
}

#[test]
fn who_relays_no_more_keeps_the_trees_by_which_it_gets_the_stream() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, leaf());
    two.end_relaying(name.stream_name());
    assert_eq!(receive_tree(&two, &seal_tree(&root, FRAME)), Ok(FRAME.to_vec()));
    let stream = StreamName { root: 1, stream: 99 };
    two.end_relaying(stream);
    two.leave_stream(stream);
}

#[test]
fn states_of_one_root_are_bounded() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let session = one.session_to(2).unwrap();
    let give = |epoch: u32| {
        one.create_tree(5, epoch, KEY_ID, secrets(9, 8)).unwrap();
        let mut datagram = seal(&session, KIND_TREE_STATE, &one.tree_state(5, epoch, &leaf()).unwrap());
        two.events.drain(10, || {});
        let now_ns = NOW_NS + u64::from(epoch) * 1_000_000; // below a peer's rate
        two.receive_session(&mut datagram, endpoint(1), now_ns, &mut Recent::default()).map(|_| ())
    };
    for epoch in 0..4096 {
        assert_eq!(give(epoch), Ok(()));
    }
    assert_eq!(give(4096), Err(Reason::TreeStatesFull));
}

#[test]
fn an_anchor_of_the_key_lets_a_relay_s_window_go_on() {
    let (one, two) = relay_without_key();
    let root = one.tree(5).unwrap();
    root.set_sealed(1 << 20);
    assert_eq!(relay(&two, &seal_tree(&root, FRAME)).unwrap().err(), Some(Reason::TreeAhead));
    take_place(&one, &two, NAME, &relaying(&[3]));
    assert!(relay(&two, &seal_tree(&root, FRAME)).unwrap().is_ok(), "a repeated state has it, too");
}

/// Node 1 with its tree, and node 2 with the key of it.
fn offered(places: &[TreePlace]) -> (ForwardingTables, Vec<u64>) {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    one.create_tree(5, EPOCH, KEY_ID, secrets(9, 0)).unwrap();
    take_key(&one, &two, NAME, KEY_ID);
    for place in places {
        assert_eq!(give_place(&one, &two, NAME, place), Ok(()));
    }
    let numbers = offered_places(&two).into_iter().map(|(_, number)| number).collect();
    (two, numbers)
}

#[test]
fn the_state_that_was_judged_is_taken_and_none_that_came_behind_it() {
    let (two, numbers) = offered(&[leaf(), relaying(&[3, 4])]);
    assert_eq!(two.accept_tree(NAME, numbers[0]), Ok(true));
    assert!(!two.relays());
    two.refuse_tree(NAME, numbers[1]);
    assert_eq!(two.accept_tree(NAME, numbers[1]), Ok(false));
    assert!(!two.relays());
}

#[test]
fn states_are_taken_in_their_order_and_one_that_is_repeated_is_one() {
    let (two, numbers) = offered(&[leaf(), leaf(), relaying(&[3]), leaf()]);
    assert_eq!(numbers, [1, 1, 2, 3]);
    let taken = numbers.iter().map(|number| (two.accept_tree(NAME, *number), two.relays())).collect::<Vec<_>>();
    assert_eq!(taken, [(Ok(true), false), (Ok(false), false), (Ok(true), true), (Ok(true), false)]);
}

#[test]
fn a_state_that_nobody_judged_goes_with_a_later_one_of_its_tree() {
    let (two, numbers) = offered(&[relaying(&[3]), leaf()]);
    assert_eq!(two.accept_tree(NAME, numbers[1]), Ok(true));
    assert_eq!(two.accept_tree(NAME, numbers[0]), Ok(false));
    assert!(!two.relays());
}

#[test]
fn a_place_without_children_makes_no_stream_for_who_has_left_it() {
    let (two, numbers) = offered(&[leaf(), relaying(&[3])]);
    two.leave_stream(NAME.stream_name());
    assert_eq!(two.accept_tree(NAME, numbers[0]), Ok(false));
    assert!(two.downstream_streams().is_empty());
    assert_eq!(two.accept_tree(NAME, numbers[1]), Ok(true), "a relay needs no key");
    two.end_relaying(NAME.stream_name());
    assert!(two.downstream_streams().is_empty());
}

#[test]
fn streams_of_one_root_are_bounded_and_leave_room_for_those_of_another() {
    let (one, two, three) = (tables(1), tables(2), tables(3));
    let (of_one, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    join(&three, &two, 30, Aead::Aes256Gcm);
    let record = state(&relaying(&[4]));
    let relays = |stream: u32| {
        let body = [&stream.to_be_bytes()[..], &record[4..]].concat();
        let (mut datagram, now_ns) = (seal(&of_one, KIND_TREE_STATE, &body), NOW_NS + u64::from(stream) * 1_000_000);
        assert!(two.receive_session(&mut datagram, endpoint(1), now_ns, &mut Recent::default()).is_ok());
        let (name, number) = offered_places(&two)[0];
        two.accept_tree(name, number)
    };
    let most = MAX_DOWNSTREAM_STREAMS_PER_ROOT as u32;
    assert!((1..=most).all(|stream| relays(stream) == Ok(true)));
    assert_eq!(relays(most + 1), Err(Refused::TableFull));
    assert_eq!(relays(1), Ok(true), "one that is there may change");
    tree(&three, &two, 5, leaf());
    two.end_relaying(StreamName { root: 1, stream: 7 });
    assert_eq!(relays(most + 1), Ok(true));
    two.forget_peer(1);
    assert!(two.downstream_streams().iter().all(|stream| stream.name.root == 3));
}
