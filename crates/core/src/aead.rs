//! One AEAD key with counters for nonces: 4 zero bytes, then the counter (`docs/protocol.md` sections 4 and 5).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, CHACHA20_POLY1305};

use crate::datagram::AEAD_TAG_LEN;

/// The AEADs of the protocol, by their number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aead {
    /// AES-256-GCM.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305 = 2,
}

impl Aead {
    /// The AEAD with this number on the wire.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// AES where the processor has AES instructions, else ChaCha20.
    pub fn preferred() -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        let aes = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
        let aes = false;
        if aes {
            Self::Aes256Gcm
        } else {
            Self::ChaCha20Poly1305
        }
    }
}

/// The tag does not fit, or the buffer is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSeal;

/// A key for one direction of a session, or of one sender.
#[derive(Debug)]
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// The key of the 32 bytes of either algorithm.
    pub fn new(aead: Aead, key: &[u8; 32]) -> Result<Self, BadSeal> {
        let algorithm = match aead {
            Aead::Aes256Gcm => &AES_256_GCM,
            Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        UnboundKey::new(algorithm, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| BadSeal)
    }

    /// Seals `datagram[header_len .. len - 16]` in place under its header; the last 16 bytes become the tag.
    pub fn seal(&self, counter: u64, header_len: usize, datagram: &mut [u8]) -> Result<(), BadSeal> {
        let (header, rest) = datagram.split_at_mut_checked(header_len).ok_or(BadSeal)?;
        self.seal_under(counter, header, rest)
    }

    /// Seals all but the last 16 bytes of `text` in place under associated data; these become the tag.
    pub fn seal_under(&self, counter: u64, associated: &[u8], text: &mut [u8]) -> Result<(), BadSeal> {
        let text_len = text.len().checked_sub(AEAD_TAG_LEN).ok_or(BadSeal)?;
        let (text, tag) = text.split_at_mut(text_len);
        self.0.seal_in_place_scatter(nonce(counter), Aad::from(associated), text, &[], tag).map_err(|_| BadSeal)
    }

    /// Opens in place; the plaintext starts at `header_len` and lacks the tag. On error the text is overwritten.
    pub fn open<'a>(&self, counter: u64, header_len: usize, datagram: &'a mut [u8]) -> Result<&'a mut [u8], BadSeal> {
        let (header, rest) = datagram.split_at_mut_checked(header_len).ok_or(BadSeal)?;
        self.open_under(counter, header, rest)
    }

    /// Opens `text`, which ends with the tag, in place under associated data. On error it is overwritten.
    pub fn open_under<'a>(&self, counter: u64, associated: &[u8], text: &'a mut [u8]) -> Result<&'a mut [u8], BadSeal> {
        self.0.open_in_place(nonce(counter), Aad::from(associated), text).map_err(|_| BadSeal)
    }
}

fn nonce(counter: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = counter.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}
