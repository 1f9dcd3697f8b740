//! Events of many peers: one that floods delays itself, and events of one with few are read in time.

use treecast_core::datagram::{StreamName, TreeName};
use treecast_core::events::{Event, Events};
use treecast_core::reason::Reason;

use crate::common::{leaf, NOW_NS};

const OF_ONE_PEER: usize = 1024;
const IN_ALL: usize = 4096;
const BATCH: usize = 512;

fn events() -> Events {
    Events::new(Box::new(|| {}))
}

fn control(peer: u32, number: u32) -> Event {
    Event::Control { peer, session: number, data: vec![] }
}

/// Sends messages of a peer, and how many of them were queued.
fn flood(events: &Events, peer: u32, count: u32, now_ns: u64) -> usize {
    (0..count).filter(|number| events.push(control(peer, *number), now_ns).is_ok()).count()
}

fn of(peer: u32, events: &[Event]) -> Vec<u32> {
    let numbers = events.iter().filter_map(|event| match event {
        Event::Control { peer: other, session, .. } if *other == peer => Some(*session),
        _ => None,
    });
    numbers.collect()
}

#[test]
fn messages_of_a_peer_that_says_little_are_in_the_next_batch_whoever_floods() {
    let events = events();
    assert_eq!(flood(&events, 1, 20_000, NOW_NS), OF_ONE_PEER);
    events.drain(BATCH, || {});
    for number in 0..10 {
        events.push(control(2, number), NOW_NS).unwrap();
    }
    let batch = events.drain(BATCH, || {});
    assert_eq!(of(2, &batch), (0..10).collect::<Vec<_>>());
    assert_eq!(batch.len(), BATCH);
    assert!(of(1, &batch).is_sorted(), "each peer's come in their order");
}

#[test]
fn a_peer_has_a_quarter_of_the_room_and_a_rate_of_its_own() {
    let events = events();
    flood(&events, 1, 20_000, NOW_NS);
    assert_eq!(events.push(control(1, 0), NOW_NS), Err(Reason::PuntPeerFull));
    while !events.drain(BATCH, || {}).is_empty() {}
    assert_eq!(events.push(control(1, 0), NOW_NS), Err(Reason::PuntControlRate));
    assert_eq!(flood(&events, 1, 20_000, NOW_NS + 100_000_000), 200);
    assert_eq!(flood(&events, 2, 500, NOW_NS), 500);
}

#[test]
fn where_floods_of_many_fill_the_room_who_has_less_pushes_out_what_came_last_of_who_has_most() {
    let events = events();
    for peer in 1..=4 {
        assert_eq!(flood(&events, peer, 2000, NOW_NS), OF_ONE_PEER);
    }
    assert_eq!(events.push(control(5, 7), NOW_NS), Err(Reason::PuntControlFull), "another's is dropped");
    let mut left = Vec::new();
    loop {
        let batch = events.drain(BATCH, || {});
        if batch.is_empty() {
            break;
        }
        left.extend(batch);
    }
    assert_eq!(left.len(), IN_ALL);
    assert_eq!(of(5, &left), [7]);
    let counts: Vec<usize> = (1..=4).map(|peer| of(peer, &left).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), IN_ALL - 1);
    assert!(counts.iter().all(|count| *count >= OF_ONE_PEER - 1));
    assert!((1..=4).all(|peer| of(peer, &left).is_sorted()));
}

#[test]
fn where_all_have_as_much_what_comes_is_dropped() {
    let events = events();
    for peer in 1..=4096 {
        events.push(control(peer, 0), NOW_NS).unwrap();
    }
    assert_eq!(events.push(control(5000, 0), NOW_NS), Err(Reason::PuntControlFull));
    assert_eq!(events.push(control(1, 1), NOW_NS), Err(Reason::PuntControlFull));
    let batches = (0..9).map(|_| events.drain(BATCH, || {}));
    let left: Vec<Event> = batches.flatten().collect();
    assert_eq!((left.len(), of(1, &left), of(5000, &left)), (IN_ALL, vec![0], vec![]));
}

#[test]
fn offers_of_one_root_hold_up_nothing_of_another() {
    let events = events();
    let offered = |root, key_id| Event::KeyOffered { stream: StreamName { root, stream: 1 }, key_id, context: vec![] };
    let taken = (0..20_000).filter(|key_id| events.push(offered(1, *key_id), NOW_NS).is_ok()).count();
    assert_eq!(taken, OF_ONE_PEER);
    events.push(offered(2, 1), NOW_NS).unwrap();
    events.push(control(1, 1), NOW_NS).unwrap();
    events.push(Event::TreeUsed { stream: 9 }, NOW_NS).unwrap();
    let batch = events.drain(8, || {});
    assert!(batch.contains(&offered(2, 1)) && batch.contains(&Event::TreeUsed { stream: 9 }));
}

#[test]
fn states_of_one_root_hold_up_nothing_of_another() {
    let events = events();
    let offered =
        |root, epoch| Event::TreeOffered { tree: TreeName { root, stream: 1, epoch }, number: 1, place: leaf() };
    let taken = (0..20_000).filter(|epoch| events.push(offered(1, *epoch), NOW_NS).is_ok()).count();
    assert_eq!(taken, OF_ONE_PEER);
    events.push(offered(2, 1), NOW_NS).unwrap();
    assert!(events.drain(8, || {}).contains(&offered(2, 1)));
}

#[test]
fn a_peer_that_is_forgotten_begins_anew() {
    let events = events();
    flood(&events, 1, 2000, NOW_NS);
    events.forget_peer(1);
    assert_eq!(events.push(control(1, 0), NOW_NS), Err(Reason::PuntPeerFull), "what waits of it counts");
    while !events.drain(BATCH, || {}).is_empty() {}
    events.forget_peer(1);
    assert_eq!(flood(&events, 1, 100, NOW_NS), 100);
}
