//! Tables against plain maps, events against their bounds, token buckets against arithmetic.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::TreeName;
use treecast_core::events::{Event, Events};
use treecast_core::rate::{PrefixBuckets, Rate, TokenBucket};
use treecast_core::reason::Reason;
use treecast_core::root_tree::Hops;
use treecast_core::table::Refused;
use treecast_core::table::{Table, TableFull};

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u8),
    Remove(u16),
    RetainEven,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u16..40, any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => (0u16..40).prop_map(Step::Remove),
        1 => Just(Step::RetainEven),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn a_table_is_a_bounded_map(steps in steps()) {
        let (table, mut model) = (Table::new(8), HashMap::new());
        for step in steps {
            match step {
                Step::Insert(key, _) if model.len() == 8 && !model.contains_key(&key) => {
                    prop_assert_eq!(table.insert(key, 0), Err(TableFull));
                }
                Step::Insert(key, value) => prop_assert_eq!(table.insert(key, value), Ok(model.insert(key, value))),
                Step::Remove(key) => prop_assert_eq!(table.remove(&key), model.remove(&key)),
                Step::RetainEven => {
                    table.retain(|key, _| key % 2 == 0);
                    model.retain(|key, _| key % 2 == 0);
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for key in 0..40 {
                prop_assert_eq!(table.get(&key), model.get(&key).copied());
            }
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate(gaps in prop::collection::vec(0u64..50_000_000, 1..300)) {
        let rate = Rate { per_second: 100, burst: 5 };
        let (mut bucket, mut now_ns, mut taken) = (TokenBucket::default(), 1_000_000_000_000, 0u64);
        let start_ns = now_ns;
        for gap in gaps {
            now_ns += gap;
            taken += u64::from(bucket.take(rate, now_ns));
            prop_assert!(taken <= 5 + (now_ns - start_ns) * 100 / 1_000_000_000 + 1);
        }
    }
}

#[test]
fn one_prefix_does_not_use_up_anothers_tokens() {
    let mut buckets = PrefixBuckets::new(Rate { per_second: 1, burst: 3 }, 1024);
    let flooder = |last: u16| IpAddr::from([0x2001, 0xDB8, 0, 1, 0, 0, 0, last]);
    let taken = (0..1000).filter(|last| buckets.take(flooder(*last), NOW_NS)).count();
    assert_eq!(taken, 3); // one /64
    let others = (0..64).filter(|last| buckets.take(IpAddr::from([198, 51, 100, *last]), NOW_NS)).count();
    assert!(others > 55, "{others} of 64, some share a bucket");
}

#[test]
fn events_come_out_in_order_and_wake_once() {
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = woken.clone();
    let events = Events::new(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let frame = |number: u8| tap_frame(&[number]);
    let confirmed = Event::SessionConfirmed { peer: 1, session: 2 };
    for event in [frame(1), confirmed.clone(), frame(2)] {
        events.push(event, NOW_NS).unwrap();
    }
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    let mut cleared = false;
    assert_eq!(events.drain(2, || cleared = true), [confirmed, frame(1)]);
    assert!(!cleared);
    assert_eq!(events.drain(2, || cleared = true), [frame(2)]);
    assert!(cleared);
    events.push(frame(3), NOW_NS).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 2);
}

#[test]
fn a_flood_of_one_kind_leaves_room_for_the_others() {
    let events = Events::new(Box::new(|| {}));
    let frame = || tap_frame(&[]);
    let accepted = (0..100_000).filter(|_| events.push(frame(), NOW_NS).is_ok()).count();
    assert_eq!(accepted, 1024);
    assert_eq!(events.push(frame(), NOW_NS), Err(Reason::PuntNeighboursFull));
    events.push(Event::Control { peer: 1, session: 1, data: vec![] }, NOW_NS).unwrap();
    events.drain(2000, || {});
    assert_eq!(events.push(frame(), NOW_NS), Err(Reason::PuntNeighboursRate));
    assert_eq!(events.push(frame(), NOW_NS + 1_000_000), Ok(()));
}

/// One event of each kind that has a bound and a rate of its own, with the reasons to refuse it.
fn one_of_each_kind() -> Vec<(Event, Reason, Reason)> {
    let router = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];
    let tap = |frame: Vec<u8>| tap_frame(&frame);
    let tree = TreeName { root: 2, stream: 1, epoch: 1 };
    let handshake = |kind| Event::Handshake { socket: 0, source: ([10, 0, 0, 1], 1).into(), data: vec![kind] };
    vec![
        (tap(ethernet([0xFF; 6], 0x0806, &[0; 28])), Reason::PuntNeighboursFull, Reason::PuntNeighboursRate),
        (tap(ipv4([10, 0, 0, 1], [224, 0, 0, 22], 2, &[0x22; 8])), Reason::PuntIgmpFull, Reason::PuntIgmpRate),
        (tap(ipv6([0xFE; 16], 58, &[143; 8])), Reason::PuntMldFull, Reason::PuntMldRate),
        (tap(ipv4([10, 0, 0, 1], [255; 4], 17, &[0, 67, 0, 68])), Reason::PuntDhcpFull, Reason::PuntDhcpRate),
        (tap(ipv4([0; 4], [255; 4], 17, &[0, 68, 0, 67])), Reason::PuntDhcpClientsFull, Reason::PuntDhcpClientsRate),
        (
            tap(ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[20, 233, 20, 233])),
            Reason::PuntMdnsFull,
            Reason::PuntMdnsRate,
        ),
        (tap(ipv6(router, 103, &[0x20; 4])), Reason::PuntRoutersFull, Reason::PuntRoutersRate),
        (tap(ethernet([0xFF; 6], 0x88B5, &[0; 46])), Reason::PuntBeaconsFull, Reason::PuntBeaconsRate),
        (Event::Control { peer: 1, session: 1, data: vec![] }, Reason::PuntControlFull, Reason::PuntControlRate),
        (
            Event::KeyOffered { stream: tree.stream_name(), key_id: 1, context: vec![] },
            Reason::PuntKeysFull,
            Reason::PuntKeysRate,
        ),
        (Event::SessionHandshake { peer: 1, session: 1, data: vec![] }, Reason::PuntRekeysFull, Reason::PuntRekeysRate),
        (
            Event::HostSeen { port: 0, generation: 0, vlan: 0, mac: [2; 6] },
            Reason::PuntHostsFull,
            Reason::PuntHostsRate,
        ),
        (handshake(0xC0), Reason::PuntHandshakesFull, Reason::HandshakeRateGlobal),
        (handshake(0xC1), Reason::PuntAnswersFull, Reason::HandshakeRateAnswers),
    ]
}

#[test]
fn every_kind_is_bounded_and_limited_alone_and_has_its_turn_in_the_first_batch() {
    for (flood, full, above) in one_of_each_kind() {
        let events = Events::new(Box::new(|| {}));
        while events.push(flood.clone(), NOW_NS).is_ok() {}
        let reasons = [Err(full), Err(above), Err(Reason::PuntPeerFull)];
        assert!(reasons.contains(&events.push(flood.clone(), NOW_NS)));
        let others = one_of_each_kind().into_iter().map(|(event, ..)| event);
        let others: Vec<Event> = others.filter(|event| *event != flood).collect();
        for event in &others {
            assert_eq!(events.push(event.clone(), NOW_NS), Ok(()));
        }
        let mut left = events.drain(512, || {});
        let of_sessions = |event: &Event| {
            matches!(event, Event::Control { .. } | Event::SessionHandshake { .. } | Event::KeyOffered { .. })
        };
        for event in others {
            // Those of a peer share a queue, for their order counts.
            assert!(left.contains(&event) || of_sessions(&event) && of_sessions(&flood), "{event:?} behind {flood:?}");
        }
        while !left.is_empty() {
            left = events.drain(512, || {});
        }
        assert_eq!(events.push(flood.clone(), NOW_NS), Err(above));
        assert_eq!(events.push(flood, NOW_NS + 1_000_000_000), Ok(()));
    }
}

#[test]
fn events_of_sessions_come_out_in_their_order() {
    let events = Events::new(Box::new(|| {}));
    let control = |session| Event::Control { peer: 1, session, data: vec![] };
    let confirmed = |session| Event::SessionConfirmed { peer: 1, session };
    let all: Vec<Event> = (0..100).flat_map(|session| [confirmed(session), control(session)]).collect();
    for event in &all[..100] {
        events.push(event.clone(), NOW_NS).unwrap();
    }
    let mut out = events.drain(30, || {});
    for event in &all[100..] {
        events.push(event.clone(), NOW_NS).unwrap();
    }
    while out.len() < all.len() {
        out.extend(events.drain(30, || {}));
    }
    assert_eq!(out, all);
}

#[test]
fn handshake_datagrams_need_length_version_and_mac() {
    let node = tables(1);
    let source = endpoint(9).address;
    let initiate = treecast_core::handshake::Handshake::initiate(&[1; 32], &network(), 5, [2; 32]).unwrap();
    let init = initiate.init_datagram().unwrap().to_vec();
    let receive = |datagram: &[u8]| node.receive_handshake(datagram, 0, source, NOW_NS);
    assert_eq!(receive(&init), Ok(None));
    assert_eq!(receive(&init[..init.len() - 1]), Err(Reason::DatagramShort));
    assert_eq!(receive(&[&init[..], &[0]].concat()), Err(Reason::DatagramLong));
    let with = |at: usize| {
        let mut bad = init.clone();
        bad[at] ^= 1;
        bad
    };
    assert_eq!(receive(&with(1)), Err(Reason::HandshakeVersion));
    assert_eq!(receive(&with(100)), Err(Reason::HandshakeMac));
    let reported = [Event::Handshake { socket: 0, source, data: init.clone() }, Event::ForeignHandshake { source }];
    assert_eq!(node.events.drain(9, || {}), reported);
    (0..100).for_each(|_| assert_eq!(receive(&with(100)), Err(Reason::HandshakeMac)));
    assert!(node.events.drain(99, || {}).len() < 10, "where noise comes from is reported a few times a second");
}

#[test]
fn forgetting_a_peer_leaves_nothing_of_it() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, relaying(&[3]));
    one.set_tree_members(5, Hops::new(&[2, 3], &[4])).unwrap();
    one.forget_peer(2);
    assert_eq!(*root.members.load().hops.next_hops, [3]);
    assert_eq!(*root.members.load().hops.replicate, [4]);
    two.forget_peer(3);
    assert!(!two.relays());
    join(&one, &two, 20, Aead::Aes256Gcm);
    tree(&one, &two, 6, relaying(&[4]));
    assert!(two.relays());
    give_key(&{ plane_with_session_to_two(&two) }, &two, TreeName { root: 7, ..name }, KEY_ID);
    two.forget_peer(7);
    assert_eq!(two.accept_key(TreeName { root: 7, ..name }.stream_name(), KEY_ID, None), Ok(false));
    two.forget_peer(1);
    assert!(two.downstream_streams().is_empty());
    assert!(!two.relays(), "its trees are gone, too");
}

#[test]
fn datagrams_fit_the_peers_underlay_and_those_of_a_tree_that_of_every_next_hop() {
    let (one, two, three) = (tables(1), tables(2), tables(3));
    let (to_two, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    one.set_tree_members(5, Hops::new(&[2, 3], &[4])).unwrap();
    assert_eq!((to_two.underlay_mtu(), root.members.load().underlay_mtu), (9000, 9000), "nobody has said less");
    one.set_peer_underlay_mtu(2, 1400).unwrap();
    one.set_peer_underlay_mtu(3, 1280).unwrap();
    assert_eq!((to_two.underlay_mtu(), root.members.load().underlay_mtu), (1400, 1400), "3 has no session");
    let (to_three, _) = join(&one, &three, 20, Aead::Aes256Gcm);
    one.set_peer_underlay_mtu(3, 1280).unwrap();
    assert_eq!((to_three.underlay_mtu(), to_two.underlay_mtu(), root.members.load().underlay_mtu), (1280, 1400, 1280));
    let (next_session, _) = join(&one, &two, 12, Aead::Aes256Gcm);
    assert_eq!(next_session.underlay_mtu(), 1400, "a peer's next session has its limit from the first datagram on");
    one.set_tree_members(5, Hops::new(&[2], &[3])).unwrap();
    assert_eq!(root.members.load().underlay_mtu, 1400, "who gets session-sealed copies has a limit of its own");
    one.set_tree_members(5, Hops::new(&[2, 3], &[])).unwrap();
    one.forget_peer(3);
    assert_eq!(root.members.load().underlay_mtu, 1400);
    one.set_peer_underlay_mtu(2, 9000).unwrap();
    assert_eq!((to_two.underlay_mtu(), root.members.load().underlay_mtu), (9000, 9000));
    for wrong in [1279, 9001] {
        assert_eq!(one.set_peer_underlay_mtu(2, wrong), Err(Refused::Invalid));
    }
}

/// Node 7 with a session to `two` and a tree 5.
fn plane_with_session_to_two(
    two: &treecast_core::forwarding_tables::ForwardingTables,
) -> treecast_core::forwarding_tables::ForwardingTables {
    let seven = tables(7);
    join(&seven, two, 70, Aead::ChaCha20Poly1305);
    seven.create_tree(5, EPOCH, KEY_ID, secrets(9, 0)).unwrap();
    seven
}

#[test]
fn refused_keys_are_gone_and_contradictions_are_refused() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (_, name) = tree(&one, &two, 5, leaf());
    give_key(&one, &two, name, KEY_ID);
    two.refuse_key(name.stream_name(), KEY_ID);
    assert_eq!(two.accept_key(name.stream_name(), KEY_ID, None), Ok(false));
    assert_eq!(give_place(&one, &two, name, &leaf()), Ok(()));
    let number = offered_places(&two)[0].1;
    two.refuse_tree(name, number);
    assert_eq!(two.accept_tree(name, number), Ok(false));
    assert_eq!(one.set_tree_members(5, Hops::new(&[2], &[2])), Err(Refused::Invalid));
    assert_eq!(one.set_tree_members(5, Hops::new(&[1], &[])), Err(Refused::Invalid));
    assert_eq!(one.set_tree_members(6, Hops::new(&[2], &[])), Err(Refused::Unknown));
    assert_eq!(one.use_key(5, 99), Err(Refused::Unknown));
}

#[test]
fn the_trees_of_a_stream_s_two_highest_epochs_stand_beside_each_other() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, leaf());
    let mut datagrams = vec![seal_tree(&root, &[0; 60])];
    for later in 1..4 {
        let (epoch, key_id) = (EPOCH + later, KEY_ID + later);
        one.make_key(5, key_id, epoch, secrets(later as u8, 1)).unwrap();
        take_key(&one, &two, TreeName { epoch, ..name }, key_id);
        take_place(&one, &two, TreeName { epoch, ..name }, &leaf());
        one.use_key(5, key_id).unwrap();
        datagrams.push(seal_tree(&root, &[0; 60]));
    }
    let taken = datagrams.iter().map(|datagram| receive_tree(&two, datagram).err()).collect::<Vec<_>>();
    assert_eq!(taken, [Some(Reason::TreeUnknown), Some(Reason::TreeUnknown), None, None]);
    two.leave_stream(name.stream_name());
    assert_eq!(receive_tree(&two, &seal_tree(&root, &[0; 60])), Err(Reason::TreeUnknown));
}

#[test]
fn ten_thousand_routes_are_set_and_found() {
    let node = tables(1);
    let group = |number: u32| IpAddr::from((0xEF00_0000 + number).to_be_bytes());
    for number in 0..10_000 {
        node.set_route(0, group(number), None, number + 1).unwrap();
    }
    assert_eq!(node.routes().len(), 10_000);
    assert_eq!(node.routes()[9_999].stream, 10_000);
    for number in 0..10_000 {
        node.remove_route(0, group(number), None);
    }
    assert!(node.routes().is_empty());
}

#[test]
fn a_session_index_is_given_once() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let keys = treecast_core::handshake::SessionKeys { seal: Default::default(), open: Default::default() };
    let parameters = treecast_core::session::SessionParameters {
        index: 10,
        remote_index: 1,
        peer: 3,
        endpoint: endpoint(3),
        aead: Aead::Aes256Gcm,
        confirmed: true,
    };
    assert_eq!(one.install_session(parameters, &keys, NOW_NS), Err(Refused::Taken));
    assert_eq!(one.session_to(3).err(), Some(Reason::NoSession));
}
