//! Offsets of all shapes of frames that segmentation meets.

use proptest::prelude::*;

use super::{any_spec, payload, Spec, Sum};
use crate::headers::{Fragmentation, Headers, Packet, Version};
use crate::iana::{PROTOCOL_NONE, PROTOCOL_TCP, PROTOCOL_UDP};

#[test]
fn frames_that_are_not_ip_have_no_offsets() {
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(Headers::parse(&arp).ip, None);
    let mut tagged_twice = Spec { vlan: Some(5), ..Spec::udp() }.frame(&[1; 100], Sum::Partial);
    tagged_twice[16..18].copy_from_slice(&[0x81, 0x00]);
    assert_eq!(Headers::parse(&tagged_twice).ip, None);
}

#[test]
fn a_frame_cut_anywhere_has_no_offsets() {
    for spec in [Spec::udp(), Spec::tcp(), Spec { v6: true, ip_options: vec![0; 16], ..Spec::tcp() }] {
        let frame = spec.frame(&[7; 20], Sum::Partial);
        for length in 0..frame.len() {
            assert_eq!(Headers::parse(&frame[..length]).ip, None, "{length}");
        }
    }
}

#[test]
fn ipv4_fragments_are_recognised_first_middle_and_last() {
    for flags in [[0x20, 0x00], [0x20, 0x10], [0x00, 0x10], [0x00, 0x01]] {
        let mut frame = Spec::udp().frame(&[1; 64], Sum::Complete);
        frame[20..22].copy_from_slice(&flags);
        let headers = Headers::parse(&frame).ip.unwrap();
        assert!(headers.fragmentation != Fragmentation::Whole, "{flags:?}");
        assert_eq!(headers.payload(&frame), None);
    }
}

#[test]
fn an_ipv6_fragment_header_makes_a_fragment_even_when_it_is_whole() {
    let mut frame = Spec { v6: true, ip_options: vec![0; 8], ..Spec::udp() }.frame(&[1; 64], Sum::Complete);
    frame[20] = 44;
    let headers = Headers::parse(&frame).ip.unwrap();
    assert!(headers.fragmentation == Fragmentation::First && headers.options);
    assert_eq!(headers.payload(&frame), None);
}

#[test]
fn authentication_headers_count_in_words_of_four() {
    let mut frame = Spec { v6: true, ip_options: vec![0; 24], ..Spec::udp() }.frame(&[1; 64], Sum::Complete);
    frame[20] = 51;
    frame[55] = 4;
    assert_eq!(Headers::parse(&frame).ip.unwrap().transport, 14 + 40 + 24);
}

#[test]
fn extension_headers_without_end_are_given_up() {
    let mut frame = Spec { v6: true, ip_options: vec![60; 128], ..Spec::udp() }.frame(&[1; 64], Sum::Complete);
    for header in frame[54..182].chunks_exact_mut(8) {
        header[..2].copy_from_slice(&[60, 0]);
    }
    let packet = Headers::parse(&frame).ip.unwrap();
    assert_eq!((packet.protocol, packet.payload(&frame)), (PROTOCOL_NONE, None));
}

#[test]
fn a_tcp_header_shorter_than_twenty_bytes_or_longer_than_the_packet_has_no_payload() {
    for words in [0, 4, 9, 15] {
        let mut frame = Spec { tcp_options: vec![], ..Spec::tcp() }.frame(&[1; 12], Sum::Complete);
        frame[46] = words << 4;
        let headers = Headers::parse(&frame).ip.unwrap();
        assert_eq!(headers.payload(&frame), None, "{words}");
    }
}

proptest! {
    #[test]
    fn offsets_are_those_the_frame_was_built_with(spec in any_spec(), length in 0usize..100, padding in 0usize..20) {
        let mut frame = spec.frame(&payload(length, 1), Sum::Partial);
        let end = frame.len();
        frame.resize(end + padding, 0);
        let headers = Headers::parse(&frame).ip.unwrap();
        let version = if spec.v6 { Version::V6 } else { Version::V4 };
        prop_assert_eq!(headers, Packet {
            version,
            network: spec.network(),
            transport: spec.transport(),
            end,
            protocol: if spec.tcp { PROTOCOL_TCP } else { PROTOCOL_UDP },
            fragmentation: Fragmentation::Whole,
            options: !spec.ip_options.is_empty(),
        });
        prop_assert_eq!(headers.payload(&frame), Some(spec.head_len()));
    }
}
