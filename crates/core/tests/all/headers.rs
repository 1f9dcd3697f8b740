//! Everybody goes by the same headers: what a frame is does not change with the options, extension headers, tag and padding around it.
//!
//! The frames are put together here, header by header; what each user of the parser says of one in an envelope is held to what
//! it says of the same message without.

use std::net::IpAddr;

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::egress::Leaving;
use treecast_core::frame::{FrameFacts, FrameKind};
use treecast_core::headers::{Frame, Headers, MAX_EXTENSION_HEADERS};
use treecast_core::keep_local::KeptLocalKind;
use treecast_core::punt::PuntKind;
use treecast_core::reason::Reason;
use treecast_core::traffic_class;

const ALL_NODES: [u8; 16] = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const GROUP: [u8; 16] = [0xFF, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3];
const ONE_HOST: [u8; 16] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const CLASS: u8 = 0xB9;

/// An extension header that a packet may have before its upper layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    HopByHop,
    Routing,
    Destination,
    /// A header of so many further words of eight bytes.
    Long(u8),
    Authentication,
    /// A first fragment, or an atomic one.
    First(bool),
    /// Another fragment than the first.
    Later,
}

use Extension::{Authentication, Destination, First, HopByHop, Later, Long, Routing};

impl Extension {
    fn number(self) -> u8 {
        match self {
            HopByHop => 0,
            Routing => 43,
            First(_) | Later => 44,
            Authentication => 51,
            Destination | Long(_) => 60,
        }
    }

    fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            HopByHop | Routing | Destination => vec![next, 0, 1, 4, 0, 0, 0, 0],
            Long(words) => [&[next, words, 1, 0][..], &vec![0; 4 + 8 * usize::from(words)]].concat(),
            Authentication => [&[next, 4][..], &[0; 22]].concat(),
            First(more) => vec![next, 0, 0, u8::from(more), 0, 0, 0, 9],
            Later => vec![next, 0, 0, 8, 0, 0, 0, 9],
        }
    }
}

/// An IPv6 packet with these extension headers, in its frame.
fn behind(extensions: &[Extension], destination: [u8; 16], protocol: u8, upper: &[u8]) -> Vec<u8> {
    let numbers = extensions.iter().map(|extension| extension.number()).chain([protocol]);
    let chain: Vec<u8> =
        extensions.iter().zip(numbers.clone().skip(1)).flat_map(|(extension, next)| extension.bytes(next)).collect();
    let mut frame = ipv6(destination, numbers.into_iter().next().unwrap(), &[&chain[..], upper].concat());
    (frame[14], frame[15]) = (0x60 | CLASS >> 4, CLASS << 4);
    frame
}

/// An IPv4 packet with so many words of options and these fragment bits, in its frame.
fn with_options(words: u8, fragment: u16, destination: [u8; 4], protocol: u8, upper: &[u8]) -> Vec<u8> {
    let mut frame = ipv4([10, 0, 0, 1], destination, protocol, upper);
    let options = vec![1; usize::from(words) * 4];
    let length = 20 + options.len() + upper.len();
    (frame[14], frame[15]) = (0x45 + words, CLASS);
    frame[16..18].copy_from_slice(&(length as u16).to_be_bytes());
    frame[20..22].copy_from_slice(&fragment.to_be_bytes());
    [&frame[..34], &options, &frame[34..]].concat()
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// The decisions of each user of the headers about a frame.
#[derive(Debug, PartialEq)]
struct Said {
    kind: Result<FrameKind, Reason>,
    about: PuntKind,
    leaving: Leaving,
    kept: Option<KeptLocalKind>,
    class: u8,
    protocol: Option<u8>,
    upper: Option<Vec<u8>>,
}

fn said(bytes: &[u8]) -> Said {
    let frame = Frame::read(bytes);
    Said {
        kind: facts(bytes).map(|facts| facts.kind),
        about: PuntKind::of(&frame),
        leaving: Leaving::of(&frame),
        kept: KeptLocalKind::of(&frame),
        class: traffic_class::of(&frame),
        protocol: frame.ip().map(|ip| ip.packet.protocol),
        upper: frame.ip().map(|ip| ip.upper.to_vec()),
    }
}

/// Protocols and messages of every kind that somebody treats apart.
fn messages() -> Vec<(u8, Vec<u8>)> {
    let icmpv6 = |message: u8| (58, vec![message, 0, 0, 0, 0, 0, 0, 0]);
    let mut messages: Vec<_> =
        [1, 128, 130, 131, 132, 133, 134, 135, 136, 137, 138, 143, 151, 152, 153].map(icmpv6).into();
    messages.extend([(547, 546), (546, 547), (5000, 5004)].map(|(from, to)| (17, udp(from, to, &[7; 20]))));
    messages.push((17, udp(5353, 5353, &[0, 0, 0x84, 0, 0, 0])));
    messages.push((17, udp(7700, 7700, &[0xC4; 40])));
    messages.extend([0x20, 0x23, 0x25].map(|kind| (103, vec![kind, 0, 0, 0])));
    messages.push((6, vec![0x50; 20]));
    messages.push((59, vec![]));
    messages
}

fn messages_v4() -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<_> = [0x11, 0x13, 0x16, 0x17, 0x22, 0x30].map(|kind| (2, vec![kind; 8])).into();
    messages.extend([(67, 68), (68, 67), (1067, 68), (5000, 5004)].map(|(from, to)| (17, udp(from, to, &[7; 20]))));
    messages.push((17, udp(5353, 5353, &[0, 0, 0x84, 0, 0, 0])));
    messages.extend([0x20, 0x23, 0x25].map(|kind| (103, vec![kind, 0, 0, 0])));
    messages
}

fn any_extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        Just(HopByHop),
        Just(Routing),
        Just(Destination),
        Just(Authentication),
        any::<bool>().prop_map(First),
        (0u8..4).prop_map(Long),
    ]
}

/// How a frame leaves, by its kind.
fn leaving(bytes: &[u8]) -> Leaving {
    match facts(bytes) {
        Ok(FrameFacts { vlan, kind: FrameKind::Group { group, source }, .. }) => Leaving::Group { vlan, group, source },
        Ok(FrameFacts { kind: FrameKind::Broadcast | FrameKind::PuntBroadcast, to_all: false, .. })
            if !Headers::parse(bytes).is_tagged() =>
        {
            Leaving::LinkGroup
        }
        _ => Leaving::Other,
    }
}

#[test]
fn an_mld_report_is_one_for_everybody_whatever_stands_before_it() {
    let report = [143, 0, 0, 0, 0, 0, 0, 0];
    for extensions in [
        &[HopByHop][..],
        &[Destination],
        &[HopByHop, Destination],
        &[Destination, HopByHop],
        &[HopByHop, Routing, Authentication, Long(3), First(false)],
        &[First(true), Destination],
    ] {
        for destination in [ALL_NODES, GROUP, ONE_HOST] {
            let frame = behind(extensions, destination, 58, &report);
            let Said { kind, about, leaving, .. } = said(&frame);
            assert_eq!(
                (kind, about, leaving),
                (Ok(FrameKind::Punt), PuntKind::Mld, Leaving::Other),
                "{extensions:?} {destination:?}"
            );
        }
    }
}

#[test]
fn the_own_link_is_found_behind_extension_headers_and_options() {
    let (node, other) = (tables(1), tables(2));
    join(&node, &other, 10, Aead::Aes256Gcm);
    let peer = [192, 0, 2, 2]; // as `common::endpoint` has node 2
    let datagram = udp(7700, 7700, &[0xC4; 60]);
    let reason = |frame: &[u8]| classify(&node, 0, frame, 1, NOW_NS).destination.expect("not Python's").err();
    assert_eq!(reason(&with_options(3, 0, peer, 17, &datagram)), Some(Reason::RecursiveEncapsulation));
    assert_eq!(reason(&with_options(0, 0, [192, 0, 2, 9], 17, &datagram)), Some(Reason::UnknownUnicast));
    let unsigned =
        [&treecast_core::mac::prefix(treecast_core::datagram::FINAL)[..], &[0; treecast_core::mac::HANDSHAKE_LEN - 20]]
            .concat();
    let mac = treecast_core::mac::MacKey::new(&NETWORK_KEY).mac(&unsigned);
    let handshake = udp(7700, 7700, &[&unsigned[..], &mac].concat());
    for extensions in [&[][..], &[Destination], &[HopByHop, Routing, Long(2)]] {
        let frame = behind(extensions, ONE_HOST, 17, &handshake);
        assert_eq!(reason(&frame), Some(Reason::RecursiveEncapsulation), "{extensions:?}");
    }
}

#[test]
fn a_later_fragment_has_no_upper_layer_for_anybody() {
    for (protocol, upper) in messages() {
        let said = said(&behind(&[HopByHop, Later], GROUP, protocol, &upper));
        let group = Leaving::Group { vlan: 0, group: GROUP.into(), source: IpAddr::from(SOURCE6) };
        assert_eq!((said.protocol, said.upper, said.kept, said.leaving), (Some(59), Some(vec![]), None, group));
        assert!(matches!(said.kind, Ok(FrameKind::Group { .. })));
    }
    for (protocol, upper) in messages_v4() {
        let said = said(&with_options(1, 0x2001, [239, 1, 1, 1], protocol, &upper));
        let punted = protocol == 2; // whose type is in the first
        assert_eq!((said.upper, said.kept, said.kind == Ok(FrameKind::Punt)), (Some(vec![]), None, punted));
    }
}

const SOURCE6: [u8; 16] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; // of `ipv6`

#[test]
fn a_chain_that_is_too_long_or_cut_off_has_no_upper_layer_for_anybody() {
    let report = [143, 0, 0, 0];
    let most = [Destination; MAX_EXTENSION_HEADERS];
    assert_eq!(said(&behind(&most, ALL_NODES, 58, &report)).about, PuntKind::Mld);
    let too_many = said(&behind(&[Destination; MAX_EXTENSION_HEADERS + 1], ALL_NODES, 58, &report));
    assert_eq!((too_many.kind, too_many.protocol), (Ok(FrameKind::Broadcast), Some(59)));
    let mut cut_off = behind(&[Destination], ALL_NODES, 58, &report);
    cut_off[55] = 9; // it would end behind the packet
    assert_eq!((said(&cut_off).kind, said(&cut_off).protocol), (Ok(FrameKind::Broadcast), Some(59)));
}

#[test]
fn what_is_behind_a_packet_s_end_is_no_part_of_it() {
    for frame in [ipv6(ALL_NODES, 58, &[]), ipv6(ALL_NODES, 0, &[]), with_options(0, 0, [239, 1, 1, 1], 17, &[])] {
        let padded = [&frame[..], &[143, 0, 0, 0, 58, 0, 0, 67, 0, 67, 0, 8, 0, 0]].concat();
        assert_eq!(said(&padded), said(&frame));
        assert_ne!(said(&padded).kind, Ok(FrameKind::Punt));
    }
}

#[test]
fn a_jumbogram_is_a_packet_without_an_upper_layer() {
    let jumbo = [58, 0, 0xC2, 4, 0, 1, 0, 0, 143, 0, 0, 0]; // RFC 2675: its length is in the option
    let mut frame = ipv6(ALL_NODES, 0, &jumbo);
    frame[18..20].fill(0);
    assert_eq!((said(&frame).kind, said(&frame).protocol), (Ok(FrameKind::Broadcast), Some(59)));
}

#[test]
fn a_packet_that_contradicts_itself_is_none_for_everybody() {
    let good = with_options(2, 0, [239, 1, 1, 1], 17, &udp(68, 67, &[]));
    for (at, value) in [(14, 0x44), (14, 0x57), (14, 0x65), (16, 0xFF), (17, 27)] {
        let mut frame = good.clone();
        frame[at] = value;
        let Said { kind, leaving, kept, class, protocol, .. } = said(&frame);
        assert_eq!(kind, Err(Reason::FrameMalformed), "{at} {value}");
        assert_eq!((leaving, kept, class, protocol), (Leaving::Other, None, 0, None), "{at} {value}");
    }
    assert_eq!(said(&good[..good.len() - 1]).protocol, None, "cut off");
    assert_eq!(said(&behind(&[HopByHop], GROUP, 58, &[143, 0, 0, 0])[..61]).protocol, None, "cut off");
}

proptest! {
    #[test]
    fn extension_headers_change_nothing_of_what_a_frame_is(
        extensions in prop::collection::vec(any_extension(), 0..=MAX_EXTENSION_HEADERS),
        message in prop::sample::select(messages()),
        destination in prop::sample::select(vec![ALL_NODES, GROUP, ONE_HOST]),
        padding in 0usize..9,
    ) {
        let (protocol, upper) = message;
        let mut frame = behind(&extensions, destination, protocol, &upper);
        let transport = frame.len() - upper.len();
        frame.resize(frame.len() + padding, 143);
        prop_assert_eq!(said(&frame), said(&behind(&[], destination, protocol, &upper)));
        prop_assert_eq!(said(&frame).upper, Some(upper));
        prop_assert_eq!(said(&frame).class, CLASS);
        let packet = Headers::parse(&frame).ip.unwrap();
        prop_assert_eq!((packet.transport, packet.end), (transport, frame.len() - padding));
    }

    #[test]
    fn options_and_more_fragments_change_nothing_of_what_a_frame_is(
        words in 0u8..=10,
        first_fragment in any::<bool>(),
        message in prop::sample::select(messages_v4()),
        destination in prop::sample::select(vec![[224, 0, 0, 251], [224, 0, 0, 13], [239, 1, 1, 1], [10, 0, 0, 2], [255; 4]]),
        padding in 0usize..9,
    ) {
        let (protocol, upper) = message;
        let fragment = if first_fragment { 0x2000 } else { 0x4000 };
        let mut frame = with_options(words, fragment, destination, protocol, &upper);
        frame.resize(frame.len() + padding, 0x22);
        prop_assert_eq!(said(&frame), said(&with_options(0, 0, destination, protocol, &upper)));
        prop_assert_eq!((said(&frame).upper, said(&frame).class), (Some(upper), CLASS));
    }

    #[test]
    fn a_tag_changes_the_vlan_alone(
        extensions in prop::collection::vec(any_extension(), 0..3),
        message in prop::sample::select(messages()),
        destination in prop::sample::select(vec![ALL_NODES, GROUP, ONE_HOST]),
        tag in any::<u16>(),
    ) {
        let frame = behind(&extensions, destination, message.0, &message.1);
        let tagged = [&frame[..12], &[0x81, 0x00], &tag.to_be_bytes(), &frame[12..]].concat();
        prop_assert_eq!(facts(&tagged).unwrap().vlan, tag & 0x0FFF);
        let leaving = match said(&frame).leaving {
            Leaving::Group { group, source, .. } => Leaving::Group { vlan: tag & 0x0FFF, group, source },
            _ => Leaving::Other, // groups of the link leave untagged only
        };
        prop_assert_eq!(said(&tagged), Said { leaving, ..said(&frame) });
        for bytes in [frame, tagged] {
            prop_assert_eq!(said(&bytes).leaving, self::leaving(&bytes), "as its kind says");
        }
    }

    #[test]
    fn any_bytes_have_headers_and_nobody_minds(mut bytes in prop::collection::vec(any::<u8>(), 0..140), shape in 0usize..4) {
        let types: [&[u8]; 4] = [&[0x08, 0x00, 0x45], &[0x86, 0xDD, 0x60], &[0x81, 0x00], &[]];
        for (to, from) in bytes.iter_mut().skip(12).zip(types[shape]) {
            *to = *from;
        }
        let said = said(&bytes);
        prop_assert_eq!(said.upper.is_some(), said.protocol.is_some());
        prop_assert_eq!(said.leaving, leaving(&bytes));
        if let Some(packet) = Headers::parse(&bytes).ip {
            prop_assert!(packet.network < packet.transport && packet.transport <= packet.end && packet.end <= bytes.len());
        }
    }
}
