//! Many entries written to a table at once: as one by one, at a fraction of the cost.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::routes::{Route, SetRoute};
use treecast_core::table::Table;

use crate::common::tables;

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

#[test]
fn routes_that_are_set_at_once_are_as_if_set_one_by_one_and_keep_their_numbers() {
    let [batch, single] = [1, 2].map(tables);
    let source = |number: u8| (number > 0).then(|| IpAddr::from([192, 0, 2, number]));
    let routes: Vec<SetRoute> = (0..200)
        .map(|n: u8| SetRoute { vlan: 0, group: [239, 0, 0, n % 7].into(), source: source(n % 5), stream: n.into() })
        .collect();
    for tables in [&batch, &single] {
        tables.set_route(0, [239, 0, 0, 3].into(), None, 9).unwrap();
        tables.routes()[0].tx.add(5, 500);
    }
    routes.iter().for_each(|set| single.set_route(set.vlan, set.group, set.source, set.stream).unwrap());
    assert_eq!(batch.set_routes(&routes), []);
    let seen = |tables: &ForwardingTables| {
        let of = |route: &Arc<Route>| (route.group, route.source, route.stream, route.tx.get());
        tables.routes().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(seen(&batch), seen(&single));
    assert_eq!(seen(&batch).iter().filter(|(.., numbers)| *numbers == (5, 500)).count(), 1);
    assert_eq!(seen(&batch).len(), 35);
}

#[test]
fn routes_of_groups_that_find_no_room_come_back_and_those_of_known_groups_are_set() {
    let tables = tables(1);
    let route = |number: u32, stream| SetRoute { vlan: 0, group: Ipv4Addr::from(number).into(), source: None, stream };
    let all: Vec<SetRoute> = (0..65_536 + 3).map(|number| route(0xEF00_0000 + number, 1)).collect();
    let refused = tables.set_routes(&all);
    assert_eq!((refused.len(), tables.routes().len()), (3, 65_536));
    let known = all.iter().find(|set| !refused.contains(&set.key())).unwrap();
    assert_eq!(tables.set_routes(&[SetRoute { stream: 2, ..*known }, route(1, 2)]), [(0, Ipv4Addr::from(1).into())]);
    assert_eq!(tables.routes().iter().filter(|route| route.stream == 2).count(), 1);
}
