//! Many flows at once, some frames damaged: what is delivered, cut up again, is what was pushed, in each flow's order.

use proptest::prelude::*;

use super::super::{Merging, PartialChecksum, Segmenter};
use super::coalesce::{deliver, Pushed};
use super::{naive_sum, payload, Spec, Sum, Written, ACK, PSH};
use crate::headers::{Fragmentation, Frame, Headers};

/// One frame to push.
#[derive(Clone, Debug)]
struct Step {
    flow: usize,
    length: usize,
    sum: Sum,
    push: bool,
    /// A byte to change, and how.
    damage: Option<(prop::sample::Index, u8)>,
    /// Sent as ARP: of no flow.
    no_flow: bool,
}

fn any_step() -> impl Strategy<Value = Step> {
    let damage = prop_oneof![9 => Just(None), 1 => any::<(prop::sample::Index, u8)>().prop_map(Some)];
    let length = prop_oneof![8 => Just(100usize), 1 => Just(0), 1 => 1usize..130];
    let sum = prop_oneof![4 => Just(Sum::Partial), 1 => Just(Sum::Complete)];
    (0usize..6, length, sum, prop::bool::weighted(0.05), damage, prop::bool::weighted(0.02))
        .prop_map(|(flow, length, sum, push, damage, no_flow)| Step { flow, length, sum, push, damage, no_flow })
}

/// The frames of the steps; each flow counts on.
fn frames(steps: &[Step]) -> Vec<Pushed> {
    let mut flows: Vec<Spec> = (0..6)
        .map(|flow| {
            let spec = if flow % 2 == 0 { Spec::tcp() } else { Spec::udp() };
            Spec { v6: flow % 3 == 0, ports: (flow, 9), multicast: flow == 5, dont_fragment: flow != 4, ..spec }
        })
        .collect();
    let mut pushed = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let flow = &mut flows[step.flow];
        flow.flags = if !flow.tcp {
            0
        } else if step.push {
            ACK | PSH
        } else {
            ACK
        };
        let mut frame = flow.frame(&payload(step.length, number as u8), step.sum);
        if let Some((at, change)) = &step.damage {
            // Nine in ten fall into the headers.
            let end = if change % 10 == 0 { frame.len() } else { flow.head_len() };
            frame[at.index(end)] ^= change;
        }
        if step.no_flow {
            frame[12..14].copy_from_slice(&[0x08, 0x06]);
        }
        pushed.push((frame, (step.sum == Sum::Partial).then(|| flow.partial())));
        *flow = flow.segment(1, step.length);
    }
    pushed
}

/// The frames in a write.
fn cut(written: &Written) -> Vec<Pushed> {
    let segmenter = Segmenter::new(&written.vnet, &Frame::read(&written.bytes)).unwrap();
    let mut out = vec![0; 2000];
    (0..segmenter.count())
        .map(|index| {
            let (length, partial) = segmenter.write(index, &mut out).unwrap();
            (out[..length].to_vec(), partial)
        })
        .collect()
}

/// A frame as a host sees it: the checksum completed, and no identification where it means nothing (RFC 6864).
fn seen(frame: &[u8], partial: Option<PartialChecksum>) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(PartialChecksum { start, offset }) = partial {
        let (start, offset) = (usize::from(start), usize::from(offset));
        let checksum = match !naive_sum(&frame[start..]) {
            0 => 0xFFFF,
            checksum => checksum,
        };
        frame[start + offset..start + offset + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    if frame[12..14] == [0x08, 0x00] && frame[20] & 0x40 != 0 && naive_sum(&frame[14..34]) == 0xFFFF {
        frame[18..20].fill(0);
        frame[24..26].fill(0);
    }
    frame
}

/// Protocol, addresses and ports; None for what is in order with everything.
fn flow_of(frame: &[u8]) -> Option<Vec<u8>> {
    let headers = Headers::parse(frame).ip?;
    let ports = frame.get(headers.transport..headers.transport + 4).filter(|_| headers.transport + 4 <= headers.end)?;
    let of_a_flow = headers.fragmentation == Fragmentation::Whole && matches!(headers.protocol, 6 | 17);
    of_a_flow.then(|| [&[headers.protocol], headers.addresses(frame).unwrap(), ports].concat())
}

fn of_flow(frames: &[Pushed], flow: &Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let belongs = |frame: &[u8]| flow_of(frame).is_none_or(|of| Some(of) == *flow);
    frames.iter().filter(|(frame, _)| belongs(frame)).map(|(frame, partial)| seen(frame, *partial)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn nothing_is_lost_changed_or_out_of_its_flows_order(steps in prop::collection::vec(any_step(), 1..200)) {
        let pushed = frames(&steps);
        let written = deliver(Merging { tcp: true, udp: true, groups: true }, &pushed);
        let delivered: Vec<Pushed> = written.iter().flat_map(cut).collect();
        prop_assert_eq!(delivered.len(), pushed.len());
        let mut flows: Vec<_> = pushed.iter().map(|(frame, _)| flow_of(frame)).collect();
        flows.sort();
        flows.dedup();
        for flow in &flows {
            prop_assert_eq!(of_flow(&delivered, flow), of_flow(&pushed, flow));
        }
    }
}

#[test]
fn a_frame_of_no_flow_is_a_barrier_for_all() {
    let spec = |flow| Spec { ports: (flow, 9), ..Spec::udp() };
    let frame = |flow, index| {
        let spec = spec(flow).segment(index, 0);
        (spec.frame(&payload(100, 0), Sum::Partial), Some(spec.partial()))
    };
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let pushed = [frame(1, 0), frame(2, 0), frame(1, 1), (arp, None), frame(2, 1), frame(1, 2)];
    let written = deliver(Merging { tcp: true, udp: true, groups: true }, &pushed);
    let sources: Vec<_> = written.iter().map(|w| (w.frames, w.bytes[35])).collect();
    assert_eq!(sources, [(2, 1), (1, 2), (1, 0), (1, 2), (1, 1)]);
}
