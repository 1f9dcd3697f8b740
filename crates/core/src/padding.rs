//! Padding of handshake payloads (`docs/protocol.md` section 3): all datagrams of a kind are equally long.

use crate::datagram::u16_at;
use crate::noise::Failure;
use crate::reason::Reason;

/// Length of a payload, before it.
pub(crate) const PREFIX_LEN: usize = 2;
/// Random bytes behind the payload of a FINAL: who has not read it where it was sent has not the session's keys.
pub const FINAL_NONCE_LEN: usize = 8;

/// A payload behind its length, and before what follows it and zeros, so that all datagrams of a kind are equally long.
pub(crate) fn padded(payload: &[u8], behind: &[u8], length: usize) -> Result<Vec<u8>, Failure> {
    if payload.len() > length.saturating_sub(PREFIX_LEN + behind.len()) {
        return Err(Failure::PayloadTooLong);
    }
    let payload_length = u16::try_from(payload.len()).map_err(|_| Failure::PayloadTooLong)?;
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(&payload_length.to_be_bytes());
    padded.extend_from_slice(payload);
    padded.extend_from_slice(behind);
    padded.resize(length, 0);
    Ok(padded)
}

/// The payload without its length and what follows it.
pub(crate) fn unpadded(payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let length = u16_at(payload, 0).map(usize::from);
    let payload = length.and_then(|length| payload.get(PREFIX_LEN..PREFIX_LEN + length));
    payload.map(<[u8]>::to_vec).ok_or(Failure::Datagram(Reason::HandshakeMalformed))
}
