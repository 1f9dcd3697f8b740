//! The sums against the slow obvious ones, and known values.

use proptest::prelude::*;

use super::super::checksum::{add, complete, fold, pseudo_header, same, subtract, sum};
use super::{naive_sum, payload, Spec, Sum};

#[test]
fn the_example_of_rfc_1071_sums_to_ddf2() {
    assert_eq!(sum(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]), 0xDDF2);
}

#[test]
fn sums_of_the_largest_values_do_not_overflow() {
    for length in [1, 2, 3, 4, 5, 65_535, 65_553] {
        let bytes = vec![0xFF; length];
        assert!(same(sum(&bytes), naive_sum(&bytes)), "{length}");
    }
    assert_eq!(fold(u64::MAX), 0xFFFF);
    assert_eq!(sum(&[]), 0);
}

#[test]
fn a_checksum_of_zero_is_written_as_ffff() {
    let mut frame = [0, 0, 0xFF, 0xFF];
    complete(&mut frame, 0, 0).unwrap();
    assert_eq!(frame, [0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn completion_outside_the_frame_changes_nothing() {
    for (start, offset) in [(0, 7), (6, 1), (8, 0), (9, 0), (0, usize::MAX), (usize::MAX, 0), (usize::MAX, usize::MAX)]
    {
        let mut frame = [1; 8];
        assert_eq!(complete(&mut frame, start, offset), None, "{start} {offset}");
        assert_eq!(frame, [1; 8]);
    }
}

proptest! {
    #[test]
    fn sums_equal_the_naive_sum(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(same(sum(&bytes), naive_sum(&bytes)));
    }

    #[test]
    fn sums_of_even_pieces_add_up(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let (first, second) = bytes.split_at(at.index(bytes.len() / 2 + 1) * 2);
        let whole = naive_sum(&bytes);
        prop_assert!(same(add(sum(first), sum(second)), whole));
        prop_assert!(same(subtract(whole, sum(second)), sum(first)));
    }

    #[test]
    fn pseudo_headers_equal_the_naive_sum(addresses in prop::collection::vec(any::<u8>(), 32), protocol: u8, length in 0u32..65_536) {
        for addresses in [&addresses[..8], &addresses[..]] {
            let header = [addresses, &length.to_be_bytes(), &[0, 0, 0, protocol]].concat();
            prop_assert!(same(pseudo_header(addresses, protocol, length as usize), naive_sum(&header)));
        }
    }

    #[test]
    fn a_partial_checksum_completes_to_the_complete_one(spec in super::any_spec(), length in 0usize..2000, seed: u8) {
        let payload = payload(length, seed);
        let mut frame = spec.frame(&payload, Sum::Partial);
        let partial = spec.partial();
        complete(&mut frame, partial.start.into(), partial.offset.into()).unwrap();
        prop_assert_eq!(frame, spec.frame(&payload, Sum::Complete));
    }
}

#[test]
fn a_completed_frame_sums_to_ffff_with_its_pseudo_header() {
    let frame = Spec::udp().frame(&payload(1201, 3), Sum::Complete);
    let pseudo = pseudo_header(&frame[26..34], 17, 1209);
    assert_eq!(add(pseudo, sum(&frame[34..])), 0xFFFF);
}
