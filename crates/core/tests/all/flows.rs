//! Tables of flows: what they count, and whose flows stay in a full one.

use std::net::{IpAddr, Ipv4Addr};

use crate::common::*;
use treecast_core::flows::{FlowAccount, FlowKey, FlowReport, FlowTable, SENDER_LIFETIME_NS};
use treecast_core::limits::MAX_FLOWS;
use treecast_core::reason::Reason;

const SECOND_NS: u64 = 1_000_000_000;

fn flow(source: u32, group: u32) -> FlowKey {
    let address = |first: u32, rest: u32| IpAddr::from(Ipv4Addr::from(first << 24 | rest & 0xFF_FFFF));
    FlowKey { vlan: 0, root: 1, group: address(239, group), source: address(10, source) }
}

fn of(table: &FlowTable, key: &FlowKey, now_ns: u64) -> Option<FlowReport> {
    table.report(now_ns).into_iter().find(|report| report.key == *key)
}

#[test]
fn a_rate_is_what_came_in_the_last_seconds() {
    let (table, key) = (FlowTable::default(), flow(1, 1));
    let mut now_ns = NOW_NS;
    let mut send = |seconds: u64, per_second: u64| {
        for _ in 0..seconds * per_second {
            table.add(&key, 7, 1, 1000, now_ns);
            now_ns += SECOND_NS / per_second;
        }
        of(&table, &key, now_ns).unwrap()
    };
    let begun = send(1, 100);
    assert_eq!((begun.packets, begun.bytes, begun.since_ns), (100, 100_000, SECOND_NS));
    let near = |(pps, bps): (f64, f64), expected: f64| (pps - expected).abs() < 2.0 && (bps - pps * 8000.0).abs() < 0.1;
    assert!(near(begun.rate.unwrap(), 100.0));
    assert!(near(send(10, 100).rate.unwrap(), 100.0));
    assert!(near(send(5, 1000).rate.unwrap(), 1000.0), "what was before five seconds does not count");
    let later = of(&table, &key, NOW_NS + 22 * SECOND_NS).unwrap();
    assert_eq!((later.rate, later.silent_ns / SECOND_NS), (Some((0.0, 0.0)), 6));
    assert_eq!(of(&table, &key, NOW_NS + SECOND_NS / 2).unwrap().silent_ns, 0, "a clock that is behind");
}

#[test]
fn a_new_flow_has_no_rate_yet_and_a_slow_one_no_peak() {
    let (table, key) = (FlowTable::default(), flow(1, 1));
    for round in 0..5 {
        let now_ns = NOW_NS + round * 30 * SECOND_NS;
        table.add(&key, 7, 1, 1000, now_ns);
        assert_eq!(of(&table, &key, now_ns + SECOND_NS / 2).unwrap().rate, None);
        assert_eq!(of(&table, &key, now_ns + 2 * SECOND_NS).unwrap().rate, Some((0.5, 4000.0)));
    }
    assert_eq!(of(&table, &key, NOW_NS + 121 * SECOND_NS).unwrap().since_ns, 121 * SECOND_NS);
}

#[test]
fn who_sends_again_after_a_long_silence_has_begun_anew_and_nothing_that_was_counted_is_lost() {
    let (table, key) = (FlowTable::default(), flow(1, 1));
    table.add(&key, 7, 10, 1000, NOW_NS);
    assert!(of(&table, &key, NOW_NS + SENDER_LIFETIME_NS - 1).unwrap().is_sending());
    assert!(!of(&table, &key, NOW_NS + SENDER_LIFETIME_NS).unwrap().is_sending());
    table.add(&key, 7, 1, 100, NOW_NS + SENDER_LIFETIME_NS);
    let report = of(&table, &key, NOW_NS + SENDER_LIFETIME_NS + SECOND_NS).unwrap();
    assert_eq!((report.packets, report.bytes), (11, 1100));
    assert_eq!((report.since_ns, report.since_packets, report.since_bytes), (SECOND_NS, 1, 100));
}

#[test]
fn a_host_that_sends_to_millions_of_groups_displaces_only_itself() {
    let table = FlowTable::default();
    let honest: Vec<FlowKey> = (0..200).map(|number| flow(1, number)).collect();
    let mut now_ns = NOW_NS;
    for key in &honest {
        table.add(key, 1, 1, 100, now_ns);
    }
    let mut hostile = 0;
    for round in 0..20_u32 {
        for _ in 0..100_000 {
            table.add(&flow(2, hostile), 2, 1, 100, now_ns);
            hostile += 1;
            now_ns += 10_000;
        }
        let late = flow(3, round);
        table.add(&late, 3, 1, 100, now_ns);
        let reports = table.report(now_ns);
        assert!(reports.len() <= MAX_FLOWS);
        assert!(honest.iter().all(|key| reports.iter().any(|report| report.key == *key)), "after {hostile}");
        assert!(reports.iter().any(|report| report.key == late), "a sender that comes meanwhile is seen");
    }
}

#[test]
fn a_host_that_sends_under_ever_new_macs_does_not_displace_a_stream() {
    let table = FlowTable::default();
    let stream = flow(1, 1);
    let (mut now_ns, mut displaced) = (NOW_NS, 0_u32);
    for number in 0..1_000_000_u32 {
        displaced += u32::from(table.add(&flow(number, number + 2), (number + 2).into(), 1, 100, now_ns));
        if number % 100 == 0 {
            table.add(&stream, 1, 1, 100, now_ns);
        }
        now_ns += 10_000;
    }
    assert_eq!(of(&table, &stream, now_ns).unwrap().packets, 10_000);
    assert!(displaced > 900_000);
}

#[test]
fn what_ended_gives_way_first() {
    let table = FlowTable::default();
    let old: Vec<FlowKey> = (0..100_000).map(|number| flow(1, number)).collect();
    // Each of its own owner and larger than the new ones: nothing but its end speaks against it.
    (10..).zip(&old).for_each(|(owner, key)| _ = table.add(key, owner, 1000, 100, NOW_NS));
    let now_ns = NOW_NS + SENDER_LIFETIME_NS;
    let displaced = (0..1000).filter(|number| table.add(&flow(2, *number), 2, 1, 100, now_ns)).count();
    assert_eq!(displaced, 0);
    let new = table.report(now_ns).iter().filter(|report| report.is_sending()).count();
    assert_eq!(new, 1000);
    table.clear();
    assert_eq!(table.report(now_ns), []);
}

#[test]
fn a_run_of_one_flow_is_counted_at_its_end() {
    let (table, mut account) = (FlowTable::default(), FlowAccount::default());
    for _ in 0..3 {
        account.add(&table, flow(1, 1), 1, 2, 200, NOW_NS);
    }
    assert_eq!(table.report(NOW_NS), []);
    account.add(&table, flow(1, 2), 1, 1, 100, NOW_NS);
    assert_eq!(of(&table, &flow(1, 1), NOW_NS).map(|report| (report.packets, report.bytes)), Some((6, 600)));
    assert_eq!(account.finish(&table, NOW_NS), 0);
    assert_eq!(of(&table, &flow(1, 2), NOW_NS).map(|report| (report.packets, report.bytes)), Some((1, 100)));
    account.finish(&table, NOW_NS);
    assert_eq!(table.report(NOW_NS).len(), 2);
}

#[test]
fn a_group_s_frame_has_a_flow_whether_anybody_wants_it_or_not() {
    let node = tables(1);
    let frame = ipv4([10, 0, 0, 1], [239, 1, 1, 1], 17, &[0; 20]);
    let verdict = classify(&node, 0, &frame, 1, NOW_NS);
    assert_eq!(verdict.destination.unwrap().err(), Some(Reason::NoSubscriber));
    let flow = verdict.flow.unwrap();
    assert_eq!((flow.root, flow.group, flow.source), (1, [239, 1, 1, 1].into(), [10, 0, 0, 1].into()));
    assert_eq!(classify(&node, 0, &ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[0; 20]), 1, NOW_NS).flow, None);
    node.port(0).unwrap().set_forwarding(false);
    assert_eq!(classify(&node, 0, &frame, 1, NOW_NS).flow, None);
}
