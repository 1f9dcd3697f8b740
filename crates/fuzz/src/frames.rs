//! Bytes from hosts: frames, and reads of the TAP with their virtio-net header.

use std::sync::LazyLock;

use treecast_core::arrival::{IngressNode, Proof, Recent};
use treecast_core::egress::Leaving;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::{Frame, Headers};
use treecast_core::key_flow::KeyFlow;
use treecast_core::prefixes::Prefix;
use treecast_core::verdict::RecentFlow;

use treecast_core::offload::{CoalescedWrite, Coalescer, Merging, PartialChecksum, Segmenter, VnetHeader};
use treecast_core::traffic_class;

use crate::handshakes::{signing_key, NETWORK};

const NOW_NS: u64 = 1_000_000_000;
/// Sets of members that a TAP's offloads grant.
const MERGINGS: [Merging; 2] =
    [Merging { tcp: true, udp: true, groups: true }, Merging { tcp: true, udp: false, groups: false }];

/// A TAP and a packet port that forward.
static NODE: LazyLock<ForwardingTables> = LazyLock::new(|| {
    let node = ForwardingTables::new(1, &NETWORK, signing_key(), Box::new(|| {}));
    node.renew_port(1, true);
    for port in [0, 1] {
        if let Some(port) = node.port(port) {
            port.set_forwarding(true);
        }
    }
    for number in 2..=3 {
        let addresses = [std::net::IpAddr::from([10, 77, 0, number as u8])].into();
        let some = treecast_core::prefixes::Prefix { first: [239, 0, 0, 0].into(), length: 9 };
        let (bridge, signing_key) = (number == 2, signing_key().public());
        let send_to = (number == 3).then(|| [some].into());
        let certified = CertifiedNode { bridge, carried: false, addresses, signing_key, send_to };
        let _ = node.certify_node(number, certified);
    }
    node
});

/// A host's frame on both kinds of ports, and with each congestion mark of the underlay.
pub fn frame(bytes: &[u8]) {
    let frame = Frame::read(bytes);
    for port in [0, 1] {
        let verdict = NODE.classify(port, &frame, 1, NOW_NS, &mut RecentFlow::default());
        assert!(verdict.punt || verdict.destination.is_some(), "a frame that is nobody's has a reason");
        NODE.goes_out(port, &Leaving::of(&frame));
        if verdict.punt {
            NODE.punt(port, &frame, NOW_NS);
        }
    }
    NODE.drain(16, || {});
    let mut recent = Recent::default();
    let groups = Prefix { first: [239, 0, 0, 0].into(), length: 8 };
    let shared = |flow| Proof::Shared(flow);
    let flow = Some(KeyFlow { vlan: 0, groups, source: None });
    for (root, proof) in [(2, Proof::Own), (3, shared(None)), (2, shared(flow))] {
        let ingress = IngressNode { node: root, proof };
        let right = NODE.check_source(&frame, ingress, &mut recent);
        assert_eq!(right, NODE.check_source(&frame, ingress, &mut Recent::default()), "as without the one before");
    }
    let class = traffic_class::of(&frame);
    for outer in 0..4 {
        let mut inner = bytes.to_vec();
        if traffic_class::decapsulate(&mut inner, &frame.headers, outer).is_ok() {
            assert_eq!(traffic_class::of(&Frame::read(&inner)) & !3, class & !3, "the DSCP is the frame's own");
        }
    }
}

/// A read of the TAP is cut up; its frames, as the other side has them, are joined again and lose nothing.
pub fn super_frame(bytes: &[u8]) {
    let Some((vnet, bytes)) = VnetHeader::parse(bytes) else { return };
    let Ok(segmenter) = Segmenter::new(&vnet, &Frame::read(bytes)) else { return };
    let mut buffer = vec![0; bytes.len()];
    let segments: Vec<(Vec<u8>, Option<PartialChecksum>)> = (0..segmenter.count())
        .filter_map(|index| {
            let (length, checksum) = segmenter.write(index, &mut buffer)?;
            assert_eq!(Some(length), segmenter.segment_len(index));
            Some((buffer[..length].to_vec(), checksum))
        })
        .collect();
    assert_eq!(segments.len(), segmenter.count(), "each fits where the super-frame did");
    let total: usize = segments.iter().map(|(bytes, _)| bytes.len()).sum();
    for merging in MERGINGS {
        let (mut frames, mut length) = (0, 0);
        let mut sink = |delivery: CoalescedWrite<'_>| {
            frames += delivery.frames;
            length += delivery.frame_bytes();
            let written: usize = delivery.parts.iter().map(|part| part.len()).sum();
            assert_eq!(written, delivery.length + treecast_core::offload::vnet::VNET_LEN);
        };
        let mut coalescer = Coalescer::new(merging);
        for (bytes, checksum) in &segments {
            let headers = Headers::parse(bytes);
            coalescer.push(Frame { bytes, headers }, *checksum, 1, &mut sink);
        }
        coalescer.finish(&mut sink);
        assert_eq!((frames, length), (segments.len(), total));
    }
}
