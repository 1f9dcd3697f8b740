//! The Noise handshake: both sides get the same keys, and bad datagrams leave it as it was.

use proptest::prelude::*;
use treecast_core::handshake::{Handshake, MAX_FINAL_PAYLOAD_LEN, MAX_RESPONSE_PAYLOAD_LEN};
use treecast_core::network::Network;
use treecast_core::noise::{public_key, Failure};
use treecast_core::reason::Reason;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];

fn network_with(key: [u8; 32]) -> Network {
    Network::new([9; 16], Zeroizing::new(key))
}

fn network() -> Network {
    network_with(KEY)
}

fn pair() -> (Handshake, Handshake) {
    let one = Handshake::initiate(&ONE, &network(), 11, [3; 32]).unwrap();
    let two = Handshake::respond(&TWO, &network(), 22, one.init_datagram().unwrap(), [4; 32]).unwrap();
    (one, two)
}

fn finish(one: &mut Handshake, two: &mut Handshake) {
    let response = two.write_response(b"response").unwrap();
    assert_eq!(one.read_response(&response).unwrap(), b"response");
    let last = one.write_final(b"final", [5; 8]).unwrap();
    assert_eq!(two.read_final(&last).unwrap(), b"final");
}

fn assert_joined(one: &mut Handshake, two: &mut Handshake) {
    let (here, there) = (one.take_keys().unwrap(), two.take_keys().unwrap());
    assert_eq!(here.seal, there.open);
    assert_eq!(here.open, there.seal);
    assert_ne!(here.seal, here.open);
}

#[test]
fn both_sides_prove_themselves_and_get_the_same_keys() {
    let (mut one, mut two) = pair();
    assert_eq!((one.remote_static(), two.remote_static()), (None, None));
    finish(&mut one, &mut two);
    assert_eq!(one.remote_static(), Some(public_key(&TWO).unwrap()));
    assert_eq!(two.remote_static(), Some(public_key(&ONE).unwrap()));
    assert_eq!((one.remote_index(), two.remote_index()), (22, 11));
    assert_joined(&mut one, &mut two);
    assert_eq!(one.take_keys().err(), Some(Failure::OutOfOrder));
}

#[test]
fn who_has_not_read_final_has_not_the_session_s_keys() {
    let keys = |nonce| {
        let (mut one, mut two) = pair();
        one.read_response(&two.write_response(b"response").unwrap()).unwrap();
        one.write_final(b"final", nonce).unwrap();
        one.take_keys().unwrap().open
    };
    assert_eq!(keys([5; 8]), keys([5; 8]));
    assert_ne!(keys([5; 8]), keys([6; 8]), "all else is the same, and known to the responder before");
}

#[test]
fn all_three_have_1136_bytes_whatever_their_payloads_are() {
    for payload in [0, 1, 300, MAX_RESPONSE_PAYLOAD_LEN].map(|length| vec![7; length]) {
        let (mut one, mut two) = pair();
        assert_eq!(one.init_datagram().unwrap().len(), 1136);
        assert_eq!(two.write_response(&[0; MAX_RESPONSE_PAYLOAD_LEN + 1]), Err(Failure::PayloadTooLong));
        let response = two.write_response(&payload).unwrap();
        assert_eq!(response.len(), 1136);
        assert_eq!(one.read_response(&response).unwrap(), payload);
        assert_eq!(one.write_final(&[0; MAX_FINAL_PAYLOAD_LEN + 1], [5; 8]), Err(Failure::PayloadTooLong));
        let last = one.write_final(&payload, [5; 8]).unwrap();
        assert_eq!(last.len(), 1136);
        assert_eq!(two.read_final(&last).unwrap(), payload);
        assert_joined(&mut one, &mut two);
    }
}

#[test]
fn another_network_key_is_refused_by_the_mac_though_the_id_is_the_same() {
    let (one, _) = pair();
    let refused = Handshake::respond(&TWO, &network_with([8; 32]), 22, one.init_datagram().unwrap(), [4; 32]);
    assert_eq!(refused.err(), Some(Failure::Datagram(Reason::HandshakeMac)));
}

#[test]
fn an_init_sealed_without_the_network_key_is_refused_even_where_its_mac_is_right() {
    let stranger = Handshake::initiate(&ONE, &network_with([8; 32]), 11, [3; 32]).unwrap();
    let mut init = stranger.init_datagram().unwrap().to_vec();
    let end = init.len() - 32;
    let mac = treecast_core::mac::MacKey::new(&KEY).mac(&init[..end]);
    init[end..end + 16].copy_from_slice(&mac);
    let refused = Handshake::respond(&TWO, &network(), 22, &init, [4; 32]);
    assert_eq!(refused.err(), Some(Failure::Datagram(Reason::HandshakeCrypto)));
}

/// A responder that is a member, and puts anything into Noise's payload.
fn response_with(init: &[u8], payload: &[u8]) -> Vec<u8> {
    let prologue = [&b"treecast 2"[..], &[9; 16]].concat();
    let builder = snow::Builder::new("Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s".parse().unwrap());
    let builder = builder.local_private_key(&TWO).unwrap().prologue(&prologue).unwrap().psk(0, &KEY).unwrap();
    let mut noise = builder.build_responder().unwrap();
    noise.read_message(&init[8..1104], &mut [0; 1136]).unwrap();
    let mut message = [0; 1200];
    let length = noise.write_message(payload, &mut message).unwrap();
    let unsigned = [&[0xC1, 2, 0, 0, 0, 0, 0, 22, 0, 0, 0, 11], &message[..length]].concat();
    let mac = treecast_core::mac::MacKey::new(&KEY).mac(&unsigned);
    [&unsigned[..], &mac].concat()
}

#[test]
fn a_payload_that_says_to_be_longer_than_it_is_is_malformed() {
    for (length, verdict) in [(1010u16, Ok(1010)), (1011, Err(Failure::Datagram(Reason::HandshakeMalformed)))] {
        let (mut one, _) = pair();
        let mut payload = vec![0; 1012];
        payload[..2].copy_from_slice(&length.to_be_bytes());
        let response = response_with(one.init_datagram().unwrap(), &payload);
        assert_eq!(one.read_response(&response).map(|payload| payload.len()), verdict);
    }
}

#[test]
fn steps_out_of_order_are_refused() {
    let (mut one, mut two) = pair();
    assert_eq!(one.write_final(b"", [5; 8]), Err(Failure::OutOfOrder));
    assert_eq!(two.read_final(b""), Err(Failure::OutOfOrder));
    assert_eq!(one.write_response(b""), Err(Failure::OutOfOrder));
    assert_eq!(two.init_datagram().err(), Some(Failure::OutOfOrder));
    assert_eq!(one.take_keys().err(), Some(Failure::OutOfOrder));
}

#[test]
fn altered_indices_give_keys_that_do_not_fit() {
    let (mut one, mut two) = pair();
    let mut response = two.write_response(b"").unwrap();
    response[4] ^= 1; // the responder's index; who knows the network key can make the MAC
    let mac = treecast_core::mac::MacKey::new(&KEY);
    let end = response.len() - 16;
    let value = mac.mac(&response[..end]);
    response[end..].copy_from_slice(&value);
    one.read_response(&response).unwrap();
    let last = one.write_final(b"", [5; 8]).unwrap();
    assert_eq!(two.read_final(&last), Err(Failure::Datagram(Reason::HandshakeIndex)));
    assert_ne!(one.remote_index(), two.index());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bad_datagrams_do_not_spoil_a_handshake(at in 0usize..1136, flip in 1u8..=255, remac: bool, garbage in
        prop::collection::vec(any::<u8>(), 0..1300))
    {
        let (mut one, mut two) = pair();
        let spoil = |datagram: &[u8]| {
            let mut bad = datagram.to_vec();
            let at = at % bad.len();
            bad[at] ^= flip;
            if remac {
                let end = bad.len() - 16;
                let value = treecast_core::mac::MacKey::new(&KEY).mac(&bad[..end]);
                bad[end..].copy_from_slice(&value);
            }
            bad
        };
        let response = two.write_response(b"response").unwrap();
        let bad = spoil(&response);
        // The responder's index is not covered by Noise: it only decides the session's keys. Likewise an intact MAC.
        if bad != response && !(4..8).contains(&(at % response.len())) {
            prop_assert!(one.read_response(&bad).is_err());
        }
        prop_assert!(one.read_response(&garbage).is_err());
        prop_assert_eq!(one.read_response(&response).unwrap(), b"response");
        let last = one.write_final(b"final", [5; 8]).unwrap();
        let bad = spoil(&last);
        if bad != last {
            prop_assert!(two.read_final(&bad).is_err());
        }
        prop_assert!(two.read_final(&garbage).is_err());
        prop_assert_eq!(two.read_final(&last).unwrap(), b"final");
        assert_joined(&mut one, &mut two);
    }
}
