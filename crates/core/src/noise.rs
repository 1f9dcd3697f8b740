//! The Noise protocol as the handshake uses it (`docs/protocol.md` section 3): state, messages, keys.

use aws_lc_rs::hkdf;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use crate::datagram::AEAD_TAG_LEN;
use crate::kem::LINK_SECRET_LEN;
use crate::mac::{COOKIE_MAC_LEN, HANDSHAKE_LEN, MAC_LEN};
use crate::network::Network;
use crate::reason::Reason;

const NOISE: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";
/// Where the Noise message of an INIT starts.
pub(crate) const INIT_HEADER_LEN: usize = 8;

/// Why a call on a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The datagram is bad; the reason names it.
    Datagram(Reason),
    /// The payload does not fit the datagram.
    PayloadTooLong,
    /// The call does not belong to this side, or comes too early or too late.
    OutOfOrder,
    /// The key is not 32 bytes that Noise takes, or no randomness was to be had.
    Key,
}

/// The public key of an X25519 private key.
pub fn public_key(private: &[u8; 32]) -> Result<[u8; 32], Failure> {
    use aws_lc_rs::agreement::{PrivateKey, X25519};
    let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| Failure::Key)?;
    let public = key.compute_public_key().map_err(|_| Failure::Key)?;
    public.as_ref().try_into().map_err(|_| Failure::Key)
}

/// `HKDF-SHA-256(salt = h, ikm = k, info = "treecast session 1" || initiator || responder || direction)`.
pub fn session_key(
    hash: &[u8],
    key: &[u8; 32],
    initiator: u32,
    responder: u32,
    direction: u8,
) -> Result<Zeroizing<[u8; 32]>, Failure> {
    derive(b"treecast session 1", hash, key, (initiator, responder), direction)
}

/// `HKDF-SHA-256(salt = h, ikm = k || link secret, info = "treecast hybrid session 1" || initiator || ...)`.
pub(crate) fn hybrid_session_key(
    hash: &[u8],
    key: &[u8; 32],
    link_secret: &[u8; LINK_SECRET_LEN],
    indices: (u32, u32),
    direction: u8,
) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut both = Zeroizing::new([0; 32 + LINK_SECRET_LEN]);
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(key);
    second.copy_from_slice(link_secret);
    derive(b"treecast hybrid session 1", hash, both.as_slice(), indices, direction)
}

fn derive(
    label: &[u8],
    hash: &[u8],
    input: &[u8],
    (initiator, responder): (u32, u32),
    direction: u8,
) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let (initiator, responder, direction) = (initiator.to_be_bytes(), responder.to_be_bytes(), [direction]);
    let info: [&[u8]; 4] = [label, &initiator, &responder, &direction];
    let mut out = Zeroizing::new([0; 32]);
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, hash).extract(input);
    let okm = secret.expand(&info, hkdf::HKDF_SHA256).map_err(|_| Failure::Key)?;
    okm.fill(out.as_mut_slice()).map_err(|_| Failure::Key)?;
    Ok(out)
}

/// Noise's state before the first message of either side.
pub(crate) fn build(
    initiator: bool,
    private: &[u8; 32],
    ephemeral: &[u8; 32],
    network: &Network,
) -> Result<HandshakeState, Failure> {
    let mut prologue = b"treecast 2".to_vec();
    prologue.extend_from_slice(&network.id);
    let params = NOISE.parse().map_err(|_| Failure::Key)?;
    // The ephemeral key comes from the caller, fresh for each handshake, so that a failed read can be undone.
    let builder = Builder::new(params)
        .local_private_key(private)
        .and_then(|builder| builder.prologue(&prologue))
        .and_then(|builder| builder.psk(0, &network.key))
        .map_err(|_| Failure::Key)?
        .fixed_ephemeral_key_for_testing_only(ephemeral);
    if initiator { builder.build_initiator() } else { builder.build_responder() }.map_err(|_| Failure::Key)
}

/// Reads the Noise message of an INIT datagram.
pub(crate) fn read_init(noise: &mut HandshakeState, init: &[u8]) -> Result<(), Failure> {
    let end = init.len().saturating_sub(MAC_LEN + COOKIE_MAC_LEN);
    let message = init.get(INIT_HEADER_LEN..end).ok_or(Failure::Datagram(Reason::DatagramShort))?;
    let mut payload = [0; HANDSHAKE_LEN];
    noise.read_message(message, &mut payload).map_err(|_| Failure::Datagram(Reason::HandshakeCrypto))?;
    Ok(())
}

/// Appends Noise's next message to `out`.
pub(crate) fn append_message(noise: &mut HandshakeState, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut message = [0; HANDSHAKE_LEN + AEAD_TAG_LEN]; // snow wants room for a tag even where it writes none
    let length = noise.write_message(payload, &mut message).map_err(|_| Failure::Key)?;
    out.extend_from_slice(message.get(..length).ok_or(Failure::Key)?);
    Ok(())
}
