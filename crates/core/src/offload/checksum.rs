//! The Internet checksum (RFC 1071): sums, pseudo-headers, and completion of partial ones.
//!
//! A *sum* here is a folded, non-inverted one's-complement sum of big-endian words; a checksum is its inverse.
//! Sums of adjacent pieces add up as long as each piece but the last has an even length.

/// The sum of `bytes`, an odd last byte padded with zero.
pub fn sum(bytes: &[u8]) -> u16 {
    // The sum is the same in either byte order but for a swap at the end (RFC 1071 section 2 (B)), and 32-bit words fold
    // to the same as 16-bit ones: 64 bits of sum hold any frame's words without carries.
    let mut total: u64 = 0;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        total += word.first_chunk().map_or(0, native_word);
    }
    let last = match *words.remainder() {
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        _ => [0; 4],
    };
    u16::from_be(fold(total + native_word(&last)))
}

/// The sum of a few words: as [`sum`], for a header of a length that the compiler knows (a multiple of 4).
pub fn sum_header<const LENGTH: usize>(header: &[u8; LENGTH]) -> u16 {
    u16::from_be(fold(header.chunks_exact(4).map(|word| word.first_chunk().map_or(0, native_word)).sum()))
}

fn native_word(word: &[u8; 4]) -> u64 {
    u32::from_ne_bytes(*word).into()
}

/// Folds carries in until 16 bits are left. Zero only for zero.
pub fn fold(total: u64) -> u16 {
    let total = (total >> 32) + (total & 0xFFFF_FFFF);
    let total = (total >> 32) + (total & 0xFFFF_FFFF);
    let total = (total >> 16) + (total & 0xFFFF);
    let total = (total >> 16) + (total & 0xFFFF);
    let total = (total >> 16) + (total & 0xFFFF);
    total as u16
}

/// The sum of two sums.
pub fn add(a: u16, b: u16) -> u16 {
    let (total, carry) = a.overflowing_add(b);
    total + u16::from(carry)
}

/// The sum without `b` (RFC 1624).
pub fn subtract(a: u16, b: u16) -> u16 {
    add(a, !b)
}

/// Whether two sums are the same number: one's complement has two zeros.
pub fn same(a: u16, b: u16) -> bool {
    a == b || (a == 0 && b == 0xFFFF) || (a == 0xFFFF && b == 0)
}

/// The sum of a pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1). `addresses` are source and destination
/// as they stand in the IP header; `length` is that of transport header and payload.
pub fn pseudo_header(addresses: &[u8], protocol: u8, length: usize) -> u16 {
    let addresses = match (addresses.try_into(), addresses.try_into()) {
        (Ok(ipv4), _) => sum_header::<8>(ipv4),
        (_, Ok(ipv6)) => sum_header::<32>(ipv6),
        _ => sum(addresses),
    };
    fold(u64::from(addresses) + u64::from(protocol) + length as u64)
}

/// Completes a partial checksum in place: the two bytes at `start + offset` hold the pseudo-header's sum. A result of zero is
/// written as 0xFFFF, as the kernel does (`CSUM_MANGLED_0`). None where the offsets lie outside the frame.
pub fn complete(frame: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let covered = frame.get_mut(start..)?;
    covered.get(offset..)?.first_chunk::<2>()?;
    let checksum = match !sum(covered) {
        0 => 0xFFFF,
        checksum => checksum,
    };
    super::put_u16(covered, offset, checksum)
}
