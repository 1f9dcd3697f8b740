//! Costs of writing many entries at once: hosts, and routes of groups (`cargo bench --package treecast-core`, `make bench`).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::network::Network;
use treecast_core::routes::SetRoute;
use treecast_core::table::Table;
use zeroize::Zeroizing;

const HOSTS: u64 = 262_144;
const GROUPS: u32 = 65_536;
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
        .map(|number| SetRoute {
            vlan: 0,
            group: Ipv4Addr::from(0xEF00_0000 + number).into(),
            source: None,
            tree_id: 1,
        })
        .collect();
    routes("one by one", |tables| {
        for set in &all {
            assert!(tables.set_route(set.vlan, set.group, set.source, set.tree_id).is_ok());
        }
    });
    for size in [256, 4096, GROUPS as usize] {
        routes(&format!("{size} at once"), |tables| {
            all.chunks(size).for_each(|chunk| assert!(tables.set_routes(chunk).is_empty()));
        });
    }
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
        let (tables, begin) = (ForwardingTables::new(1, &network, Box::new(|| {})), Instant::now());
        write(&tables);
        let spent = begin.elapsed();
        assert_eq!(tables.routes().len(), GROUPS as usize);
        spent
    });
}

/// Prints the median of a few runs.
fn report(name: &str, run: impl Fn() -> Duration) {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable();
    println!("{name}: {:.0} ms", times[RUNS / 2].as_secs_f64() * 1e3);
}
