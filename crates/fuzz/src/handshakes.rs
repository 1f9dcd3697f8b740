//! Handshakes of somebody who knows the network's key: the MAC is right, whatever the rest is.

use std::sync::LazyLock;

use treecast_core::broadcast_signature::SigningKey;
use treecast_core::datagram::INIT;
use treecast_core::handshake::{Handshake, MAX_REFUSAL_PAYLOAD_LEN};
use treecast_core::kem::{encapsulate, KeyPair, CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use treecast_core::mac::{MacKey, COOKIE_MAC_LEN, MAC_LEN};
use treecast_core::network::Network;
use treecast_core::noise::Failure;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];

static MAC: LazyLock<MacKey> = LazyLock::new(|| MacKey::new(&KEY));
/// The network of them.
pub static NETWORK: LazyLock<Network> = LazyLock::new(|| Network::new([9; 16], Zeroizing::new(KEY)));

/// A node's signing key.
pub fn signing_key() -> SigningKey {
    SigningKey::new(&[5; 32]).expect("any seed is one")
}

/// A datagram at each step of both sides: of what is no answer, nothing is believed.
pub fn handshake(bytes: &[u8]) {
    let mut datagram = bytes.to_vec();
    let behind = if datagram.first() == Some(&INIT) { MAC_LEN + COOKIE_MAC_LEN } else { MAC_LEN };
    if let Some(end) = datagram.len().checked_sub(behind) {
        let value = MAC.mac(&datagram[..end]);
        datagram[end..end + MAC_LEN].copy_from_slice(&value);
    }
    let _ = Handshake::respond(&[3; 32], &NETWORK, 2, &datagram, [4; 32]);
    if let Ok(payload) = refusal(&datagram) {
        assert!(payload.len() <= MAX_REFUSAL_PAYLOAD_LEN);
    }
    let Ok(mut one) = Handshake::initiate(&[1; 32], &NETWORK, 1, [2; 32]) else { return };
    if let Ok(init) = one.init_datagram().map(<[u8]>::to_vec) {
        // Nobody has seen what this one answers.
        if let Ok(mut two) = Handshake::respond(&[3; 32], &NETWORK, 2, &init, [6; 32]) {
            if two.write_response(b"payload").is_ok() {
                assert!(two.read_final(&datagram).is_err());
            }
        }
    }
    let _ = one.with_cookie(&datagram);
    let _ = one.read_response(&datagram);
}

/// The initiator and the responder of one handshake, always with the same keys, after FINAL.
pub fn after_final() -> Result<(Handshake, Handshake), Failure> {
    let mut one = Handshake::initiate(&[1; 32], &NETWORK, 1, [2; 32])?;
    let mut two = Handshake::respond(&[3; 32], &NETWORK, 2, one.init_datagram()?, [6; 32])?;
    one.read_response(&two.write_response(b"payload")?)?;
    two.read_final(&one.write_final(b"payload", [5; 8])?)?;
    Ok((one, two))
}

/// The payload of a refusal, as the initiator reads it.
pub fn refusal(datagram: &[u8]) -> Result<Vec<u8>, Failure> {
    after_final()?.0.read_refusal(datagram)
}

/// An encapsulation key, or a ciphertext, of the other side of an exchange.
pub fn link_secret(bytes: &[u8]) {
    static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("randomness"));
    if let Ok((ciphertext, _)) = encapsulate(bytes) {
        assert_eq!((bytes.len(), ciphertext.len()), (ENCAPSULATION_KEY_LEN, CIPHERTEXT_LEN));
    }
    assert_eq!(PAIR.decapsulate(bytes).is_ok(), bytes.len() == CIPHERTEXT_LEN);
}
