//! A network as all its members know it: a handshake is one of theirs by this (`docs/protocol.md` section 3).

use zeroize::Zeroizing;

use crate::mac::{MacKey, NETWORK_KEY_LEN};

/// Length of a network id.
pub const NETWORK_ID_LEN: usize = 16;

/// A network's id, which is no secret, and its key, which strangers do not know.
#[derive(Clone)]
pub struct Network {
    pub(crate) id: [u8; NETWORK_ID_LEN],
    pub(crate) key: Zeroizing<[u8; NETWORK_KEY_LEN]>,
    pub(crate) mac: MacKey,
}

impl Network {
    /// The network, with the key of its handshake MAC.
    pub fn new(id: [u8; NETWORK_ID_LEN], key: Zeroizing<[u8; NETWORK_KEY_LEN]>) -> Self {
        let mac = MacKey::new(&key);
        Self { id, key, mac }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}
