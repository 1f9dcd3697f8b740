//! Offers of keys that come after the offer of the next one.

use crate::anchors::{make_next, rotate, Members, FRAME};
use crate::common::*;
use treecast_core::datagram::KIND_SENDER_KEY;
use treecast_core::reason::Reason;

/// The root uses three keys in turn. The member has the first and the third when the offer of the second arrives, before
/// or after the first datagram under the third.
fn take_under_the_key_between(is_newest_used: bool) -> Result<Vec<u8>, Reason> {
    let members = Members::new(leaf());
    let name = make_next(&members, KEY_ID + 1);
    let late = members.root.offer(5, KEY_ID + 1, before(KEY_ID + 1), b"\xc0", NOW_NS).unwrap();
    members.root.use_key(5, KEY_ID + 1).unwrap();
    let under_it = members.genuine();
    rotate(&members, KEY_ID + 2);
    assert_eq!(members.take(&under_it), Err(Reason::TreeKeyUnknown));
    if is_newest_used {
        assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
    }
    let sealed = seal(&members.root.session_to(2).unwrap(), KIND_SENDER_KEY, &late);
    receive(&members.member, &sealed, endpoint(1)).unwrap();
    let is_held = members.member.accept_key(name.stream_name(), KEY_ID + 1, None).unwrap();
    assert_eq!(is_held, !is_newest_used, "it is acknowledged where it is held");
    let taken = members.take(&under_it);
    assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()), "the newest key stays");
    taken
}

#[test]
fn a_key_whose_offer_is_late_is_taken_until_the_next_one_is_used_and_no_more_from_then_on() {
    assert_eq!(take_under_the_key_between(false), Ok(FRAME.to_vec()));
    assert_eq!(take_under_the_key_between(true), Err(Reason::TreeKeyUnknown));
}
