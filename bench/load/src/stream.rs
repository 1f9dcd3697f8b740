//! Statistics of one received stream: which sequence numbers, how late, with which pauses.

use std::net::SocketAddr;

use crate::datagram::Header;
use crate::histogram::Histogram;

/// Sequence numbers above are not counted: the bitmap of those seen would not be bounded (128 MiB).
const LARGEST_SEQUENCE: u64 = 1 << 30;

pub struct Stream {
    pub source: SocketAddr,
    pub id: u32,
    seen: Vec<u64>,
    pub received: u64,
    duplicated: u64,
    reordered: u64,
    lowest: u64,
    highest: u64,
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
    longest_gap_ns: u64,
    latency: Histogram,
}

impl Stream {
    pub fn new(source: SocketAddr, id: u32) -> Self {
        Self {
            source,
            id,
            seen: Vec::new(),
            received: 0,
            duplicated: 0,
            reordered: 0,
            lowest: u64::MAX,
            highest: 0,
            bytes: 0,
            first_ns: 0,
            last_ns: 0,
            longest_gap_ns: 0,
            latency: Histogram::default(),
        }
    }

    /// Counts one datagram; false when its sequence number is out of bounds.
    pub fn add(&mut self, header: Header, size_bytes: usize, now_ns: u64) -> bool {
        if header.sequence > LARGEST_SEQUENCE {
            return false;
        }
        if self.is_seen(header.sequence) {
            self.duplicated += 1;
            return true;
        }
        if self.received == 0 {
            self.first_ns = now_ns;
        } else {
            self.longest_gap_ns = self.longest_gap_ns.max(now_ns - self.last_ns);
            self.reordered += u64::from(header.sequence < self.highest);
        }
        self.last_ns = now_ns;
        self.received += 1;
        self.bytes += size_bytes as u64;
        self.lowest = self.lowest.min(header.sequence);
        self.highest = self.highest.max(header.sequence);
        self.latency.add(now_ns.saturating_sub(header.sent_ns));
        true
    }

    /// Numbers missing between the lowest and the highest received.
    fn lost(&self) -> u64 {
        if self.received == 0 {
            return 0;
        }
        self.highest - self.lowest + 1 - self.received
    }

    /// Whether it was seen before; marks it.
    fn is_seen(&mut self, sequence: u64) -> bool {
        let (word, bit) = ((sequence / 64) as usize, 1 << (sequence % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let before = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        before
    }

    pub fn to_json(&self) -> String {
        format!(
            concat!(
                r#"{{"source":"{}","port":{},"stream":{},"received":{},"lost":{},"duplicated":{},"reordered":{},"#,
                r#""lowest":{},"highest":{},"bytes":{},"first_ns":{},"last_ns":{},"longest_gap_ns":{},"latency":{}}}"#
            ),
            self.source.ip(),
            self.source.port(),
            self.id,
            self.received,
            self.lost(),
            self.duplicated,
            self.reordered,
            if self.received == 0 { 0 } else { self.lowest },
            self.highest,
            self.bytes,
            self.first_ns,
            self.last_ns,
            self.longest_gap_ns,
            self.latency.to_json()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequences: &[u64]) -> Stream {
        let mut stream = Stream::new("10.0.0.1:5000".parse().unwrap(), 1);
        for (tick, sequence) in sequences.iter().enumerate() {
            let header = Header { stream: 1, sequence: *sequence, sent_ns: 100 * tick as u64 };
            assert!(stream.add(header, 1200, 100 * tick as u64 + 30));
        }
        stream
    }

    #[test]
    fn an_unbroken_stream_that_was_joined_late_has_lost_nothing() {
        let stream = after(&[500, 501, 502]);
        assert_eq!((stream.received, stream.lost(), stream.duplicated, stream.reordered), (3, 0, 0, 0));
        assert_eq!((stream.bytes, stream.longest_gap_ns, stream.latency.quantile(0.5)), (3600, 100, 30));
    }

    #[test]
    fn loss_duplicates_and_disorder_are_told_apart() {
        let stream = after(&[10, 13, 12, 12, 15]);
        assert_eq!((stream.received, stream.lost(), stream.duplicated, stream.reordered), (4, 2, 1, 1));
    }

    #[test]
    fn a_late_datagram_from_before_the_first_widens_the_range() {
        let stream = after(&[5, 2]);
        assert_eq!((stream.received, stream.lost(), stream.reordered), (2, 2, 1));
    }

    #[test]
    fn a_sequence_number_out_of_bounds_is_refused() {
        let mut stream = after(&[1]);
        assert!(!stream.add(Header { stream: 1, sequence: LARGEST_SEQUENCE + 1, sent_ns: 0 }, 24, 0));
        assert_eq!(stream.received, 1);
    }
}
