//! The ML-KEM-768 exchange of a link (`docs/protocol.md` section 3, Hybrid sessions): key pair, ciphertext, link secret.
//!
//! Decides nothing: who begins an exchange, and when, is Python's. Secrets stay here and are wiped when dropped.

use aws_lc_rs::digest;
use aws_lc_rs::hkdf;
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

/// Length of an encapsulation key (FIPS 203, table 3).
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Length of a ciphertext.
pub const CIPHERTEXT_LEN: usize = 1088;
/// Length of a link secret.
pub const LINK_SECRET_LEN: usize = 32;
/// Length of the id by which both sides name a link secret.
pub const LINK_SECRET_ID_LEN: usize = 8;

/// Bytes that are no encapsulation key or no ciphertext of ML-KEM-768, or no randomness was to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedExchange;

/// Secret that the keys of a link's hybrid sessions are made of, besides those of their handshakes.
pub struct LinkSecret {
    pub(crate) secret: Zeroizing<[u8; LINK_SECRET_LEN]>,
    id: [u8; LINK_SECRET_ID_LEN],
}

impl LinkSecret {
    /// Made of a shared secret, and of the exchange that it came from.
    pub fn new(shared: &[u8], encapsulation_key: &[u8], ciphertext: &[u8]) -> Result<Self, MalformedExchange> {
        let mut exchange = digest::Context::new(&digest::SHA256);
        exchange.update(encapsulation_key);
        exchange.update(ciphertext);
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, exchange.finish().as_ref());
        let extracted = salt.extract(shared);
        let mut made = Self { secret: Zeroizing::new([0; LINK_SECRET_LEN]), id: [0; LINK_SECRET_ID_LEN] };
        expand(&extracted, b"treecast link secret 1", made.secret.as_mut_slice())?;
        expand(&extracted, b"treecast link secret id 1", &mut made.id)?;
        Ok(made)
    }

    /// Its name, which does not give it away.
    pub fn id(&self) -> &[u8; LINK_SECRET_ID_LEN] {
        &self.id
    }
}

/// A length of its own, as `hkdf` wants it.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(extracted: &hkdf::Prk, info: &[u8], out: &mut [u8]) -> Result<(), MalformedExchange> {
    let info = [info];
    let okm = extracted.expand(&info, Length(out.len())).map_err(|_| MalformedExchange)?;
    okm.fill(out).map_err(|_| MalformedExchange)
}

/// The key pair of the side that begins an exchange.
pub struct KeyPair {
    private: DecapsulationKey,
    encapsulation_key: Vec<u8>,
}

impl KeyPair {
    /// A fresh one.
    pub fn generate() -> Result<Self, MalformedExchange> {
        let private = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| MalformedExchange)?;
        let public = private.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| MalformedExchange)?;
        Ok(Self { private, encapsulation_key: public.as_ref().to_vec() })
    }

    /// The key for which the other side encapsulates.
    pub fn encapsulation_key(&self) -> &[u8] {
        &self.encapsulation_key
    }

    /// The link secret, from the other side's ciphertext. One that was made for another key gives another secret
    /// (implicit rejection, FIPS 203 section 7.3).
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<LinkSecret, MalformedExchange> {
        let shared = self.private.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| MalformedExchange)?;
        LinkSecret::new(shared.as_ref(), &self.encapsulation_key, ciphertext)
    }
}

/// The side that answers: a ciphertext for this encapsulation key, and the link secret.
pub fn encapsulate(encapsulation_key: &[u8]) -> Result<(Vec<u8>, LinkSecret), MalformedExchange> {
    let key = EncapsulationKey::new(&ML_KEM_768, encapsulation_key).map_err(|_| MalformedExchange)?;
    let (ciphertext, shared) = key.encapsulate().map_err(|_| MalformedExchange)?;
    let secret = LinkSecret::new(shared.as_ref(), encapsulation_key, ciphertext.as_ref())?;
    Ok((ciphertext.as_ref().to_vec(), secret))
}
