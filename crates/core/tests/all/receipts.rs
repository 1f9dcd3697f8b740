//! Receipts show that a route leads to its node: datagrams come by it, and how much has come of those that went.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::Recent;
use treecast_core::datagram::{KIND_FORWARD, KIND_FRAME, KIND_PROBE, KIND_PROBE_REPLY};
use treecast_core::fingerprints::Probe;
use treecast_core::forward::ForwardHeader;
use treecast_core::path::Receipt;

const FRAME: &[u8] = b"\x02\x54\0\0\0\x03\x02\x54\0\0\0\x01\x08\0and then some payload";

#[test]
fn something_that_the_next_hop_brings_shows_that_it_leads_there_and_what_another_one_brings_does_not() {
    let nodes = [1, 2, 3].map(tables);
    let (by_two, _) = join(&nodes[1], &nodes[2], 20, Aead::Aes256Gcm);
    let (to_three, there) = join(&nodes[0], &nodes[2], 30, Aead::Aes256Gcm);
    let received = |next_hop| {
        nodes[2].set_node_route(1, next_hop).unwrap();
        let mut body = ForwardHeader { hop_limit: 7, ..ForwardHeader::first(3, 1) }.emit().to_vec();
        body.extend(seal(&to_three, KIND_FRAME, FRAME));
        let mut datagram = seal(&by_two, KIND_FORWARD, &body);
        nodes[2].receive_session(&mut datagram, endpoint(2), NOW_NS, &mut Recent::default()).unwrap();
        there.path.received_by_route_ns()
    };
    assert_eq!((received(2), received(4)), (NOW_NS, 0));
}

#[test]
fn a_reply_says_how_much_has_come_but_for_probes_and_counts_for_the_route_that_its_probe_took() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    let get = |kind, body: &[u8]| receive(&two, &seal(&here, kind, body), endpoint(1));
    for kind in [KIND_FRAME, KIND_PROBE, KIND_FRAME] {
        here.datagram_counts.add_routed(kind);
    }
    get(KIND_FRAME, FRAME).unwrap();
    let value = here.probe(here.path.probed_by_route(), NOW_NS);
    let mut probe = seal(&here, KIND_PROBE, &Probe { value, fingerprint: 0 }.emit());
    two.receive_session(&mut probe, endpoint(1), NOW_NS, &mut Recent::default()).unwrap();
    let answer = |value, came| {
        let reply = Probe { value, fingerprint: 0 }.emit_reply(came);
        receive(&one, &seal(&there, KIND_PROBE_REPLY, &reply), endpoint(2))
    };
    assert_eq!((here.path.receipt(), there.datagram_counts.received()), (None, 1));
    answer(value, there.datagram_counts.received()).unwrap();
    assert_eq!(here.path.receipt(), Some(Receipt { session: 10, sent: 2, came: 1 }));
    let late = here.probe(here.path.probed_by_route(), NOW_NS);
    here.path.route_changed();
    answer(late, 9).unwrap();
    assert_eq!(here.path.receipt(), None, "the route before has answered");
    let value = here.probe(here.path.probed_by_route(), NOW_NS);
    let reply = Probe { value, fingerprint: 0 }.emit();
    receive(&one, &seal(&there, KIND_PROBE_REPLY, &reply), endpoint(2)).unwrap();
    assert_eq!(here.path.receipt(), None, "one that says nothing of that is a reply, too");
    answer(here.probe(here.path.probed(), NOW_NS), 5).unwrap();
    assert_eq!(here.path.receipt(), None, "the path is no route");
}

#[test]
fn what_a_route_has_no_room_for_is_counted_in_bytes_by_session() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    here.datagram_counts.add_refused(1200);
    here.datagram_counts.add_refused(300);
    assert_eq!((here.datagram_counts.refused_bytes(), there.datagram_counts.refused_bytes()), (1500, 0));
}
