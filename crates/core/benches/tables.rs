//! Costs of writing many entries at once, hosts and routes of groups, and of holding a frame's source against certificates
//! (`cargo bench --package treecast-core`, `make bench`).

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use treecast_core::arrival::{IngressNode, Proof, Recent};
use treecast_core::broadcast_signature::SigningKey;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::key_flow::KeyFlow;
use treecast_core::network::Network;
use treecast_core::prefixes::Prefix;
use treecast_core::routes::SetRoute;
use treecast_core::table::Table;
use zeroize::Zeroizing;

const HOSTS: u64 = 262_144;
const GROUPS: u32 = 65_536;
const NODES: u32 = 1000;
const FRAMES: usize = 10_000_000;
const RUNS: usize = 3;

fn main() {
    hosts("one by one", |table| (0..HOSTS).for_each(|host| assert!(table.insert(host, 1).is_ok())));
    for size in [256, 4096, HOSTS] {
        hosts(&format!("{size} at once"), |table| {
            for start in (0..HOSTS).step_by(size as usize) {
                assert!(table.insert_all((start..start + size).map(|host| (host, 1))).is_empty());
            }
        });
    }
    let all: Vec<SetRoute> = (0..GROUPS)
        .map(|number| SetRoute { vlan: 0, group: Ipv4Addr::from(0xEF00_0000 + number).into(), source: None, stream: 1 })
        .collect();
    routes("one by one", |tables| {
        for set in &all {
            assert!(tables.set_route(set.vlan, set.group, set.source, set.stream).is_ok());
        }
    });
    for size in [256, 4096, GROUPS as usize] {
        routes(&format!("{size} at once"), |tables| {
            all.chunks(size).for_each(|chunk| assert!(tables.set_routes(chunk).is_empty()));
        });
    }
    let (ipv4_groups, ipv6_groups) = (
        Prefix { first: [224, 0, 0, 0].into(), length: 4 },
        Prefix { first: [0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into(), length: 8 },
    );
    sources("one after the other from one host", ipv4_groups, &[ipv4(1)]);
    sources("from two hosts in turn", ipv4_groups, &[ipv4(1), ipv4(2)]);
    sources("IPv6, from one host", ipv6_groups, &[ipv6(1)]);
    sources("IPv6, from two hosts in turn", ipv6_groups, &[ipv6(1), ipv6(2)]);
}

fn signing_key() -> SigningKey {
    SigningKey::new(&[1; 32]).expect("any seed is one")
}

fn hosts(how: &str, write: impl Fn(&Table<u64, u32>)) {
    report(&format!("{HOSTS} hosts, {how}"), || {
        let (table, begin) = (Table::new(HOSTS as usize), Instant::now());
        write(&table);
        assert_eq!(table.len(), HOSTS as usize);
        begin.elapsed()
    });
}

fn routes(how: &str, write: impl Fn(&ForwardingTables)) {
    report(&format!("{GROUPS} routes, {how}"), || {
        let network = Network::new([0; 16], Zeroizing::new([0; 32]));
        let (tables, begin) = (ForwardingTables::new(1, &network, signing_key(), Box::new(|| {})), Instant::now());
        write(&tables);
        let spent = begin.elapsed();
        assert_eq!(tables.routes().len(), GROUPS as usize);
        spent
    });
}

/// Frames of a bridge's hosts, of which none has an address of one of the other nodes.
fn sources(how: &str, groups: Prefix, frames: &[Vec<u8>]) {
    let network = Network::new([0; 16], Zeroizing::new([0; 32]));
    let tables = ForwardingTables::new(1, &network, signing_key(), Box::new(|| {}));
    for node in 1..=NODES {
        let addresses = [Ipv4Addr::from(0x0A4D_0000 + node).into()].into();
        let certified = CertifiedNode { bridge: true, carried: false, addresses, signing_key: [0; 32], send_to: None };
        assert!(tables.certify_node(node, certified).is_ok());
    }
    let frames: Vec<Frame<'_>> = frames.iter().map(|bytes| Frame::read(bytes)).collect();
    let flow = KeyFlow { vlan: 0, groups, source: None };
    report(&format!("{FRAMES} frames, their sources checked, {how}"), || {
        let (mut recent, begin) = (Recent::default(), Instant::now());
        for frame in frames.iter().cycle().take(FRAMES) {
            assert!(black_box(&tables)
                .check_source(black_box(frame), IngressNode { node: 2, proof: Proof::Shared(Some(flow)) }, &mut recent)
                .is_ok());
        }
        begin.elapsed()
    });
}

/// A datagram of a host, with nothing in it that is not looked at.
fn ipv4(host: u8) -> Vec<u8> {
    let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, host, 239, 1, 1, 1];
    [&[1, 0, 0x5E, 1, 1, 1, 2, 0xAA, 0, 0, 0, host, 0x08, 0x00], &header[..], &[0; 8]].concat()
}

fn ipv6(host: u8) -> Vec<u8> {
    let (source, group) = ([0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host], [0xFF; 16]);
    let header = [&[0x60, 0, 0, 0, 0, 8, 17, 64][..], &source, &group].concat();
    [&[0x33, 0x33, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0xAA, 0, 0, 0, host, 0x86, 0xDD], &header[..], &[0; 8]].concat()
}

/// Prints the median of a few runs.
fn report(name: &str, run: impl Fn() -> Duration) {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable();
    println!("{name}: {:.0} ms", times[RUNS / 2].as_secs_f64() * 1e3);
}
