//! Groups whose frames count only as their sender has sealed them for this node alone.

use crate::common::*;
use treecast_core::arrival::{IngressNode, Recent};
use treecast_core::datagram::StreamName;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::prefixes::Prefix;
use treecast_core::reason::Reason;

const ROOT: u32 = 2;

fn to(group: [u8; 4]) -> Vec<u8> {
    ipv4([10, 0, 0, 1], group, 17, &[0; 8])
}

#[test]
fn what_came_under_a_groups_key_is_refused_for_authenticated_groups_and_no_others() {
    let tables = tables(1);
    let signing_key = signing_key(ROOT).public();
    let root = CertifiedNode { bridge: true, carried: false, addresses: [].into(), signing_key, send_to: None };
    tables.certify_node(ROOT, root).unwrap();
    let check = |frame: &[u8], ingress| tables.check_source(&Frame::read(frame), ingress, &mut Recent::default());
    let by_key = IngressNode::stream(StreamName { root: ROOT, stream: 5 }, None);
    assert_eq!(check(&to([239, 5, 1, 1]), by_key), Ok(()), "none is at first");
    tables.set_authenticated_groups(vec![Prefix { first: [239, 5, 0, 0].into(), length: 16 }]);
    assert_eq!(check(&to([239, 5, 1, 1]), by_key), Err(Reason::FrameNotAuthenticated));
    assert_eq!(check(&to([239, 5, 1, 1]), IngressNode::peer(ROOT)), Ok(()), "a copy");
    assert_eq!(check(&to([239, 6, 1, 1]), by_key), Ok(()));
    let mut hidden = to([239, 5, 1, 1]);
    hidden[..6].copy_from_slice(&[1, 0, 0x5E, 6, 1, 1]);
    assert!(check(&hidden, by_key).is_err(), "under the MAC of another group");
    tables.set_authenticated_groups(vec![]);
    assert_eq!(check(&to([239, 5, 1, 1]), by_key), Ok(()));
}
