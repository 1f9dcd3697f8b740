//! Guards of sessions, ports and source filters, where nothing else would show that one is gone.

use std::net::IpAddr;

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::KIND_FRAME;
use treecast_core::egress::Leaving;
use treecast_core::flows::FlowKey;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::handshake::SessionKeys;
use treecast_core::port::Storm;
use treecast_core::reason::Reason;
use treecast_core::session::SessionParameters;
use treecast_core::source_filter::SourceFilter;

/// A session with node 1 that it has not confirmed.
fn install_unconfirmed(two: &ForwardingTables, index: u32) {
    let remote_index = index - 1;
    let (peer, endpoint, aead) = (1, endpoint(1), Aead::Aes256Gcm);
    let parameters = SessionParameters { index, remote_index, peer, endpoint, aead, confirmed: false };
    let key = |byte| zeroize::Zeroizing::new([byte; 32]);
    two.install_session(parameters, &SessionKeys { seal: key(10 ^ 0xFF), open: key(10) }, NOW_NS).unwrap();
}

#[test]
fn sessions_that_are_not_confirmed_take_no_place_of_the_one_in_use() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    for index in [21, 31, 41, 51] {
        install_unconfirmed(&two, index);
    }
    assert_eq!(two.session_to(1).unwrap().index, 11);
    let kept = [11, 21, 31, 41, 51].map(|index| two.session(index).is_some());
    assert_eq!(kept, [true, false, false, true, true]);
}

#[test]
fn nothing_is_sent_on_a_session_before_the_other_side_has_used_it() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    two.remove_session(11);
    install_unconfirmed(&two, 11);
    assert_eq!(two.session_to(1).err(), Some(Reason::NoSession));
    receive(&two, &seal(&session, KIND_FRAME, &[0; 60]), endpoint(1)).unwrap();
    assert_eq!(two.session_to(1).unwrap().index, 11);
}

#[test]
fn a_port_that_is_renewed_has_no_limits_floods_nothing_and_has_sent_nothing() {
    let node = tables(1);
    let port = node.port(1).unwrap();
    port.set_storm_limits(Some(1), Some(1), Some(1));
    port.set_unknown_unicast_flood(true);
    let address = IpAddr::from([239, 1, 1, 1]);
    port.sent.add(&FlowKey { vlan: 0, root: 1, group: address, source: address }, 1, 1, 100, NOW_NS);
    assert!(port.admit(Storm::Broadcast, 1, NOW_NS).is_ok() && port.admit(Storm::Broadcast, 1, NOW_NS).is_err());
    assert!(port.floods_unknown() && port.sent.report(NOW_NS).len() == 1);
    node.renew_port(1, false);
    for storm in [Storm::Broadcast, Storm::Multicast, Storm::UnknownUnicast] {
        assert!((0..100).all(|_| port.admit(storm, 1, NOW_NS).is_ok()));
    }
    assert_eq!(port.storm_refused(), [0; 3]);
    assert!(!port.floods_unknown() && port.sent.report(NOW_NS).is_empty());
}

#[test]
fn a_filter_takes_its_sources_in_any_order() {
    let node = tables(1);
    node.renew_port(1, true);
    let group = IpAddr::from([239, 1, 1, 1]);
    let sources = [3, 1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
    node.set_port_group(1, 0, group, SourceFilter::new(false, sources.to_vec())).unwrap();
    let goes_out = |last| node.goes_out(1, &Leaving::Group { vlan: 0, group, source: [192, 0, 2, last].into() });
    assert_eq!([1, 2, 3, 4].map(goes_out), [true, true, true, false]);
}
