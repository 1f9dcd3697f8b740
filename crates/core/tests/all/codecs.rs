//! Headers: what is emitted parses back, whatever does not parse has a reason, nothing panics.

use proptest::prelude::*;
use treecast_core::datagram::*;
use treecast_core::reason::Reason;
use treecast_core::tree_mark::TreeMark;

proptest! {
    #[test]
    fn a_session_header_parses_back(receiver: u32, counter: u64, rest in prop::collection::vec(any::<u8>(), 20..200)) {
        let header = SessionHeader { receiver, counter };
        let datagram = [&header.emit()[..], &rest].concat();
        prop_assert_eq!(SessionHeader::parse(&datagram), Ok(header));
    }

    #[test]
    fn a_tree_header_parses_back(
        words: [u32; 4],
        step: u16,
        counter: u64,
        signed: bool,
        rest in prop::collection::vec(any::<u8>(), 28..200),
    ) {
        let [root, stream, epoch, key_id] = words;
        let header = TreeHeader { tree: TreeName { root, stream, epoch }, key_id, step, counter, signed };
        let datagram = [&header.emit()[..], &rest].concat();
        prop_assert_eq!(TreeHeader::parse(&datagram), Ok(header));
    }

    #[test]
    fn an_inner_header_parses_back(kind: u8, start: u8, offset: u8, partial: bool) {
        let checksum = (partial && kind == KIND_FRAME).then_some(PartialChecksum { start, offset });
        let inner = Inner { kind, checksum };
        let plaintext = [&inner.emit()[..], &[0; 600]].concat();
        prop_assert_eq!(Inner::parse(&plaintext), Ok(inner));
    }

    #[test]
    fn a_partial_checksum_lies_within_the_frame(start: u8, offset: u8, length in 0usize..600) {
        let inner = Inner { kind: KIND_FRAME, checksum: Some(PartialChecksum { start, offset }) };
        let plaintext = [&inner.emit()[..], &vec![0; length]].concat();
        let inside = usize::from(start) + usize::from(offset) + 2 <= length;
        prop_assert_eq!(Inner::parse(&plaintext).is_ok(), inside);
    }

    #[test]
    fn any_bytes_parse_or_have_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..1600)) {
        let _ = DatagramType::of(&bytes);
        let _ = Inner::parse(&bytes);
        if bytes.len() < MIN_SESSION_LEN {
            prop_assert_eq!(SessionHeader::parse(&bytes), Err(Reason::DatagramShort));
        }
        if bytes.len() > MAX_DATAGRAM_LEN {
            prop_assert_eq!(TreeHeader::parse(&bytes), Err(Reason::DatagramLong));
        }
    }
}

#[test]
fn reserved_bytes_are_refused() {
    for position in 1..4 {
        let mut datagram = [SESSION; 64];
        datagram[1..4].fill(0);
        assert!(SessionHeader::parse(&datagram).is_ok());
        datagram[position] = 1;
        assert_eq!(SessionHeader::parse(&datagram), Err(Reason::FlagsUnknown));
    }
}

#[test]
fn first_bytes_of_other_protocols_are_unknown() {
    for first in (0..=255u8).filter(|first| ![INIT, RESPONSE, FINAL, REFUSAL, COOKIE, SESSION, TREE].contains(first)) {
        assert_eq!(DatagramType::of(&[first, 0, 0]), Err(Reason::UnknownType));
    }
    assert_eq!(DatagramType::of(&[]), Err(Reason::UnknownType));
}

/// RFC 8656 section 12.4.
const TURN_CHANNEL_LEN: usize = 4;

#[test]
fn a_full_overlay_packet_with_a_vlan_tag_fits_a_tree_datagram() {
    let limit = |mtu| DatagramLimit::on_underlay(mtu).unwrap();
    for (underlay, overlay) in [(1500, 1374), (9000, 8874)] {
        assert_eq!(limit(underlay).datagram_len(), underlay - 48);
        assert_eq!(overlay + 14 + 4 + TURN_CHANNEL_LEN, limit(underlay).body_len(TREE_OVERHEAD));
        assert!(limit(underlay).body_len(TREE_OVERHEAD) < limit(underlay).body_len(SESSION_OVERHEAD));
    }
    assert_eq!(limit(1280).body_len(SESSION_OVERHEAD), MAX_CONTROL_LEN);
    assert_eq!((DatagramLimit::on_underlay(1279), DatagramLimit::on_underlay(9001)), (None, None));
}

#[test]
fn a_graft_is_read_as_it_was_written() {
    let graft = TreeMark { tree: TreeName { root: 1, stream: 5, epoch: 9 }, counter: 1 << 40 };
    assert_eq!(TreeMark::parse(&graft.emit()), Ok(graft));
    assert_eq!(TreeMark::parse(&[&graft.emit()[..], b"later"].concat()), Ok(graft));
    assert_eq!(TreeMark::parse(&graft.emit()[..19]), Err(Reason::InnerMalformed));
}
