//! Many entries written to a table at once: as one by one, at a fraction of the cost.

use std::time::Instant;

use treecast_core::table::Table;

const HOSTS: u64 = 262_144;

#[test]
fn a_batch_is_seen_as_if_written_one_by_one() {
    let (batch, single) = (Table::new(1000), Table::new(1000));
    single.insert(3, 0).unwrap();
    batch.insert(3, 0).unwrap();
    let entries: Vec<(u64, u64)> = (0..500).map(|n| (n % 300, n)).collect();
    entries.iter().for_each(|(key, value)| assert!(single.insert(*key, *value).is_ok()));
    assert_eq!(batch.insert_all(entries), Vec::<u64>::new());
    assert_eq!((batch.len(), single.len()), (300, 300));
    (0..300).for_each(|key| assert_eq!(batch.get(&key), single.get(&key)));
}

#[test]
fn what_a_full_table_has_no_room_for_comes_back_and_what_is_there_already_is_still_written() {
    let table = Table::new(10);
    (0..8).for_each(|key| assert!(table.insert(key, 0).is_ok()));
    let refused = table.insert_all((0..20).map(|key| (key, 1)));
    assert_eq!((refused.len(), table.len()), (10, 10));
    assert!(refused.iter().all(|key| (8..20).contains(key) && table.get(key).is_none()));
    (0..8).for_each(|key| assert_eq!(table.get(&key), Some(1)));
}

/// Prints: `cargo test --release -p treecast-core --test all batches -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn writing_as_many_hosts_as_there_may_be_is_measured() {
    let timed = |name: &str, write: &dyn Fn(&Table<u64, u32>)| {
        let (table, begin) = (Table::new(HOSTS as usize), Instant::now());
        write(&table);
        println!("{HOSTS} hosts, {name}: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(table.len(), HOSTS as usize);
    };
    timed("one by one", &|table| (0..HOSTS).for_each(|host| assert!(table.insert(host, 1).is_ok())));
    for size in [256, 4096, HOSTS] {
        timed(&format!("{size} at once"), &|table| {
            for start in (0..HOSTS).step_by(size as usize) {
                assert!(table.insert_all((start..start + size).map(|host| (host, 1))).is_empty());
            }
        });
    }
}
