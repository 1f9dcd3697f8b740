//! Any bytes: no panic, and what comes out keeps its promises.

use proptest::prelude::*;

use super::super::checksum::complete;
use super::super::{Merging, PartialChecksum, Segmenter, VnetHeader, MAX_IP_LEN, MAX_TCP_SEGMENTS};
use super::coalesce::{deliver, Pushed};
use super::{any_spec, payload, Sum};
use crate::headers::{Frame, Headers};

/// Segments all of a frame; the promises hold whatever the header says.
fn check_segments(vnet: &VnetHeader, frame: &[u8]) -> Result<(), TestCaseError> {
    let Ok(segmenter) = Segmenter::new(vnet, &Frame::read(frame)) else { return Ok(()) };
    let count = segmenter.count();
    prop_assert!((1..=MAX_TCP_SEGMENTS).contains(&count));
    let mut out = vec![0; frame.len() + 300];
    let (mut total, first) = (0, segmenter.segment_len(0).unwrap());
    for index in 0..count {
        let (length, partial) = segmenter.write(index, &mut out).unwrap();
        prop_assert!(length == first || (index + 1 == count && length < first));
        prop_assert!(length <= frame.len());
        if let Some(PartialChecksum { start, offset }) = partial {
            let written = &mut out[..length];
            prop_assert!(complete(written, start.into(), offset.into()).is_some());
        }
        let head_len = segmenter.head(index, &mut out).unwrap().0;
        total += length - head_len;
        prop_assert!(segmenter.write(index, &mut out[..length - 1]).is_none());
    }
    prop_assert!(total <= frame.len());
    Ok(())
}

fn any_vnet() -> impl Strategy<Value = VnetHeader> {
    let gso_type = prop_oneof![Just(0), Just(1), Just(4), Just(5), Just(0x81), any::<u8>()];
    let small = || prop_oneof![3 => 0u16..80, 1 => any::<u16>()];
    (any::<u8>(), gso_type, small(), any::<u16>(), small(), small()).prop_map(
        |(flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)| VnetHeader {
            flags,
            gso_type,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    )
}

/// Bytes to change in a frame: mostly in its headers.
fn any_damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)
}

fn damaged(mut frame: Vec<u8>, damage: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    for (at, value) in damage {
        let end = frame.len().min(80);
        frame[at.index(end)] = *value;
    }
    if let Some(cut) = cut {
        frame.truncate(cut.index(frame.len() + 1));
    }
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_segmented_or_refused(vnet in any_vnet(), frame in prop::collection::vec(any::<u8>(), 0..200)) {
        check_segments(&vnet, &frame)?;
    }

    #[test]
    fn damaged_super_frames_are_segmented_or_refused(
        spec in any_spec(), size in 1usize..300, length in 0usize..1500, vnet in any_vnet(),
        fields in any::<[bool; 6]>(), damage in any_damage(), cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let frame = damaged(spec.frame(&payload(length, 3), Sum::Partial), &damage, cut);
        let good = spec.vnet(size);
        let pick = |taken: bool, bad, good| if taken { bad } else { good };
        let mixed = VnetHeader {
            flags: if fields[0] { vnet.flags } else { good.flags },
            gso_type: if fields[1] { vnet.gso_type } else { good.gso_type },
            hdr_len: pick(fields[2], vnet.hdr_len, good.hdr_len),
            gso_size: pick(fields[3], vnet.gso_size, good.gso_size),
            csum_start: pick(fields[4], vnet.csum_start, good.csum_start),
            csum_offset: pick(fields[5], vnet.csum_offset, good.csum_offset),
        };
        check_segments(&mixed, &frame)?;
    }

    #[test]
    fn any_frames_are_delivered_once(frames in prop::collection::vec(
        (any_spec(), 0usize..300, any_damage(), proptest::option::weighted(0.3, any::<prop::sample::Index>()), any::<Option<(u8, u8)>>()), 0..8,
    )) {
        let pushed: Vec<Pushed> = frames.into_iter().map(|(spec, length, damage, cut, state)| {
            let frame = damaged(spec.frame(&payload(length, 3), Sum::Partial), &damage, cut);
            (frame, state.map(|(start, offset)| PartialChecksum { start, offset }))
        }).collect();
        let written = deliver(Merging { tcp: true, udp: true, groups: true }, &pushed);
        prop_assert_eq!(written.iter().map(|w| w.frames).sum::<usize>(), pushed.len());
        prop_assert!(written.iter().all(|w| w.bytes.len() <= MAX_IP_LEN + 18));
    }

    #[test]
    fn any_bytes_have_offsets_within_them_or_none(frame in prop::collection::vec(any::<u8>(), 0..120), ethertype in 0usize..4) {
        let mut frame = frame;
        let types = [[0x08, 0x00], [0x86, 0xDD], [0x81, 0x00], [0, 0]];
        if let Some(place) = frame.get_mut(12..14) {
            place.copy_from_slice(&types[ethertype]);
        }
        if let Some(headers) = Headers::parse(&frame).ip {
            prop_assert!(headers.network < headers.transport && headers.transport <= headers.end);
            prop_assert!(headers.end <= frame.len());
            prop_assert!(headers.payload(&frame).is_none_or(|at| at > headers.transport && at <= headers.end));
        }
        let _ = deliver(Merging { tcp: true, udp: true, groups: true }, &[(frame, None)]);
    }
}
