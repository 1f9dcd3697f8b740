//! Segments against frames that were built one by one.

use proptest::prelude::*;

use super::super::checksum::complete;
use super::super::vnet::{DATA_VALID, GSO_BY_FRAGS, GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM};
use super::super::{PartialChecksum, Segmenter, VnetHeader};
use super::{any_burst, any_spec, payload, Spec, Sum, ACK, CWR, FIN, PSH};
use crate::headers::Frame;
use crate::reason::Reason;

type Cut = (Vec<u8>, Option<PartialChecksum>);

fn cut(vnet: &VnetHeader, frame: &[u8]) -> Result<Vec<Cut>, Reason> {
    let segmenter = Segmenter::new(vnet, &Frame::read(frame))?;
    let mut out = vec![0xEE; 66_000];
    let frames = (0..segmenter.count())
        .map(|index| {
            let (length, partial) = segmenter.write(index, &mut out).unwrap();
            assert_eq!(segmenter.segment_len(index), Some(length));
            (out[..length].to_vec(), partial)
        })
        .collect();
    assert_eq!(segmenter.segment_len(segmenter.count()), None);
    assert_eq!(segmenter.write(segmenter.count(), &mut out), None);
    Ok(frames)
}

fn flags_of(frames: &[Cut]) -> Vec<u8> {
    frames.iter().map(|(frame, _)| frame[14 + 20 + 13]).collect()
}

#[test]
fn only_the_first_segment_has_cwr_and_only_the_last_has_fin_and_psh() {
    let spec = Spec { flags: CWR | FIN | PSH | ACK, ..Spec::tcp() };
    let frame = spec.frame(&payload(3500, 0), Sum::Partial);
    assert_eq!(flags_of(&cut(&spec.vnet(1000), &frame).unwrap()), [CWR | ACK, ACK, ACK, FIN | PSH | ACK]);
    assert_eq!(flags_of(&cut(&spec.vnet(4000), &frame).unwrap()), [spec.flags]);
}

#[test]
fn a_sequence_number_and_an_identification_wrap() {
    let spec = Spec { sequence: u32::MAX - 999, id: 0xFFFF, tcp_options: vec![], ..Spec::tcp() };
    let frames = cut(&spec.vnet(1000), &spec.frame(&payload(3000, 0), Sum::Partial)).unwrap();
    let read: Vec<_> = frames.iter().map(|(frame, _)| (frame[18..20].to_vec(), frame[38..42].to_vec())).collect();
    assert_eq!(read[0], (vec![0xFF, 0xFF], (u32::MAX - 999).to_be_bytes().to_vec()));
    assert_eq!(read[1], (vec![0, 0], vec![0, 0, 0, 0]));
    assert_eq!(read[2], (vec![0, 1], 1000u32.to_be_bytes().to_vec()));
}

#[test]
fn a_plain_frame_is_one_segment_as_it_is() {
    let frame = Spec::udp().frame(&payload(1201, 9), Sum::Complete);
    for flags in [0, DATA_VALID] {
        let vnet = VnetHeader { flags, ..VnetHeader::default() };
        assert_eq!(cut(&vnet, &frame).unwrap(), [(frame.clone(), None)]);
    }
    let mut nothing = [];
    let segmenter = Segmenter::new(&VnetHeader::default(), &Frame::read(&frame)).unwrap();
    assert_eq!(segmenter.head(0, &mut nothing), Some((0, &frame[..], None)));
}

#[test]
fn a_plain_frame_keeps_its_partial_checksum() {
    let spec = Spec::udp();
    let frame = spec.frame(&payload(1201, 9), Sum::Partial);
    let vnet = VnetHeader::single(Some(spec.partial()));
    assert_eq!(cut(&vnet, &frame).unwrap(), [(frame.clone(), Some(spec.partial()))]);
}

#[test]
fn a_checksum_behind_255_bytes_of_headers_is_completed() {
    for tcp in [false, true] {
        let spec = Spec { v6: true, ip_options: vec![0; 256], ..if tcp { Spec::tcp() } else { Spec::udp() } };
        let payload = payload(2501, 4);
        let vnet = spec.vnet(1000);
        let frames = cut(&vnet, &spec.frame(&payload, Sum::Partial)).unwrap();
        for (index, ((frame, partial), chunk)) in frames.iter().zip(payload.chunks(1000)).enumerate() {
            assert_eq!(*partial, None);
            assert_eq!(*frame, spec.segment(index, 1000).frame(chunk, Sum::Complete));
        }
        assert_eq!(frames.len(), 3);
        let plain = VnetHeader { gso_type: 0, gso_size: 0, ..vnet };
        let one = spec.frame(&payload[..999], Sum::Partial);
        assert_eq!(cut(&plain, &one).unwrap(), [(spec.frame(&payload[..999], Sum::Complete), None)]);
    }
}

#[test]
fn the_sum_behind_a_routing_header_keeps_the_final_destination() {
    // The stored sum is the host's, over the last address of the routing header: here just any other number.
    let spec = Spec { v6: true, ..Spec::udp() };
    let mut frame = spec.frame(&payload(2000, 4), Sum::Partial);
    let at = spec.checksum_at();
    frame[at..at + 2].copy_from_slice(&0x4000u16.to_be_bytes());
    let expected: u16 = 0x4000 - 2008 + 1008;
    for (segment, _) in cut(&spec.vnet(1000), &frame).unwrap() {
        assert_eq!(segment[at..at + 2], expected.to_be_bytes());
    }
}

#[test]
fn out_that_is_too_small_is_refused() {
    let spec = Spec::tcp();
    let frame = spec.frame(&payload(2000, 0), Sum::Partial);
    let segmenter = Segmenter::new(&spec.vnet(1000), &Frame::read(&frame)).unwrap();
    let length = segmenter.segment_len(1).unwrap();
    for short in [0, 1, spec.head_len() - 1, spec.head_len(), length - 1] {
        assert_eq!(segmenter.write(1, &mut vec![0; short]), None, "{short}");
    }
    assert!(segmenter.write(1, &mut vec![0; length]).is_some());
}

#[test]
fn virtio_headers_that_contradict_the_frame_are_refused() {
    let spec = Spec::tcp();
    let frame = spec.frame(&payload(3000, 0), Sum::Partial);
    let good = spec.vnet(1000);
    let bad = [
        VnetHeader { gso_size: 0, ..good },
        VnetHeader { gso_size: GSO_BY_FRAGS, ..good },
        VnetHeader { flags: 0, ..good },
        VnetHeader { hdr_len: frame.len() as u16 + 1, ..good },
        VnetHeader { csum_start: good.csum_start + 2, ..good },
        VnetHeader { csum_start: 14, ..good },
        VnetHeader { csum_start: 0xFFFF, csum_offset: 0xFFFF, ..good },
        VnetHeader { csum_offset: 6, ..good },
        VnetHeader { gso_type: 0, csum_start: frame.len() as u16 - 17, ..good },
    ];
    for vnet in bad {
        assert_eq!(cut(&vnet, &frame), Err(Reason::VnetMalformed), "{vnet:?}");
    }
    // A hint that is too small or too large is still a hint.
    for hdr_len in [0, good.hdr_len - 1, frame.len() as u16] {
        assert_eq!(cut(&VnetHeader { hdr_len, ..good }, &frame).unwrap().len(), 3);
    }
}

#[test]
fn super_frames_of_another_type_than_they_say_are_refused() {
    let frame = |spec: &Spec| spec.frame(&payload(3000, 0), Sum::Partial);
    let (tcp, udp) = (Spec::tcp(), Spec::udp());
    for gso_type in [2, 3, 6, 0x25, 0x7F, GSO_ECN | 2] {
        let vnet = VnetHeader { gso_type, ..tcp.vnet(1000) };
        assert_eq!(cut(&vnet, &frame(&tcp)), Err(Reason::GsoUnsupported), "{gso_type}");
    }
    for (spec, gso_type) in [(&tcp, GSO_TCPV6), (&tcp, GSO_UDP_L4), (&udp, GSO_TCPV4), (&udp, GSO_TCPV6)] {
        let vnet = VnetHeader { gso_type, ..spec.vnet(1000) };
        assert_eq!(cut(&vnet, &frame(spec)), Err(Reason::GsoMalformed), "{gso_type}");
    }
}

#[test]
fn super_frames_whose_lengths_lie_are_refused() {
    let spec = Spec::udp();
    let good = spec.frame(&payload(3000, 0), Sum::Partial);
    for (at, value) in [(16, 3029u16), (16, 3027), (16, 19), (16, 0), (38, 3007), (38, 8), (38, 0), (20, 0x2000)] {
        let mut frame = good.clone();
        frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
        assert_eq!(cut(&spec.vnet(1000), &frame), Err(Reason::GsoMalformed), "{at} {value}");
    }
    assert_eq!(cut(&spec.vnet(1000), &good[..3000]), Err(Reason::GsoMalformed));
    assert_eq!(cut(&spec.vnet(1000), &good[..30]), Err(Reason::VnetMalformed));
    assert_eq!(cut(&VnetHeader::default(), &good[..13]), Err(Reason::FrameShort));
    assert_eq!(cut(&VnetHeader::default(), &[]), Err(Reason::FrameShort));
}

#[test]
fn more_segments_than_the_kernel_makes_are_refused() {
    for (spec, limit) in [(Spec::udp(), 128), (Spec::tcp(), 1365)] {
        let frame = |count| spec.frame(&payload(count * 7, 0), Sum::Partial);
        assert_eq!(cut(&spec.vnet(7), &frame(limit)).unwrap().len(), limit);
        assert_eq!(cut(&spec.vnet(7), &frame(limit + 1)), Err(Reason::GsoMalformed));
    }
}

#[test]
fn a_virtio_header_is_ten_bytes_and_returns_as_it_was() {
    let header =
        VnetHeader { flags: NEEDS_CSUM, gso_type: 5, hdr_len: 42, gso_size: 1200, csum_start: 34, csum_offset: 6 };
    let bytes = header.emit();
    if cfg!(target_endian = "little") {
        assert_eq!(bytes, [1, 5, 42, 0, 0xB0, 0x04, 34, 0, 6, 0]);
    }
    let with_frame = [&bytes[..], &[9, 9]].concat();
    assert_eq!(VnetHeader::parse(&with_frame), Some((header, &[9, 9][..])));
    assert_eq!(VnetHeader::parse(&bytes[..9]), None);
}

proptest! {
    #[test]
    fn segments_are_the_frames_that_a_host_without_offload_sends(spec in any_spec(), (size, payload) in any_burst()) {
        let super_frame = spec.frame(&payload, Sum::Partial);
        let frames = cut(&spec.vnet(size), &super_frame).unwrap();
        prop_assert_eq!(frames.len(), payload.chunks(size).len());
        for (index, ((frame, partial), chunk)) in frames.iter().zip(payload.chunks(size)).enumerate() {
            let alone = spec.segment(index, size);
            prop_assert_eq!(*partial, Some(spec.partial()));
            let mut completed = frame.clone();
            complete(&mut completed, spec.transport(), usize::from(spec.partial().offset)).unwrap();
            prop_assert_eq!(completed, alone.frame(chunk, Sum::Complete));
        }
    }

    #[test]
    fn heads_and_payloads_are_the_segments(spec in any_spec(), (size, payload) in any_burst()) {
        let super_frame = spec.frame(&payload, Sum::Partial);
        let segmenter = Segmenter::new(&spec.vnet(size), &Frame::read(&super_frame)).unwrap();
        let (mut whole, mut head) = (vec![0; 2000], vec![0; 2000]);
        for index in 0..segmenter.count() {
            let (length, partial) = segmenter.write(index, &mut whole).unwrap();
            let (head_len, payload, same_partial) = segmenter.head(index, &mut head).unwrap();
            prop_assert_eq!(&whole[..length], [&head[..head_len], payload].concat());
            prop_assert_eq!(partial, same_partial);
        }
    }
}
