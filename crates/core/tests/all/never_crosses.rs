//! Frames that never leave a LAN, and that no node takes from another.

use crate::common::*;
use treecast_core::arrival::{IngressNode, Recent};
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::reason::Reason;

const MEMBER: u32 = 3;
const ITS_MAC: [u8; 6] = [2, 0x54, 0, 0, 0, 3];
const ITS_ADDRESS: [u8; 4] = [10, 77, 0, 3];

/// Membership and beacons are messages of one LAN: a node's kernel would believe a query of a member.
#[test]
fn membership_and_beacons_come_from_no_other_node() {
    let tables = tables(1);
    let (addresses, signing_key) = ([ITS_ADDRESS.into()].into(), signing_key(MEMBER).public());
    let member = CertifiedNode { bridge: false, carried: false, addresses, signing_key, send_to: None };
    tables.certify_node(MEMBER, member).unwrap();
    let check =
        |frame: &[u8]| tables.check_source(&Frame::read(frame), IngressNode::peer(MEMBER), &mut Recent::default());
    let group = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let from = |frame: Vec<u8>| [&frame[..6], &ITS_MAC[..], &frame[12..]].concat();
    let igmp = |kind: u8| from(ipv4(ITS_ADDRESS, [224, 0, 0, 1], 2, &[kind, 0, 0, 0, 0, 0, 0, 0]));
    let icmpv6 = |kind: u8| from(ipv6(group, 58, &[kind, 0, 0, 0, 0, 0, 0, 0]));
    let beacons = [
        from(ethernet([3, 0x54, 0x43, 0, 0, 1], 0x88B5, &[0; 60])),
        from(ipv4(ITS_ADDRESS, [224, 0, 0, 254], 253, &[0; 40])),
    ];
    let never = [0x11, 0x12, 0x16, 0x17, 0x22, 0x30, 0x31, 0x32].map(igmp).into_iter();
    for frame in never.chain([130, 131, 132, 143, 151, 152, 153].map(icmpv6)).chain(beacons) {
        assert_eq!(check(&frame), Err(Reason::FrameNeverCrosses), "{frame:02x?}");
    }
    assert_eq!(tables.refusals.take(), [(MEMBER, Reason::FrameNeverCrosses, 17)]);
    let another_use = from(ethernet([3, 0x54, 0x43, 0, 0, 2], 0x88B5, &[0; 60]));
    let another_type = igmp(0x13);
    for frame in [another_use, another_type, from(ipv4(ITS_ADDRESS, [224, 0, 0, 254], 17, &[0; 8]))] {
        assert_eq!(check(&frame), Ok(()), "{frame:02x?}");
    }
}
