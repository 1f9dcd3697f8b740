//! The Noise handshake (`docs/protocol.md` section 3): datagrams in, datagrams out, session keys at the end.
//!
//! Holds no timers and knows no peers: certificates in the payloads are Python's to judge. A datagram that does not
//! fit leaves the handshake as it was, for Noise's state is built again from what is kept here.

use snow::HandshakeState;
use zeroize::Zeroizing;

use crate::aead::{Aead, AeadKey};
use crate::cookie;
use crate::datagram::{u32_at, AEAD_TAG_LEN, COOKIE, FINAL, INIT, REFUSAL, RESPONSE};
use crate::kem::{LinkSecret, LINK_SECRET_LEN};
use crate::mac::{prefix, MacKey, COOKIE_MAC_LEN, HANDSHAKE_LEN, MAC_LEN};
use crate::network::Network;
use crate::noise::{append_message, build, hybrid_session_key, read_init, session_key, Failure, INIT_HEADER_LEN};
pub use crate::padding::FINAL_NONCE_LEN;
use crate::padding::{padded, unpadded, PREFIX_LEN};
use crate::reason::Reason;

const RESPONSE_HEADER_LEN: usize = 12;
const FINAL_HEADER_LEN: usize = 8;
const REFUSAL_HEADER_LEN: usize = 8;
/// Padding of an INIT to its length, besides its header, the ephemeral key, the payload's tag and the MACs.
const INIT_PAYLOAD_LEN: usize = HANDSHAKE_LEN - INIT_HEADER_LEN - 32 - AEAD_TAG_LEN - MAC_LEN - COOKIE_MAC_LEN;

/// Noise's payload in a RESPONSE: ephemeral key, sealed static key, the payload's tag and the MAC taken off.
const RESPONSE_PAYLOAD_LEN: usize = HANDSHAKE_LEN - RESPONSE_HEADER_LEN - 32 - 48 - AEAD_TAG_LEN - MAC_LEN;
/// Noise's payload in a FINAL.
const FINAL_PAYLOAD_LEN: usize = HANDSHAKE_LEN - FINAL_HEADER_LEN - 48 - AEAD_TAG_LEN - MAC_LEN;

/// The longest payload of a RESPONSE.
pub const MAX_RESPONSE_PAYLOAD_LEN: usize = RESPONSE_PAYLOAD_LEN - PREFIX_LEN;
/// The longest payload of a REFUSAL: with it, no REFUSAL is longer than the shortest FINAL.
pub const MAX_REFUSAL_PAYLOAD_LEN: usize = 48;
/// The longest payload of a FINAL.
pub const MAX_FINAL_PAYLOAD_LEN: usize = FINAL_PAYLOAD_LEN - PREFIX_LEN - FINAL_NONCE_LEN;

/// The two keys of a session as one side sees them.
pub struct SessionKeys {
    /// The key that this side seals with.
    pub seal: Zeroizing<[u8; 32]>,
    /// The key that it opens with.
    pub open: Zeroizing<[u8; 32]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Initiator: INIT made. Responder: INIT read.
    Init,
    /// RESPONSE written or read.
    Response,
    /// FINAL written or read: keys can be taken.
    Final,
    Spent,
}

/// One handshake of either side.
pub struct Handshake {
    initiator: bool,
    private: Zeroizing<[u8; 32]>,
    ephemeral: Zeroizing<[u8; 32]>,
    network: Network,
    index: u32,
    remote_index: u32,
    noise: HandshakeState,
    step: Stage,
    init: Vec<u8>,
    response_payload: Vec<u8>,
    link_secret: Option<Zeroizing<[u8; LINK_SECRET_LEN]>>,
}

impl Handshake {
    /// The initiator's side. `ephemeral` is 32 fresh random bytes.
    pub fn initiate(private: &[u8; 32], network: &Network, index: u32, ephemeral: [u8; 32]) -> Result<Self, Failure> {
        let ephemeral = Zeroizing::new(ephemeral);
        let mut noise = build(true, private, &ephemeral, network)?;
        let mut init = Vec::with_capacity(HANDSHAKE_LEN);
        init.extend_from_slice(&prefix(INIT));
        init.extend_from_slice(&index.to_be_bytes());
        append_message(&mut noise, &[0; INIT_PAYLOAD_LEN], &mut init)?;
        append_mac(&network.mac, &mut init);
        init.extend_from_slice(&[0; COOKIE_MAC_LEN]);
        let private = Zeroizing::new(*private);
        let (network, response_payload) = (network.clone(), Vec::new());
        let (initiator, remote_index, step, link_secret) = (true, 0, Stage::Init, None);
        Ok(Self {
            initiator,
            private,
            ephemeral,
            network,
            index,
            remote_index,
            noise,
            step,
            init,
            response_payload,
            link_secret,
        })
    }

    /// The responder's side, from an INIT datagram. `ephemeral` is 32 fresh random bytes.
    pub fn respond(
        private: &[u8; 32],
        network: &Network,
        index: u32,
        init: &[u8],
        ephemeral: [u8; 32],
    ) -> Result<Self, Failure> {
        let ephemeral = Zeroizing::new(ephemeral);
        expect(init, INIT)?;
        network.mac.check(init).map_err(Failure::Datagram)?;
        let remote_index = u32_at(init, 4).ok_or(Failure::Datagram(Reason::DatagramShort))?;
        let mut noise = build(false, private, &ephemeral, network)?;
        read_init(&mut noise, init)?;
        let private = Zeroizing::new(*private);
        let (network, response_payload, init) = (network.clone(), Vec::new(), init.to_vec());
        let (initiator, step, link_secret) = (false, Stage::Init, None);
        Ok(Self {
            initiator,
            private,
            ephemeral,
            network,
            index,
            remote_index,
            noise,
            step,
            init,
            response_payload,
            link_secret,
        })
    }

    /// This side's session index.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The other side's session index; 0 before it is known.
    pub fn remote_index(&self) -> u32 {
        self.remote_index
    }

    /// The other side's static public key, once a message proved it.
    pub fn remote_static(&self) -> Option<[u8; 32]> {
        let known =
            if self.initiator { self.step != Stage::Init } else { matches!(self.step, Stage::Final | Stage::Spent) };
        self.noise.get_remote_static().filter(|_| known).and_then(|key| key.try_into().ok())
    }

    /// Initiator: the INIT datagram.
    pub fn init_datagram(&self) -> Result<&[u8], Failure> {
        if self.initiator {
            Ok(&self.init)
        } else {
            Err(Failure::OutOfOrder)
        }
    }

    /// Initiator: the INIT datagram with the cookie of a COOKIE datagram that answers it.
    pub fn with_cookie(&self, datagram: &[u8]) -> Result<Vec<u8>, Failure> {
        self.require(true, Stage::Init)?;
        self.message(datagram, COOKIE, INIT_HEADER_LEN, 4)?;
        let mut init = self.init.clone();
        if !cookie::put_into(&mut init, datagram) {
            return Err(Failure::Datagram(Reason::HandshakeIndex));
        }
        Ok(init)
    }

    /// Responder: the RESPONSE datagram.
    pub fn write_response(&mut self, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        self.require(false, Stage::Init)?;
        let payload = padded(payload, &[], RESPONSE_PAYLOAD_LEN)?;
        let mut out = Vec::with_capacity(HANDSHAKE_LEN);
        out.extend_from_slice(&prefix(RESPONSE));
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.remote_index.to_be_bytes());
        append_message(&mut self.noise, &payload, &mut out)?;
        append_mac(&self.network.mac, &mut out);
        self.response_payload = payload;
        self.step = Stage::Response;
        Ok(out)
    }

    /// Initiator: the payload of a RESPONSE datagram.
    pub fn read_response(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Failure> {
        self.require(true, Stage::Init)?;
        let message = self.message(datagram, RESPONSE, RESPONSE_HEADER_LEN, 8)?;
        let remote_index = u32_at(datagram, 4).ok_or(Failure::Datagram(Reason::DatagramShort))?;
        let payload = self.read(message)?;
        self.remote_index = remote_index;
        self.step = Stage::Response;
        unpadded(&payload)
    }

    /// Initiator: the FINAL datagram. `nonce` is fresh random bytes.
    pub fn write_final(&mut self, payload: &[u8], nonce: [u8; FINAL_NONCE_LEN]) -> Result<Vec<u8>, Failure> {
        self.require(true, Stage::Response)?;
        let payload = padded(payload, &nonce, FINAL_PAYLOAD_LEN)?;
        let mut out = Vec::with_capacity(HANDSHAKE_LEN);
        out.extend_from_slice(&prefix(FINAL));
        out.extend_from_slice(&self.remote_index.to_be_bytes());
        append_message(&mut self.noise, &payload, &mut out)?;
        append_mac(&self.network.mac, &mut out);
        self.step = Stage::Final;
        Ok(out)
    }

    /// Responder: the payload of a FINAL datagram.
    pub fn read_final(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Failure> {
        self.require(false, Stage::Response)?;
        let message = self.message(datagram, FINAL, FINAL_HEADER_LEN, 4)?;
        let payload = self.read(message)?;
        self.step = Stage::Final;
        unpadded(&payload)
    }

    /// Both sides named this link secret: the session is hybrid, its keys are made of it, too.
    pub fn mix(&mut self, secret: &LinkSecret) -> Result<(), Failure> {
        if self.step == Stage::Spent {
            return Err(Failure::OutOfOrder);
        }
        self.link_secret = Some(secret.secret.clone());
        Ok(())
    }

    /// The session's keys; the handshake is spent.
    pub fn take_keys(&mut self) -> Result<SessionKeys, Failure> {
        if self.step != Stage::Final {
            return Err(Failure::OutOfOrder);
        }
        self.step = Stage::Spent;
        let (k1, k2) = self.noise.dangerously_get_raw_split();
        let (k1, k2) = (Zeroizing::new(k1), Zeroizing::new(k2));
        let link_secret = self.link_secret.take();
        let (hash, indices) = (self.noise.get_handshake_hash(), self.indices());
        let derive = |key: &[u8; 32], direction| match &link_secret {
            Some(secret) => hybrid_session_key(hash, key, secret, indices, direction),
            None => session_key(hash, key, indices.0, indices.1, direction),
        };
        let (forth, back) = (derive(&k1, 0)?, derive(&k2, 1)?);
        let (seal, open) = if self.initiator { (forth, back) } else { (back, forth) };
        Ok(SessionKeys { seal, open })
    }

    /// Responder: the REFUSAL datagram, instead of a session; the handshake is spent.
    pub fn write_refusal(&mut self, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        self.require(false, Stage::Final)?;
        if payload.len() > MAX_REFUSAL_PAYLOAD_LEN {
            return Err(Failure::PayloadTooLong);
        }
        let key = self.refusal_key()?;
        let mut out = Vec::with_capacity(HANDSHAKE_LEN);
        out.extend_from_slice(&prefix(REFUSAL));
        out.extend_from_slice(&self.remote_index.to_be_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0; AEAD_TAG_LEN]);
        key.seal(0, REFUSAL_HEADER_LEN, &mut out).map_err(|_| Failure::Key)?;
        append_mac(&self.network.mac, &mut out);
        self.step = Stage::Spent;
        Ok(out)
    }

    /// Initiator: the payload of a REFUSAL datagram. It may come again, and after the keys were taken.
    pub fn read_refusal(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Failure> {
        if !self.initiator || !matches!(self.step, Stage::Final | Stage::Spent) {
            return Err(Failure::OutOfOrder);
        }
        self.message(datagram, REFUSAL, REFUSAL_HEADER_LEN, 4)?;
        let end = datagram.len().saturating_sub(MAC_LEN);
        let mut sealed = datagram.get(..end).unwrap_or_default().to_vec();
        let payload = self.refusal_key()?.open(0, REFUSAL_HEADER_LEN, &mut sealed);
        payload.map(|payload| payload.to_vec()).map_err(|_| Failure::Datagram(Reason::HandshakeCrypto))
    }

    /// A key of its own, for one datagram.
    fn refusal_key(&mut self) -> Result<AeadKey, Failure> {
        let (_, k2) = self.noise.dangerously_get_raw_split();
        let k2 = Zeroizing::new(k2);
        let (initiator, responder) = self.indices();
        let key = session_key(self.noise.get_handshake_hash(), &k2, initiator, responder, 2)?;
        AeadKey::new(Aead::ChaCha20Poly1305, &key).map_err(|_| Failure::Key)
    }

    fn indices(&self) -> (u32, u32) {
        if self.initiator {
            (self.index, self.remote_index)
        } else {
            (self.remote_index, self.index)
        }
    }

    fn require(&self, initiator: bool, step: Stage) -> Result<(), Failure> {
        if self.initiator == initiator && self.step == step {
            Ok(())
        } else {
            Err(Failure::OutOfOrder)
        }
    }

    /// The Noise message of a datagram of the expected kind, addressed to this handshake.
    fn message<'a>(&self, datagram: &'a [u8], kind: u8, header: usize, receiver: usize) -> Result<&'a [u8], Failure> {
        expect(datagram, kind)?;
        let bytes = self.network.mac.check(datagram).map_err(Failure::Datagram)?;
        if u32_at(bytes, receiver) != Some(self.index) {
            return Err(Failure::Datagram(Reason::HandshakeIndex));
        }
        bytes.get(header..).ok_or(Failure::Datagram(Reason::DatagramShort))
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut payload = vec![0; HANDSHAKE_LEN];
        match self.noise.read_message(message, &mut payload) {
            Ok(length) => {
                payload.truncate(length);
                Ok(payload)
            }
            Err(_) => {
                self.noise = self.rebuilt()?;
                Err(Failure::Datagram(Reason::HandshakeCrypto))
            }
        }
    }

    /// Noise's state as it was before the message that failed. (snow restores hashes, but not a replaced cipher key.)
    fn rebuilt(&self) -> Result<HandshakeState, Failure> {
        let mut noise = build(self.initiator, &self.private, &self.ephemeral, &self.network)?;
        if self.initiator {
            append_message(&mut noise, &[0; INIT_PAYLOAD_LEN], &mut Vec::new())?;
        } else {
            read_init(&mut noise, &self.init)?;
            if self.step == Stage::Response {
                append_message(&mut noise, &self.response_payload, &mut Vec::new())?;
            }
        }
        Ok(noise)
    }
}

fn expect(datagram: &[u8], kind: u8) -> Result<(), Failure> {
    match datagram.first() {
        Some(&first) if first == kind => Ok(()),
        _ => Err(Failure::Datagram(Reason::HandshakeMalformed)),
    }
}

fn append_mac(mac: &MacKey, out: &mut Vec<u8>) {
    let value = mac.mac(out);
    out.extend_from_slice(&value);
}
