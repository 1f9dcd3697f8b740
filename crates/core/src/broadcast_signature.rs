//! Signatures of broadcast: all nodes hold its sender key, and only its root the key that these are made with
//! (docs/protocol.md section 5, Signatures).
//!
//! A check costs a hundred times what opening does. So a root's signatures have a rate at itself and at the others, and those
//! that are forged, as whomever, have one together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{digest, SHA256};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, UnparsedPublicKey, ED25519};

use crate::datagram::{AEAD_TAG_LEN, TREE_ASSOCIATED_LEN};
use crate::rate::{Rate, TokenBucket};
use crate::reason::Reason;
use crate::session::lock;

/// Length of a signature (Ed25519, RFC 8032), the end of the plaintext.
pub const SIGNATURE_LEN: usize = 64;
/// Length of a public key, and of the seed of a private one.
pub const SIGNING_KEY_LEN: usize = 32;
const CONTEXT: &[u8] = b"treecast broadcast 1\0";
const DIGEST_LEN: usize = 32;
const MESSAGE_LEN: usize = CONTEXT.len() + TREE_ASSOCIATED_LEN + DIGEST_LEN;
/// Signatures that a root makes: what the storm limits of a LAN let in.
const MADE: Rate = Rate { per_second: 1000, burst: 1000 };
/// Signatures of one root that are checked: a second's may come at once.
const CHECKED: Rate = Rate { per_second: 1000, burst: 2000 };
/// Signatures of all roots together that are checked, of those as which something was forged just now.
const SUSPECT: Rate = Rate { per_second: 1000, burst: 2000 };
/// A root is suspect for so long after a signature that is not its.
const SUSPECT_NS: u64 = 1_000_000_000;

/// A node's public signing key, by its certificate.
pub type PublicKey = [u8; SIGNING_KEY_LEN];

/// A node's private signing key.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SigningKey")
    }
}

impl SigningKey {
    /// The key of this seed (RFC 8032); None where the library refuses it.
    pub fn new(seed: &[u8; SIGNING_KEY_LEN]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Self(Arc::new(pair)))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; SIGNING_KEY_LEN];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    /// The signature of a plaintext under associated data.
    pub fn sign(&self, associated: &[u8; TREE_ASSOCIATED_LEN], text: &[u8]) -> Result<[u8; SIGNATURE_LEN], Reason> {
        let signature = self.0.try_sign(&message(associated, text)).map_err(|_| Reason::BroadcastSignature)?;
        signature.as_ref().try_into().map_err(|_| Reason::BroadcastSignature)
    }
}

/// Is this the signature of the key's holder?
pub fn verify(
    key: &PublicKey,
    associated: &[u8; TREE_ASSOCIATED_LEN],
    text: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(&message(associated, text), signature).is_ok()
}

/// The bytes that are signed: their purpose, whose datagram it is, and a hash of its content.
fn message(associated: &[u8; TREE_ASSOCIATED_LEN], text: &[u8]) -> [u8; MESSAGE_LEN] {
    let mut out = [0; MESSAGE_LEN];
    let (context, rest) = out.split_at_mut(CONTEXT.len());
    let (header, hash) = rest.split_at_mut(TREE_ASSOCIATED_LEN);
    context.copy_from_slice(CONTEXT);
    header.copy_from_slice(associated);
    hash.copy_from_slice(digest(&SHA256, text).as_ref());
    out
}

/// A root's way to sign what it broadcasts.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    made: Mutex<TokenBucket>,
}

impl Signer {
    pub(crate) fn new(key: &SigningKey) -> Self {
        Self { key: key.clone(), made: Mutex::default() }
    }

    /// May it make another one?
    pub(crate) fn admit(&self, now_ns: u64) -> Result<(), Reason> {
        lock(&self.made).take(MADE, now_ns).then_some(()).ok_or(Reason::BroadcastSignatureRate)
    }

    /// Signs what lies in `rest` before the places of signature and AEAD tag.
    pub(crate) fn sign(&self, associated: &[u8; TREE_ASSOCIATED_LEN], rest: &mut [u8]) -> Result<(), Reason> {
        let text_len = rest.len().checked_sub(SIGNATURE_LEN + AEAD_TAG_LEN).ok_or(Reason::TooBig)?;
        let (text, place) = rest.split_at_mut(text_len);
        *place.first_chunk_mut().ok_or(Reason::TooBig)? = self.key.sign(associated, text)?;
        Ok(())
    }
}

/// Checks of suspect roots, together.
#[derive(Debug, Default)]
pub struct SuspectChecks(Mutex<TokenBucket>);

impl SuspectChecks {
    fn take(&self, now_ns: u64) -> bool {
        lock(&self.0).take(SUSPECT, now_ns)
    }
}

/// Checks of one root's signatures.
#[derive(Debug, Default)]
pub struct SignatureChecks {
    checked: Mutex<TokenBucket>,
    /// 0: nothing was forged so far.
    forged_ns: AtomicU64,
}

impl SignatureChecks {
    /// Is the next signature to be looked at?
    pub fn admit(&self, suspects: &SuspectChecks, now_ns: u64) -> Result<(), Reason> {
        if self.is_suspect(now_ns) && !suspects.take(now_ns) || !lock(&self.checked).take(CHECKED, now_ns) {
            return Err(Reason::BroadcastSignatureRate);
        }
        Ok(())
    }

    /// Was a signature none of the root's just now? Then others may use its rate up.
    pub fn is_suspect(&self, now_ns: u64) -> bool {
        let forged_ns = self.forged_ns.load(Ordering::Relaxed);
        forged_ns != 0 && now_ns.saturating_sub(forged_ns) < SUSPECT_NS
    }

    /// The root is suspect for a while: a signature was none of its own.
    pub fn note_forged(&self, now_ns: u64) {
        self.forged_ns.store(now_ns.max(1), Ordering::Relaxed);
    }
}
