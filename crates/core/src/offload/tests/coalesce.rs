//! Tests of joining, rule by rule; and round trips with segmentation.

use proptest::prelude::*;

use super::super::{Coalescer, Merging, PartialChecksum, Segmenter, VnetHeader, MAX_COALESCED};
use super::{any_burst, any_spec, payload, Spec, Sum, Written, ACK, CWR, FIN, PSH};
use crate::headers::Frame;

const ROOT: u32 = 7;
const BOTH: Merging = Merging { tcp: true, udp: true, groups: true };

pub type Pushed = (Vec<u8>, Option<PartialChecksum>);

pub fn deliver(merging: Merging, frames: &[Pushed]) -> Vec<Written> {
    let mut written = Vec::new();
    let mut sink = |delivery: super::CoalescedWrite<'_>| written.push(Written::of(delivery));
    let mut coalescer = Coalescer::new(merging);
    for (frame, partial) in frames {
        coalescer.push(Frame::read(frame), *partial, ROOT, &mut sink);
    }
    coalescer.finish(&mut sink);
    written
}

fn counts(frames: &[Pushed]) -> Vec<usize> {
    deliver(BOTH, frames).iter().map(|written| written.frames).collect()
}

fn partial(spec: &Spec, payload: &[u8]) -> Pushed {
    (spec.frame(payload, Sum::Partial), Some(spec.partial()))
}

fn complete(spec: &Spec, payload: &[u8]) -> Pushed {
    (spec.frame(payload, Sum::Complete), None)
}

/// Two frames of a burst, the second with its spec changed.
fn pair(spec: &Spec, change: impl Fn(&mut Spec)) -> Vec<Pushed> {
    let mut second = spec.segment(1, 100);
    change(&mut second);
    vec![partial(spec, &payload(100, 1)), partial(&second, &payload(100, 2))]
}

#[test]
fn a_udp_burst_becomes_one_super_frame_with_all_fields_right() {
    let spec = Spec { multicast: true, ..Spec::udp() };
    let bytes = payload(2500, 1);
    let frames: Vec<_> =
        bytes.chunks(1000).enumerate().map(|(i, chunk)| partial(&spec.segment(i, 1000), chunk)).collect();
    let written = deliver(BOTH, &frames);
    assert_eq!(written.len(), 1);
    assert_eq!(
        written[0].vnet,
        VnetHeader { flags: 1, gso_type: 5, hdr_len: 42, gso_size: 1000, csum_start: 34, csum_offset: 6 }
    );
    assert_eq!(written[0].bytes, spec.frame(&bytes, Sum::Partial));
}

#[test]
fn a_single_frame_passes_with_its_own_checksum_state() {
    let spec = Spec::udp();
    let (left_partial, left_complete) = (partial(&spec, &payload(100, 0)), complete(&spec, &payload(100, 0)));
    let written = deliver(BOTH, std::slice::from_ref(&left_partial));
    assert_eq!((written[0].vnet, &written[0].bytes), (VnetHeader::single(Some(spec.partial())), &left_partial.0));
    let written = deliver(BOTH, std::slice::from_ref(&left_complete));
    assert_eq!((written[0].vnet, &written[0].bytes), (VnetHeader::default(), &left_complete.0));
}

#[test]
fn headers_that_differ_are_not_joined() {
    type Change = fn(&mut Spec);
    let changes: [Change; 6] = [
        |s| s.ttl = 1,
        |s| s.tos = 3,
        |s| s.vlan = Some(7),
        |s| s.ip_options = vec![1; 8],
        |s| s.ports.1 += 1,
        |s| s.source += 1,
    ];
    for spec in [Spec::udp(), Spec::tcp(), Spec { v6: true, ..Spec::udp() }, Spec { v6: true, ..Spec::tcp() }] {
        assert_eq!(counts(&pair(&spec, |_| ())), [2]);
        for (number, change) in changes.iter().enumerate() {
            assert_eq!(counts(&pair(&spec, change)), [1, 1], "change {number} of {spec:?}");
        }
    }
}

#[test]
fn ip_options_and_extension_headers_are_not_joined_even_when_equal() {
    for v6 in [false, true] {
        let spec = Spec { v6, ip_options: vec![1; 8], ..Spec::udp() };
        assert_eq!(counts(&pair(&spec, |_| ())), [1, 1]);
    }
}

#[test]
fn tcp_fields_that_differ_are_not_joined() {
    type Change = fn(&mut Spec);
    let changes: [Change; 9] = [
        |s| s.sequence += 1,
        |s| s.sequence -= 1,
        |s| s.acknowledgement += 1,
        |s| s.window += 1,
        |s| s.flags |= FIN,
        |s| s.flags |= CWR,
        |s| s.flags = 0,
        |s| s.tcp_options[7] += 1,
        |s| s.tcp_options = vec![],
    ];
    for v6 in [false, true] {
        for (number, change) in changes.iter().enumerate() {
            assert_eq!(counts(&pair(&Spec { v6, ..Spec::tcp() }, change)), [1, 1], "change {number}");
        }
    }
}

#[test]
fn a_pushed_segment_ends_its_super_frame() {
    let spec = Spec::tcp();
    let frames: Vec<_> = (0..6)
        .map(|i| {
            partial(&Spec { flags: if i == 2 { ACK | PSH } else { ACK }, ..spec.segment(i, 100) }, &payload(100, 0))
        })
        .collect();
    let written = deliver(BOTH, &frames);
    assert_eq!(written.iter().map(|w| (w.frames, w.bytes[47])).collect::<Vec<_>>(), [(3, ACK | PSH), (3, ACK)]);
}

#[test]
fn segments_with_fin_syn_rst_or_urg_stay_alone_and_in_order() {
    for flags in [FIN | ACK, 0x02, 0x12, 0x04, 0x14, 0x20 | ACK, 0x40 | ACK, CWR | ACK] {
        let spec = Spec::tcp();
        let mut frames: Vec<_> = (0..5).map(|i| partial(&spec.segment(i, 100), &payload(100, i as u8))).collect();
        frames[2] = partial(&Spec { flags, ..spec.segment(2, 100) }, &payload(100, 2));
        let written = deliver(BOTH, &frames);
        assert_eq!(written.iter().map(|w| w.frames).collect::<Vec<_>>(), [2, 1, 2], "{flags:#x}");
        assert_eq!(written[1].bytes, frames[2].0);
    }
}

#[test]
fn a_shorter_payload_is_the_last_and_a_longer_one_begins_anew() {
    let spec = Spec::udp();
    let lengths = [100, 100, 60, 100, 100, 101, 101];
    let frames: Vec<_> =
        lengths.iter().enumerate().map(|(i, &n)| partial(&spec.segment(i, 0), &payload(n, 0))).collect();
    assert_eq!(counts(&frames), [3, 2, 2]);
}

#[test]
fn acknowledgements_without_payload_and_empty_datagrams_stay_alone() {
    for spec in [Spec::udp(), Spec::tcp()] {
        let frames = vec![partial(&spec, &[]); 3];
        assert_eq!(counts(&frames), [1, 1, 1]);
    }
}

#[test]
fn sequence_numbers_and_identifications_wrap_within_a_super_frame() {
    let spec = Spec { sequence: u32::MAX - 50, id: 0xFFFF, dont_fragment: false, ..Spec::tcp() };
    assert_eq!(counts(&pair(&spec, |_| ())), [2]);
}

#[test]
fn identifications_must_count_up_unless_fragmentation_is_forbidden() {
    for (dont_fragment, expected) in [(true, vec![2]), (false, vec![1, 1])] {
        let spec = Spec { dont_fragment, ..Spec::udp() };
        assert_eq!(counts(&pair(&spec, |s| s.id = 0x1234)), expected);
    }
    assert_eq!(counts(&pair(&Spec { dont_fragment: false, ..Spec::udp() }, |_| ())), [2]);
    assert_eq!(counts(&pair(&Spec::udp(), |s| s.dont_fragment = false)), [1, 1]);
}

#[test]
fn a_super_frame_has_at_most_64_frames_and_65535_bytes() {
    let spec = Spec::udp();
    let burst = |count: usize, size: usize| -> Vec<_> {
        (0..count).map(|i| partial(&spec.segment(i, 0), &payload(size, i as u8))).collect()
    };
    assert_eq!(counts(&burst(130, 100)), [MAX_COALESCED, MAX_COALESCED, 2]);
    // 65,535 - 28 bytes of headers hold 46 payloads of 1400, and 63 of 1024.
    assert_eq!(counts(&burst(50, 1400)), [46, 4]);
    assert_eq!(counts(&burst(64, 1024)), [63, 1]);
    assert_eq!(counts(&burst(62, 1056)), [62]);
    assert_eq!(deliver(BOTH, &burst(62, 1056))[0].bytes[16..18], 65_500u16.to_be_bytes());
}

#[test]
fn complete_checksums_are_joined_when_they_are_right() {
    for (v6, tcp) in [(false, false), (false, true), (true, false), (true, true)] {
        let spec = Spec { v6, ..if tcp { Spec::tcp() } else { Spec::udp() } };
        let bytes = payload(300, 5);
        let mut frames: Vec<_> =
            bytes.chunks(100).enumerate().map(|(i, c)| complete(&spec.segment(i, 100), c)).collect();
        frames[1] = partial(&spec.segment(1, 100), &bytes[100..200]);
        let written = deliver(BOTH, &frames);
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].bytes, spec.frame(&bytes, Sum::Partial));
    }
}

#[test]
fn a_wrong_checksum_is_never_repaired() {
    for tcp in [false, true] {
        let spec = if tcp { Spec::tcp() } else { Spec::udp() };
        for broken in 0..3 {
            for (at, sum) in [
                (spec.checksum_at(), Sum::Complete),
                (150, Sum::Complete),
                (24, Sum::Complete),
                (24, Sum::Partial),
                (spec.checksum_at(), Sum::Partial),
            ] {
                let state = (sum == Sum::Partial).then(|| spec.partial());
                let mut frames: Vec<_> =
                    (0..3).map(|i| (spec.segment(i, 100).frame(&payload(100, i as u8), sum), state)).collect();
                frames[broken].0[at.min(100)] ^= 0x10;
                let written = deliver(BOTH, &frames);
                let alone = written.iter().find(|w| w.bytes == frames[broken].0);
                assert_eq!(alone.map(|w| (w.frames, w.vnet)), Some((1, VnetHeader::single(state))), "{broken} {at}");
            }
        }
    }
}

#[test]
fn datagrams_without_a_checksum_get_none() {
    // The sum of this payload makes a checksum of zero: right, had it been meant as one.
    let mut bytes = payload(100, 0);
    bytes[..2].fill(0);
    let missing = Spec::udp().frame(&bytes, Sum::Complete);
    bytes[..2].copy_from_slice(&missing[40..42]);
    let frames: Vec<_> = (0..3)
        .map(|i| {
            let mut frame = Spec::udp().segment(i, 0).frame(&bytes, Sum::Complete);
            assert_eq!(frame[40..42], [0xFF, 0xFF]);
            frame[40..42].copy_from_slice(&[0, 0]);
            (frame, None)
        })
        .collect();
    assert_eq!(counts(&frames), [1, 1, 1]);
}

#[test]
fn a_partial_checksum_elsewhere_than_in_the_transport_header_stays_alone() {
    let spec = Spec::udp();
    for state in [PartialChecksum { start: 34, offset: 16 }, PartialChecksum { start: 40, offset: 0 }] {
        let frames: Vec<_> =
            (0..2).map(|i| (spec.segment(i, 0).frame(&payload(100, 0), Sum::Partial), Some(state))).collect();
        assert_eq!(counts(&frames), [1, 1]);
    }
}

#[test]
fn fragments_and_padded_frames_stay_alone() {
    let spec = Spec::udp();
    let burst = || (0..2).map(|i| partial(&spec.segment(i, 0), &payload(100, 0))).collect::<Vec<_>>();
    let mut padded = burst();
    padded[0].0.push(0);
    assert_eq!(counts(&padded), [1, 1]);
    let mut fragments = burst();
    for (frame, _) in &mut fragments {
        frame[20] |= 0x20;
        frame[24] = frame[24].wrapping_sub(0x20);
    }
    assert_eq!(counts(&fragments), [1, 1]);
}

#[test]
fn what_the_tap_cannot_take_is_not_joined() {
    for (merging, tcp, udp) in [
        (Merging { tcp: true, udp: false, groups: true }, 1, 2),
        (Merging { tcp: false, udp: true, groups: true }, 2, 1),
    ] {
        assert_eq!(deliver(merging, &pair(&Spec::tcp(), |_| ())).len(), tcp);
        assert_eq!(deliver(merging, &pair(&Spec::udp(), |_| ())).len(), udp);
    }
}

#[test]
fn frames_for_groups_are_joined_unless_they_go_singly() {
    let mut frames = pair(&Spec::udp(), |_| ());
    for (frame, _) in &mut frames {
        frame[0] |= 1;
    }
    assert_eq!(deliver(BOTH, &frames).len(), 1);
    assert_eq!(deliver(Merging { groups: false, ..BOTH }, &frames).len(), 2);
    assert_eq!(deliver(Merging { groups: false, ..BOTH }, &pair(&Spec::udp(), |_| ())).len(), 1);
}

#[test]
fn flows_that_alternate_are_joined_up_to_four() {
    for (flows, writes) in [(1, 1), (2, 2), (4, 4), (5, 50)] {
        let frames: Vec<_> = (0..10)
            .flat_map(|i| (0..flows).map(move |flow| (i, flow)))
            .map(|(i, flow)| {
                partial(&Spec { ports: (1000 + flow, 5004), ..Spec::udp() }.segment(i, 0), &payload(100, 0))
            })
            .collect();
        assert_eq!(deliver(BOTH, &frames).len(), writes, "{flows}");
    }
}

proptest! {
    #[test]
    fn a_super_frame_cut_and_joined_is_the_same(mut spec in any_spec(), (size, payload) in any_burst(), push: bool) {
        spec.ip_options.clear();
        if spec.tcp && push {
            spec.flags |= PSH;
        }
        let super_frame = spec.frame(&payload, Sum::Partial);
        let segmenter = Segmenter::new(&spec.vnet(size), &Frame::read(&super_frame)).unwrap();
        let mut out = vec![0; 2000];
        let frames: Vec<_> = (0..segmenter.count()).map(|index| {
            let (length, partial) = segmenter.write(index, &mut out).unwrap();
            (out[..length].to_vec(), partial)
        }).collect();
        let written = deliver(BOTH, &frames);
        prop_assert_eq!(written.len(), 1);
        prop_assert_eq!(written[0].frames, frames.len());
        let expected = if frames.len() == 1 { VnetHeader::single(Some(spec.partial())) } else { spec.vnet(size) };
        prop_assert_eq!(written[0].vnet, expected);
        // One's complement has two zeros: the stored sum may be the other one.
        let at = spec.checksum_at();
        let mut bytes = written[0].bytes.clone();
        if bytes[at..at + 2] == [0, 0] || bytes[at..at + 2] == [0xFF, 0xFF] {
            bytes[at..at + 2].copy_from_slice(&super_frame[at..at + 2]);
        }
        prop_assert_eq!(bytes, super_frame);
    }
}
