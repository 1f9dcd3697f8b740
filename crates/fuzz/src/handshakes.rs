//! Handshakes with somebody who knows the network's key: the MAC is right, whatever the rest is.

use std::sync::LazyLock;

use treecast_core::broadcast_signature::SigningKey;
use treecast_core::datagram::INIT;
use treecast_core::handshake::{Handshake, FINAL_NONCE_LEN, MAX_REFUSAL_PAYLOAD_LEN};
use treecast_core::kem::{encapsulate, KeyPair, CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use treecast_core::mac::{MacKey, COOKIE_MAC_LEN, MAC_LEN};
use treecast_core::network::Network;
use treecast_core::noise::Failure;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];

/// The MAC of their handshakes.
pub static MAC: LazyLock<MacKey> = LazyLock::new(|| MacKey::new(&KEY));
/// The network of them.
pub static NETWORK: LazyLock<Network> = LazyLock::new(|| Network::new([9; 16], Zeroizing::new(KEY)));

/// Payloads of RESPONSE and FINAL, and the random bytes of FINAL.
const PAYLOAD: &[u8] = b"payload";
const NONCE: [u8; FINAL_NONCE_LEN] = [5; FINAL_NONCE_LEN];
/// The one FINAL that ends it.
static FINAL: LazyLock<Vec<u8>> = LazyLock::new(|| after_final().expect("keys of any bytes").last);

/// A node's signing key.
pub fn signing_key() -> SigningKey {
    SigningKey::new(&[5; 32]).expect("any seed is one")
}

/// A datagram at each step of both sides: nothing is believed but what the other side has written.
pub fn handshake(bytes: &[u8]) {
    let mut datagram = bytes.to_vec();
    let behind = if datagram.first() == Some(&INIT) { MAC_LEN + COOKIE_MAC_LEN } else { MAC_LEN };
    if let Some(end) = datagram.len().checked_sub(behind) {
        let value = MAC.mac(&datagram[..end]);
        datagram[end..end + MAC_LEN].copy_from_slice(&value);
    }
    if let Ok(mut two) = Handshake::respond(&[3; 32], &NETWORK, 2, &datagram, [4; 32]) {
        assert!(two.write_response(PAYLOAD).is_ok(), "an INIT that was read is answered");
    }
    if let Ok(payload) = refusal(&datagram) {
        assert!(payload.len() <= MAX_REFUSAL_PAYLOAD_LEN);
    }
    if let Ok(payload) = finish(&datagram) {
        assert_eq!((payload.as_slice(), &datagram), (PAYLOAD, &*FINAL));
    }
    let Ok(mut one) = initiator() else { return };
    let _ = one.with_cookie(&datagram);
    if let Ok(payload) = one.read_response(&datagram) {
        assert_eq!(payload, PAYLOAD);
        assert!(one.write_final(PAYLOAD, NONCE).is_ok() && one.take_keys().is_ok());
    }
}

/// The initiator of the handshake, always with the same keys.
pub fn initiator() -> Result<Handshake, Failure> {
    Handshake::initiate(&[1; 32], &NETWORK, 1, [2; 32])
}

/// Its responder, which has answered the INIT; and its RESPONSE.
fn responder(init: &[u8]) -> Result<(Handshake, Vec<u8>), Failure> {
    let mut two = Handshake::respond(&[3; 32], &NETWORK, 2, init, [6; 32])?;
    let response = two.write_response(PAYLOAD)?;
    Ok((two, response))
}

/// The initiator and the responder of the handshake after FINAL, and what they have sent.
#[allow(missing_docs)]
pub struct BothSides {
    pub one: Handshake,
    pub two: Handshake,
    pub init: Vec<u8>,
    pub response: Vec<u8>,
    pub last: Vec<u8>,
}

/// The whole handshake.
pub fn after_final() -> Result<BothSides, Failure> {
    let mut one = initiator()?;
    let init = one.init_datagram()?.to_vec();
    let (mut two, response) = responder(&init)?;
    one.read_response(&response)?;
    let last = one.write_final(PAYLOAD, NONCE)?;
    two.read_final(&last)?;
    Ok(BothSides { one, two, init, response, last })
}

/// The payload of a RESPONSE, as the initiator reads it.
pub fn answer(datagram: &[u8]) -> Result<Vec<u8>, Failure> {
    initiator()?.read_response(datagram)
}

/// The payload of a FINAL, as the responder reads it.
pub fn finish(datagram: &[u8]) -> Result<Vec<u8>, Failure> {
    responder(initiator()?.init_datagram()?)?.0.read_final(datagram)
}

/// The payload of a refusal, as the initiator reads it.
pub fn refusal(datagram: &[u8]) -> Result<Vec<u8>, Failure> {
    after_final()?.one.read_refusal(datagram)
}

/// An encapsulation key, or a ciphertext, of the other side of an exchange.
pub fn link_secret(bytes: &[u8]) {
    static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("randomness"));
    if let Ok((ciphertext, _)) = encapsulate(bytes) {
        assert_eq!((bytes.len(), ciphertext.len()), (ENCAPSULATION_KEY_LEN, CIPHERTEXT_LEN));
    }
    assert_eq!(PAIR.decapsulate(bytes).is_ok(), bytes.len() == CIPHERTEXT_LEN);
}
