//! Link secrets: both sides of an exchange get one, and the keys of a hybrid session cannot be made without it.

use proptest::prelude::*;
use treecast_core::handshake::{Handshake, SessionKeys};
use treecast_core::kem::{encapsulate, KeyPair, LinkSecret, MalformedExchange, CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use treecast_core::network::Network;
use treecast_core::noise::Failure;
use zeroize::Zeroizing;

/// The keys of both sides of one handshake, always with the same ephemeral keys, each with its secret.
fn keys(initiator: Option<&LinkSecret>, responder: Option<&LinkSecret>) -> (SessionKeys, SessionKeys) {
    let network = Network::new([9; 16], Zeroizing::new([7; 32]));
    let mut one = Handshake::initiate(&[1; 32], &network, 11, [3; 32]).unwrap();
    let mut two = Handshake::respond(&[2; 32], &network, 22, one.init_datagram().unwrap(), [4; 32]).unwrap();
    let response = two.write_response(b"").unwrap();
    one.read_response(&response).unwrap();
    let last = one.write_final(b"", [5; 8]).unwrap();
    two.read_final(&last).unwrap();
    for (side, secret) in [(&mut one, initiator), (&mut two, responder)] {
        if let Some(secret) = secret {
            side.mix(secret).unwrap();
        }
    }
    let taken = (one.take_keys().unwrap(), two.take_keys().unwrap());
    if let Some(secret) = initiator {
        assert_eq!(one.mix(secret), Err(Failure::OutOfOrder));
    }
    taken
}

fn exchange() -> (LinkSecret, LinkSecret) {
    let pair = KeyPair::generate().unwrap();
    let (ciphertext, theirs) = encapsulate(pair.encapsulation_key()).unwrap();
    assert_eq!((pair.encapsulation_key().len(), ciphertext.len()), (ENCAPSULATION_KEY_LEN, CIPHERTEXT_LEN));
    (pair.decapsulate(&ciphertext).unwrap(), theirs)
}

#[test]
fn both_sides_of_an_exchange_have_one_secret_and_another_exchange_has_another() {
    let ((mine, theirs), (other, _)) = (exchange(), exchange());
    assert_eq!(mine.id(), theirs.id());
    assert_ne!(mine.id(), other.id());
    let (one, two) = keys(Some(&mine), Some(&theirs));
    assert_eq!((*one.seal, *one.open), (*two.open, *two.seal));
    assert_ne!(one.seal, one.open);
}

#[test]
fn who_knows_the_handshake_but_not_the_secret_has_neither_key() {
    let ((secret, _), (other, _)) = (exchange(), exchange());
    let (hybrid, _) = keys(Some(&secret), None);
    // All that X25519 and the network key give, and another exchange's secret besides.
    for (without, _) in [keys(None, None), keys(Some(&other), None)] {
        for known in [&without.seal, &without.open] {
            assert_ne!(&hybrid.seal, known);
            assert_ne!(&hybrid.open, known);
        }
    }
}

#[test]
fn a_ciphertext_that_was_altered_or_made_for_another_key_gives_another_secret() {
    let (pair, another) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (mut ciphertext, secret) = encapsulate(pair.encapsulation_key()).unwrap();
    assert_ne!(another.decapsulate(&ciphertext).unwrap().id(), secret.id());
    ciphertext[500] ^= 1;
    assert_ne!(pair.decapsulate(&ciphertext).unwrap().id(), secret.id());
}

#[test]
fn a_key_with_a_coefficient_beyond_the_modulus_is_none() {
    let mut key = KeyPair::generate().unwrap().encapsulation_key().to_vec();
    key[..3].fill(0xFF); // 4095, not below 3329: FIPS 203 section 7.2
    assert_eq!(encapsulate(&key).err(), Some(MalformedExchange));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..1300)) {
        let pair = KeyPair::generate().unwrap();
        prop_assert_eq!(pair.decapsulate(&bytes).is_ok(), bytes.len() == CIPHERTEXT_LEN);
        if bytes.len() != ENCAPSULATION_KEY_LEN {
            prop_assert!(encapsulate(&bytes).is_err());
        }
    }

    #[test]
    fn any_key_of_the_right_length_is_taken_or_malformed(seed in any::<[u8; 32]>()) {
        let key: Vec<u8> = seed.iter().cycle().take(ENCAPSULATION_KEY_LEN).copied().collect();
        let _ = encapsulate(&key);
        prop_assert!(KeyPair::generate().unwrap().decapsulate(&key[..CIPHERTEXT_LEN]).is_ok());
    }
}
