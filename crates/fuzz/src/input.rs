//! The form of an input of the corpus, and the frame that many of them hold.

/// A name, and the bytes.
pub type Input = (String, Vec<u8>);

/// An Ethernet frame with an IPv4 packet to a group.
pub(crate) fn frame() -> Vec<u8> {
    let mut frame = vec![1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 36, 0, 0, 0x40, 0, 4, 17, 0, 0, 10, 77, 0, 1, 239, 1, 1, 1]);
    frame.extend([0x13, 0x8c, 0x13, 0x8c, 0, 16, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    frame
}
