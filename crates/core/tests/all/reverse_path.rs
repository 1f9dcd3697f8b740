//! Where datagrams of a tree are taken from.

use crate::anchors::{Members, FRAME};
use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::Recent;
use treecast_core::reason::Reason;

#[test]
fn a_tree_datagram_is_taken_from_an_address_of_its_root_only() {
    for place in [leaf(), relaying(&[3])] {
        let members = Members::new(place);
        let datagram = members.genuine();
        for wrong in [endpoint(3).address, std::net::SocketAddr::from(([192, 0, 2, 1], 7701))] {
            let mut recent = Recent::default();
            assert_eq!(members.member.receive_tree(&datagram, wrong, NOW_NS, &mut recent).err(), Some(Reason::TreeRpf));
            let relayed = members.member.relay((&datagram, 0), wrong, NOW_NS, &mut recent);
            assert!(relayed.is_none_or(|fresh| fresh.err() == Some(Reason::TreeRpf)));
        }
        assert_eq!(members.take(&datagram), Ok(FRAME.to_vec()));
    }
}

#[test]
fn a_root_that_moved_is_heard_from_its_new_address_once_its_path_has_moved() {
    let members = Members::new(leaf());
    let (datagram, moved) = (members.genuine(), endpoint(77));
    let at = |address, now_ns| {
        members.member.receive_tree(&datagram, address, now_ns, &mut Recent::default()).map(|_| ()).err()
    };
    let from = |address| at(address, NOW_NS);
    assert_eq!(from(moved.address), Some(Reason::TreeRpf));
    let session = members.root.session_to(2).unwrap();
    receive(&members.member, &seal(&session, 0, FRAME), moved).unwrap();
    assert_eq!(from(moved.address), Some(Reason::TreeRpf), "an authentic datagram is news, no move");
    members.member.set_path(1, moved, NOW_NS);
    assert_eq!(from(moved.address), None);
    assert_eq!(at(endpoint(1).address, NOW_NS + 3_999_999_999), None, "it may move a moment later, or back");
    assert_eq!(at(endpoint(1).address, NOW_NS + 4_000_000_000), Some(Reason::TreeRpf));
}

#[test]
fn a_root_is_heard_from_where_a_handshake_has_found_it_once_it_has_proved_that() {
    let members = Members::new(leaf());
    let datagram = members.genuine();
    let from = |address, now_ns| {
        members.member.receive_tree(&datagram, address, now_ns, &mut Recent::default()).map(|_| ()).err()
    };
    let found = endpoint(77);
    let (session, _) = join_found(&members.root, &members.member, 40, Aead::preferred(), Some(found));
    assert_eq!(from(found.address, NOW_NS), Some(Reason::TreeRpf), "nothing has come in that session");
    receive(&members.member, &seal(&session, 0, FRAME), endpoint(88)).unwrap();
    assert_eq!(from(endpoint(88).address, NOW_NS), Some(Reason::TreeRpf), "anybody can write that address");
    assert_eq!(from(found.address, NOW_NS), None);
    assert_eq!(from(endpoint(1).address, NOW_NS), None, "its path has not moved");
    assert_eq!(from(found.address, NOW_NS + 4_000_000_000), Some(Reason::TreeRpf));
}
