//! Storm control: how much of what goes to many a port takes, and unknown unicast.

use crate::common::*;
use crate::ports::{node, reason};
use treecast_core::reason::Reason;
use treecast_core::verdict::Destination;

const REMOTE: [u8; 6] = [2, 0x54, 0, 0, 0, 2];
const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn storms_are_limited_per_kind() {
    let node = node();
    let port = node.port(0).unwrap();
    port.set_storm_limits(Some(10), Some(20), None);
    let passed = |frame: &[u8], now_ns| {
        let admitted = |_: &u32| reason(classify(&node, 0, frame, 1, now_ns)).is_none();
        (0..100).filter(admitted).count()
    };
    let broadcast = ipv4([10, 0, 0, 1], [255; 4], 17, &[0; 8]);
    let mdns = ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[0; 8]);
    assert_eq!(passed(&broadcast, NOW_NS), 10);
    assert_eq!(passed(&broadcast, NOW_NS), 0);
    assert_eq!(reason(classify(&node, 0, &broadcast, 1, NOW_NS)), Some(Reason::StormBroadcast));
    assert_eq!(passed(&mdns, NOW_NS), 20);
    assert_eq!(reason(classify(&node, 0, &mdns, 1, NOW_NS)), Some(Reason::StormMulticast));
    assert_eq!(passed(&broadcast, NOW_NS + SECOND_NS / 2), 5);
    assert_eq!(port.storm_refused(), [90 + 100 + 1 + 95, 80 + 1, 0]);
    port.set_storm_limits(None, None, None);
    assert_eq!(passed(&broadcast, NOW_NS), 100);
    assert_eq!(port.storm_refused(), [0; 3]);
    port.set_storm_limits(Some(0), None, None);
    assert_eq!(passed(&broadcast, NOW_NS), 0);
}

#[test]
fn frames_that_go_nowhere_use_no_limit_up() {
    let node = node();
    node.port(0).unwrap().set_storm_limits(None, Some(1), None);
    let group = ipv4([10, 0, 0, 1], [239, 1, 1, 1], 17, &[0; 8]);
    for _ in 0..10 {
        assert_eq!(reason(classify(&node, 0, &group, 1, NOW_NS)), Some(Reason::NoSubscriber));
    }
    node.set_route(0, [239, 1, 1, 1].into(), None, 0).unwrap();
    assert_eq!(reason(classify(&node, 0, &group, 1, NOW_NS)), None);
    assert_eq!(reason(classify(&node, 0, &group, 1, NOW_NS)), Some(Reason::StormMulticast));
}

#[test]
fn a_super_frame_counts_as_its_frames_and_passes_a_small_limit_at_times() {
    let node = node();
    node.port(0).unwrap().set_storm_limits(None, Some(10), None);
    let mdns = ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[0; 8]);
    let passes = |second| reason(classify(&node, 0, &mdns, 40, NOW_NS + second * SECOND_NS)).is_none();
    let passed: Vec<u64> = (0..10).filter(|second| passes(*second)).collect();
    assert_eq!(passed, [0, 4, 8]);
}

#[test]
fn unknown_unicast_is_dropped_or_flooded_within_its_limit() {
    let node = node();
    let port = node.port(0).unwrap();
    let frame = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &[0; 8]);
    assert_eq!(reason(classify(&node, 0, &frame, 1, NOW_NS)), Some(Reason::UnknownUnicast));
    port.set_unknown_unicast_flood(true);
    port.set_storm_limits(None, None, Some(2));
    for _ in 0..2 {
        let verdict = classify(&node, 0, &frame, 1, NOW_NS);
        let Some(Ok(Destination::Tree(tree, _, None))) = verdict.destination else { panic!("flooded") };
        assert_eq!(tree.name.stream, 0);
    }
    assert_eq!(reason(classify(&node, 0, &frame, 1, NOW_NS)), Some(Reason::StormUnknownUnicast));
    node.set_host(0, REMOTE, 2).unwrap();
    assert_eq!(reason(classify(&node, 0, &frame, 1, NOW_NS)), Some(Reason::NoSession), "a known MAC has no limit");
    port.set_unknown_unicast_flood(false);
    node.remove_host(0, REMOTE);
    assert_eq!(reason(classify(&node, 0, &frame, 1, NOW_NS)), Some(Reason::UnknownUnicast));
}
