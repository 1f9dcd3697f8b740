//! The tree tag: SipHash-2-4 over header and AEAD tag, which all nodes of a tree can check (section 5).

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::datagram::{AEAD_TAG_LEN, TREE_HEADER_LEN, TREE_TAG_LEN};

/// A tree's key, kept once: in its hasher.
pub struct TreeKey(SipHasher24);

impl std::fmt::Debug for TreeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TreeKey")
    }
}

impl TreeKey {
    /// The key of these bytes.
    pub fn new(key: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&key))
    }

    /// Its bytes, for an offer.
    pub fn bytes(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(self.0.key())
    }

    /// The tag of a datagram without its tree tag; None when that is too short to have a header and an AEAD tag.
    pub fn tag(&self, datagram: &[u8]) -> Option<[u8; TREE_TAG_LEN]> {
        let header = datagram.first_chunk::<TREE_HEADER_LEN>()?;
        let aead_tag = datagram.get(TREE_HEADER_LEN..)?.last_chunk::<AEAD_TAG_LEN>()?;
        let mut tagged = [0; TREE_HEADER_LEN + AEAD_TAG_LEN];
        *tagged.first_chunk_mut()? = *header;
        *tagged.last_chunk_mut()? = *aead_tag;
        Some(self.0.hash(&tagged).to_le_bytes())
    }

    /// Is the tree tag at the end of `datagram` right?
    pub fn verify(&self, datagram: &[u8]) -> bool {
        let Some((sealed, tag)) = datagram.split_last_chunk::<TREE_TAG_LEN>() else { return false };
        self.tag(sealed)
            .is_some_and(|expected| aws_lc_rs::constant_time::verify_slices_are_equal(&expected, tag).is_ok())
    }
}
