//! Sender keys that roots have offered, until Python accepts or refuses them (section 6).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::datagram::TreeName;
use crate::downstream_tree::KeyOffer;
use crate::limits::MAX_OFFERS_PER_ROOT;
use crate::reason::Reason;
use crate::session::lock;

/// The offers of one root, by tree and key.
type Offers = BTreeMap<(TreeName, u32), KeyOffer>;

/// The offered sender keys that Python has not judged yet. By root, so that none fills another's place.
#[derive(Debug, Default)]
pub(crate) struct PendingOffers(Mutex<HashMap<u32, Offers>>);

impl PendingOffers {
    /// Keeps an offer; a repeated one replaces the one before.
    pub(crate) fn add(&self, offer: KeyOffer) -> Result<(), Reason> {
        let (tree, key_id) = (offer.tree, offer.key_id);
        let mut offers = lock(&self.0);
        let of_root = offers.entry(tree.root).or_default();
        if of_root.len() >= MAX_OFFERS_PER_ROOT && !of_root.contains_key(&(tree, key_id)) {
            return Err(Reason::KeyOffersFull);
        }
        of_root.insert((tree, key_id), offer);
        Ok(())
    }

    /// Removes and returns an offer, if it is there.
    pub(crate) fn take(&self, tree: TreeName, key_id: u32) -> Option<KeyOffer> {
        let mut offers = lock(&self.0);
        let of_root = offers.get_mut(&tree.root)?;
        let offer = of_root.remove(&(tree, key_id));
        if of_root.is_empty() {
            offers.remove(&tree.root);
        }
        offer
    }

    /// Removes all offers of a root.
    pub(crate) fn forget(&self, root: u32) {
        lock(&self.0).remove(&root);
    }
}
