//! A node with two parents that both send it a stream: what comes first goes on, what comes second ends here.
//!
//! ```text
//! 1 root ---- 2 ---- 3 ---- 5
//!        \\--- 4 ----/
//! ```

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::anchor::Anchor;
use treecast_core::arrival::{Opened, OpenedFrame, Received, Recent};
use treecast_core::counters::Counter;
use treecast_core::datagram::{TreeName, KIND_ANCHOR};
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;
use treecast_core::root_tree::SenderKey;
use treecast_core::silence::TURN_NS;
use treecast_core::tree_mark::KIND_TICK;
use treecast_core::tree_state::TreePlace;
use treecast_core::withheld::ParentFailure;
use zeroize::Zeroizing;

const NAME: TreeName = TreeName { root: 1, stream: 5, epoch: EPOCH };
const MS: u64 = 1_000_000;
const FRAME: &[u8] = &[7; 60];
const PARENTS: [u8; 2] = [2, 4];

struct Network {
    root: ForwardingTables,
    parents: [ForwardingTables; 2],
    child: ForwardingTables,
    now_ns: u64,
}

impl Network {
    /// The child sends on to these.
    fn new(children: &[u32]) -> Self {
        let network = Self { root: tables(1), parents: [tables(2), tables(4)], child: tables(3), now_ns: NOW_NS };
        let Self { root, parents, child, .. } = &network;
        for (index, (one, two)) in (10..).step_by(2).zip([(root, child), (&parents[0], child), (&parents[1], child)]) {
            join(one, two, index, Aead::Aes256Gcm);
        }
        root.create_tree(5, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
        take_key(root, child, NAME, KEY_ID);
        take_place(root, child, NAME, &TreePlace { parent: 2, backup: 4, backup_sends: true, ..relaying(children) });
        network
    }

    fn genuine(&self) -> Vec<u8> {
        seal_tree(&self.root.tree(5).unwrap(), FRAME)
    }

    /// A datagram comes from a parent: to whom it goes on.
    fn pass(&self, from: u8, datagram: &[u8]) -> Result<Vec<u32>, Reason> {
        let mut recent = Recent::default();
        let passed = self.child.relay((datagram, 0), endpoint(from).address, self.now_ns, &mut recent).unwrap();
        passed.map(|(_, next_hops)| next_hops.to_vec())
    }

    /// The frame in a datagram that comes from a parent, where nothing goes on.
    fn open(&self, from: u8, datagram: &[u8]) -> Result<Vec<u8>, Reason> {
        match open_from(&self.child, u32::from(from), datagram, self.now_ns)? {
            (Opened::Frame(OpenedFrame { start, length, .. }), buffer) => Ok(buffer[start..start + length].to_vec()),
            (Opened::Part(part), _) => panic!("a whole frame: {part:?}"),
        }
    }

    /// An anchor comes from a parent: does it go on?
    fn anchor(&self, from: usize, anchor: &Anchor) -> bool {
        let mut datagram = seal(&self.parents[from].session_to(3).unwrap(), KIND_ANCHOR, &anchor.emit());
        let from = endpoint(PARENTS[from]);
        match self.child.receive_session(&mut datagram, from, self.now_ns, &mut Recent::default()).unwrap() {
            Received::Anchor(_, next_hops) => **next_hops == [5],
            _ => false,
        }
    }
}

#[test]
fn what_comes_first_goes_on_and_what_comes_second_ends_whichever_parent_is_late() {
    let network = Network::new(&[5]);
    for number in 0..200 {
        let datagram = network.genuine();
        let [first, second] = if number % 3 == 0 { PARENTS } else { [4, 2] };
        assert_eq!(network.pass(first, &datagram), Ok(vec![5]));
        assert_eq!(network.pass(second, &datagram), Err(Reason::SecondCopy));
    }
    let (one, other) = (network.genuine(), network.genuine());
    for (from, expected) in [(2, Ok(vec![5])), (4, Err(Reason::SecondCopy))] {
        assert_eq!(network.pass(from, &one), expected);
        assert_eq!(network.pass(from, &other), expected);
    }
    assert_eq!(network.child.anchor_requests.take(), [], "nothing is doubted");
}

#[test]
fn a_leaf_opens_what_comes_first_and_what_comes_second_is_not_opened() {
    let network = Network::new(&[]);
    for number in 0..100 {
        let datagram = network.genuine();
        let [first, second] = if number % 2 == 0 { PARENTS } else { [4, 2] };
        assert_eq!(network.open(first, &datagram), Ok(FRAME.to_vec()));
        assert_eq!(network.open(second, &datagram), Err(Reason::SecondCopy));
        assert_eq!(network.open(first, &datagram), Err(Reason::TreeReplay), "that parent has sent it before");
    }
}

#[test]
fn counters_that_somebody_has_made_up_are_found_by_what_each_parent_sends_once() {
    for children in [&[5][..], &[]] {
        let network = Network::new(children);
        let take = |from, datagram: &[u8]| {
            if children.is_empty() {
                network.open(from, datagram).map(|_| ())
            } else {
                network.pass(from, datagram).map(|_| ())
            }
        };
        let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
        let forged = tree_with(NAME, 9, key);
        for _ in 0..20 {
            assert_eq!(take(2, &seal_tree(&forged, FRAME)), Ok(()));
        }
        let datagrams: Vec<Vec<u8>> = (0..3).map(|_| network.genuine()).collect();
        for datagram in &datagrams {
            assert_eq!(take(4, datagram), Err(Reason::SecondCopy));
        }
        assert_eq!(network.child.anchor_requests.take(), []);
        for datagram in &datagrams {
            assert_eq!(take(2, datagram), Err(Reason::TreeReplay));
        }
        let asked = network.child.anchor_requests.take();
        assert_eq!(asked.iter().map(|mark| (mark.tree, mark.counter)).collect::<Vec<_>>(), [(NAME, 20)]);
        let answer = Anchor { first_counter: 1, answers: 20, ..Anchor::at(NAME, KEY_ID, 3) };
        let session = network.root.session_to(3).unwrap();
        receive(&network.child, &seal(&session, KIND_ANCHOR, &answer.emit()), endpoint(1)).unwrap();
        let datagram = network.genuine();
        assert_eq!([4, 2].map(|from| take(from, &datagram)), [Ok(()), Err(Reason::SecondCopy)]);
    }
}

#[test]
fn a_counter_far_ahead_moves_no_window() {
    let network = Network::new(&[]);
    let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
    key.set_sealed(1 << 20);
    assert_eq!(network.open(4, &seal_tree(&tree_with(NAME, 9, key), FRAME)), Err(Reason::TreeAhead));
    let datagram = network.genuine();
    assert_eq!(network.open(2, &datagram), Ok(FRAME.to_vec()));
    assert_eq!(network.open(4, &datagram), Err(Reason::SecondCopy));
}

#[test]
fn a_parent_that_is_silent_is_reported_to_the_root_and_the_other_one_sends_already() {
    let mut network = Network::new(&[5]);
    for number in 0..400 {
        let datagram = network.genuine();
        assert_eq!(network.pass(4, &datagram), Ok(vec![5]));
        if number < 200 {
            assert_eq!(network.pass(2, &datagram), Err(Reason::SecondCopy));
        }
        network.now_ns += MS;
        if number % 20 == 19 {
            assert_eq!(network.child.turn_trees(network.now_ns).grafts, []);
        }
    }
    let failures: Vec<Event> = network.child.drain(100, || {}).into_iter().filter(is_failure).collect();
    assert_eq!(failures, [Event::ParentFailed { tree: NAME, parent: 2, failure: ParentFailure::Silent }]);
    assert_eq!(network.child.counters.get(Counter::Grafts), 0);
    let datagram = network.genuine();
    assert_eq!(network.pass(2, &datagram), Ok(vec![5]));
    network.now_ns += TURN_NS;
    network.child.turn_trees(network.now_ns);
    let failures: Vec<Event> = network.child.drain(100, || {}).into_iter().filter(is_failure).collect();
    assert_eq!(failures, [Event::ParentFailed { tree: NAME, parent: 2, failure: ParentFailure::Returned }]);
}

fn is_failure(event: &Event) -> bool {
    matches!(event, Event::ParentFailed { .. })
}

#[test]
fn a_slow_stream_that_comes_twice_is_no_fast_one() {
    let mut network = Network::new(&[5]);
    for _ in 0..80 {
        let datagram = network.genuine();
        for from in PARENTS {
            let _first_or_second = network.pass(from, &datagram);
        }
        network.now_ns += TURN_NS;
        network.child.turn_trees(network.now_ns);
    }
    for _ in 0..10 {
        network.now_ns += TURN_NS;
        network.child.turn_trees(network.now_ns);
    }
    let mut tick = seal(&network.parents[1].session_to(3).unwrap(), KIND_TICK, &[]);
    let ticked = network.child.receive_session(&mut tick, endpoint(4), network.now_ns, &mut Recent::default());
    assert!(matches!(ticked, Ok(Received::Done)));
    assert!(!network.child.drain(100, || {}).iter().any(is_failure), "50 a second: silent after a second");
}

#[test]
fn an_anchor_goes_on_once_though_both_parents_send_it() {
    let network = Network::new(&[5]);
    let anchor = |in_use_ms, counter| Anchor { in_use_ms, ..Anchor::at(NAME, KEY_ID, counter) };
    assert_eq!([0, 1].map(|from| network.anchor(from, &anchor(100, 7))), [true, false]);
    assert_eq!([1, 0].map(|from| network.anchor(from, &anchor(300, 7))), [true, false]);
    assert_eq!([1, 0].map(|from| network.anchor(from, &anchor(100, 7))), [false, false]);
    assert_eq!([0, 1].map(|from| network.anchor(from, &anchor(u16::MAX, 5000))), [true, false]);
    assert_eq!([0, 1].map(|from| network.anchor(from, &anchor(u16::MAX, 8000))), [true, false]);
}
