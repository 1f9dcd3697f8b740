//! The content of a datagram: magic, stream, sequence number, time of sending (big endian), then a recognizable text.

pub const MAGIC: u32 = 0x5443_4c44; // "TCLD"
pub const HEADER_BYTES: usize = 24;
/// Fills the rest, so that a capture can be searched for it.
pub const FILLER: &[u8] = b"treecast-load plaintext ";

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    pub stream: u32,
    pub sequence: u64,
    pub sent_ns: u64,
}

/// Writes the filler behind where the header goes. `datagram` has at least `HEADER_BYTES`.
pub fn fill(datagram: &mut [u8]) {
    for (byte, filler) in datagram[HEADER_BYTES..].iter_mut().zip(FILLER.iter().cycle()) {
        *byte = *filler;
    }
}

pub fn emit(header: Header, datagram: &mut [u8]) {
    datagram[0..4].copy_from_slice(&MAGIC.to_be_bytes());
    datagram[4..8].copy_from_slice(&header.stream.to_be_bytes());
    datagram[8..16].copy_from_slice(&header.sequence.to_be_bytes());
    datagram[16..24].copy_from_slice(&header.sent_ns.to_be_bytes());
}

/// None when it is not one of ours.
pub fn parse(datagram: &[u8]) -> Option<Header> {
    let (magic, rest) = datagram.split_first_chunk()?;
    let (stream, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (sent_ns, _) = rest.split_first_chunk()?;
    (u32::from_be_bytes(*magic) == MAGIC).then(|| Header {
        stream: u32::from_be_bytes(*stream),
        sequence: u64::from_be_bytes(*sequence),
        sent_ns: u64::from_be_bytes(*sent_ns),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emitted_is_parsed() {
        let header = Header { stream: 7, sequence: 1 << 40, sent_ns: u64::MAX };
        let mut datagram = [0; 60];
        fill(&mut datagram);
        emit(header, &mut datagram);
        assert_eq!(parse(&datagram), Some(header));
        assert!(datagram[HEADER_BYTES..].starts_with(FILLER));
    }

    #[test]
    fn short_and_foreign_datagrams_are_not_ours() {
        let mut datagram = [0; HEADER_BYTES];
        assert_eq!(parse(&datagram), None);
        emit(Header { stream: 0, sequence: 0, sent_ns: 0 }, &mut datagram);
        assert_eq!(parse(&datagram[..HEADER_BYTES - 1]), None);
    }
}
