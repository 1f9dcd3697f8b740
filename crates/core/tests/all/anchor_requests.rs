//! Requests for anchors: who may request them, and what a node does with counters that were made up.

use std::cell::Cell;

use crate::anchors::{forge, Members, NAME};
use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::{TreeName, KIND_ANCHOR};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;
use treecast_core::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST};

/// The requests that the member sends, as the root answers them. How many.
pub(crate) fn answer_requests(members: &Members) -> usize {
    let requests = members.member.anchor_requests.take();
    let session = members.member.session_to(1).unwrap();
    for mark in &requests {
        let mut asked = seal(&session, KIND_ANCHOR_REQUEST, &mark.emit());
        match members.root.receive_session(&mut asked, endpoint(2), NOW_NS, &mut Recent::default()) {
            Ok(Received::Anchor(anchor, to)) => {
                assert_eq!((anchor.answers, &**to), (mark.counter, &[2][..]));
                let sealed = seal(&members.root.session_to(2).unwrap(), KIND_ANCHOR, &anchor.emit());
                assert_eq!(receive(&members.member, &sealed, endpoint(1)), Ok(None));
            }
            other => panic!("an anchor for the member: {other:?}"),
        }
    }
    requests.len()
}

#[test]
fn who_is_not_on_the_tree_gets_no_anchor() {
    let members = Members::new(leaf());
    let other = tables(3);
    join(&other, &members.root, 30, Aead::Aes256Gcm);
    let ask = |from: &ForwardingTables, number, tree| {
        let mark = TreeMark { tree, counter: 7 };
        let asked = seal(&from.session_to(1).unwrap(), KIND_ANCHOR_REQUEST, &mark.emit());
        receive(&members.root, &asked, endpoint(number))
    };
    assert_eq!(ask(&other, 3, NAME), Err(Reason::AnchorRequestUnexpected));
    for tree in [TreeName { root: 2, ..NAME }, TreeName { stream: 6, ..NAME }] {
        assert_eq!(ask(&members.member, 2, tree), Err(Reason::AnchorRequestUnexpected));
    }
    assert_eq!(ask(&members.member, 2, NAME), Ok(None));
}

#[test]
fn counters_that_were_made_up_are_forgotten_once_the_root_has_said_how_far_it_is() {
    for place in [leaf(), relaying(&[3])] {
        let members = Members::new(place);
        let now_ns = Cell::new(NOW_NS);
        let take = |datagram: &[u8]| {
            let (from, mut recent) = (endpoint(1).address, Recent::default());
            match members.member.relay((datagram, 0), from, now_ns.get(), &mut recent) {
                Some(relayed) => relayed.map(|_| ()),
                None => receive_tree_at(&members.member, datagram, now_ns.get()).map(|_| ()),
            }
        };
        let recorded = members.genuine();
        assert!(take(&recorded).is_ok());
        for counter in 2..=15_000 {
            assert!(take(&forge(counter)).is_ok());
        }
        assert_eq!(answer_requests(&members), 1, "it is far beyond its anchor");
        assert_eq!([take(&members.genuine()), take(&members.genuine())], [Err(Reason::TreeReplay); 2]);
        assert_eq!(answer_requests(&members), 0, "the last one was just now");
        now_ns.set(NOW_NS + 50_000_000);
        assert_eq!(take(&members.genuine()), Err(Reason::TreeReplay));
        assert_eq!(answer_requests(&members), 1);
        for _ in 0..1_000 {
            assert!(take(&members.genuine()).is_ok());
        }
        assert_eq!(answer_requests(&members), 0);
        assert_eq!(take(&recorded), Err(Reason::TreeReplay), "what was below the root's counter counts as it did");
    }
}
