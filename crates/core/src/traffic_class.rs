//! DSCP and ECN (RFC 2474, RFC 3168) of frames and of the datagrams that carry them, by RFC 6040.
//!
//! A datagram leaves with the traffic class of its frame (section 4.1, normal mode; the DSCP as in RFC 2983's uniform model).
//! Where it arrives, congestion that routers of the underlay have marked goes over to the frame ([`decapsulate`], section
//! 4.2), while its DSCP stays what the host has set. Whatever is not IP counts as not capable of ECN.

use crate::datagram::{array_at, u16_at};
use crate::headers::{Frame, Headers, Version, IPV4_CHECKSUM};
use crate::offload::checksum::{add, subtract};
use crate::reason::Reason;

/// Both bits of ECN.
pub const ECN: u8 = 0b11;
/// A transport that is not ECN-capable.
pub const NOT_ECT: u8 = 0b00;
/// ECN-capable, codepoint ECT(1).
pub const ECT_1: u8 = 0b01;
/// ECN-capable, codepoint ECT(0).
pub const ECT_0: u8 = 0b10;
/// Congestion experienced.
pub const CE: u8 = 0b11;

/// DSCP and ECN of a frame: the outer header's traffic class. 0 for what is not IP.
pub fn of(frame: &Frame<'_>) -> u8 {
    frame.headers.ip.as_ref().map_or(0, |packet| of_packet(frame.bytes, packet.version, packet.network))
}

fn of_packet(frame: &[u8], version: Version, network: usize) -> u8 {
    let start = array_at(frame, network).unwrap_or_default();
    match (version, start) {
        (Version::V4, [_, tos]) => tos,
        (Version::V6, [one, two]) => one << 4 | two >> 4,
    }
}

/// RFC 6040 section 4.2, figure 4: the ECN of the frame that goes on. None: it is dropped.
pub const fn combine(inner: u8, outer: u8) -> Option<u8> {
    match (inner & ECN, outer & ECN) {
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (CE, _) | (_, CE) => Some(CE),
        (_, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}

/// The ECN of a datagram whose frame came in parts (RFC 3168 section 5.3): congestion of one is congestion of all.
pub const fn of_parts(one: u8, other: u8) -> u8 {
    match (one & ECN, other & ECN) {
        (CE, _) | (_, CE) => CE,
        (NOT_ECT, _) | (_, NOT_ECT) => NOT_ECT,
        (one, _) => one,
    }
}

/// Carries the ECN of the datagram over to the frame that was in it.
#[inline(always)]
pub fn decapsulate(frame: &mut [u8], headers: &Headers, outer: u8) -> Result<(), Reason> {
    // Not-ECT leaves every frame as it is (figure 4), and nearly all datagrams have it.
    if outer & ECN == NOT_ECT {
        return Ok(());
    }
    // By value: headers whose address is given away would have to lie in memory for all other frames, too.
    rewrite(frame, headers.ip.map(|packet| (packet.version, packet.network)), outer)
}

fn rewrite(frame: &mut [u8], packet: Option<(Version, usize)>, outer: u8) -> Result<(), Reason> {
    let inner = packet.map_or(0, |(version, network)| of_packet(frame, version, network));
    let ecn = combine(inner, outer).ok_or(Reason::EcnNotCapable)?;
    if ecn == inner & ECN {
        return Ok(());
    }
    match packet {
        Some((Version::V4, network)) => set_ipv4(frame, network, inner & !ECN | ecn),
        Some((Version::V6, network)) => set_ipv6(frame, network, ecn),
        None => None,
    };
    Ok(())
}

/// Sets the TOS byte, and what that changes in the header's checksum (RFC 1624).
fn set_ipv4(frame: &mut [u8], at: usize, tos: u8) -> Option<()> {
    let [version, before] = array_at(frame, at)?;
    let sum = !u16_at(frame, at + IPV4_CHECKSUM)?;
    let word = |tos| u16::from_be_bytes([version, tos]);
    let checksum = !add(subtract(sum, word(before)), word(tos));
    frame.get_mut(at + IPV4_CHECKSUM..)?.first_chunk_mut::<2>()?.copy_from_slice(&checksum.to_be_bytes());
    *frame.get_mut(at + 1)? = tos;
    Some(())
}

/// The ECN of the traffic class, which lies across the first two bytes.
fn set_ipv6(frame: &mut [u8], at: usize, ecn: u8) -> Option<()> {
    let byte = frame.get_mut(at + 1)?;
    *byte = *byte & !(ECN << 4) | ecn << 4;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::checksum::sum;

    const NAMES: [u8; 4] = [NOT_ECT, ECT_0, ECT_1, CE];

    fn class_of(frame: &[u8]) -> u8 {
        of(&Frame::read(frame))
    }

    fn decapsulated(frame: &mut [u8], outer: u8) -> Result<(), Reason> {
        let headers = Headers::parse(frame);
        decapsulate(frame, &headers, outer)
    }

    fn ipv4(tos: u8, tagged: bool) -> Vec<u8> {
        let mut header = vec![0x45, tos, 0, 28, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2];
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        behind_ethernet(&[0x08, 0x00], &header, tagged)
    }

    fn ipv6(class: u8, tagged: bool) -> Vec<u8> {
        let mut header = vec![0; 40];
        header[..4].copy_from_slice(&(6 << 28 | u32::from(class) << 20 | 0xBEEF).to_be_bytes());
        behind_ethernet(&[0x86, 0xDD], &header, tagged)
    }

    fn behind_ethernet(ethertype: &[u8], header: &[u8], tagged: bool) -> Vec<u8> {
        let tag: &[u8] = if tagged { &[0x81, 0x00, 0x20, 0x07] } else { &[] };
        [&[2; 12], tag, ethertype, header, &[0xAB; 8]].concat()
    }

    /// RFC 6040 figure 4, row by row; None is its "drop".
    const FIGURE_4: [(u8, [Option<u8>; 4]); 4] = [
        (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
        (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
        (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
        (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
    ];

    #[test]
    fn decapsulation_is_figure_4_of_rfc_6040_for_both_families() {
        const DSCP: u8 = 0xB8;
        for (inner, row) in FIGURE_4 {
            for (outer, expected) in NAMES.into_iter().zip(row) {
                assert_eq!(combine(inner, outer), expected, "{inner:02b} {outer:02b}");
                for tagged in [false, true] {
                    for make in [ipv4, ipv6] {
                        let mut frame = make(DSCP | inner, tagged);
                        // The DSCP of the datagram is not the frame's.
                        let result = decapsulated(&mut frame, 0x28 | outer);
                        match expected {
                            Some(ecn) => assert_eq!((result, frame), (Ok(()), make(DSCP | ecn, tagged))),
                            None => assert_eq!(result, Err(Reason::EcnNotCapable)),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_ipv4_checksum_follows_the_rewrite_and_a_wrong_one_stays_wrong() {
        for tos in 0..=u8::MAX {
            let mut frame = ipv4(tos, false);
            frame[24] ^= 1; // its checksum does not fit by as much as before
            let distance = sum(&frame[14..34]);
            if decapsulated(&mut frame, CE).is_ok() {
                assert_eq!((sum(&frame[14..34]), frame[15]), (distance, tos | CE));
            }
        }
    }

    #[test]
    fn the_outer_class_is_the_frames_and_0_for_what_is_not_ip() {
        for class in 0..=u8::MAX {
            for tagged in [false, true] {
                assert_eq!((class_of(&ipv4(class, tagged)), class_of(&ipv6(class, tagged))), (class, class));
            }
        }
        let arp = behind_ethernet(&[0x08, 0x06], &[0x45; 28], false);
        assert_eq!((class_of(&arp), class_of(&arp[..13]), class_of(&[])), (0, 0, 0));
        assert_eq!(decapsulated(&mut arp.clone(), ECT_0), Ok(()));
        assert_eq!(decapsulated(&mut arp.clone(), CE), Err(Reason::EcnNotCapable));
    }

    #[test]
    fn congestion_of_one_part_is_congestion_of_the_frame() {
        for one in NAMES {
            assert_eq!((of_parts(one, CE), of_parts(CE, one)), (CE, CE));
            assert_eq!(of_parts(one, one), one);
        }
        assert_eq!((of_parts(NOT_ECT, ECT_0), of_parts(ECT_1, NOT_ECT)), (NOT_ECT, NOT_ECT));
    }
}
