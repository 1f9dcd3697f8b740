//! Sender keys and states of trees that roots have offered, until Python accepts or refuses them (section 6).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::downstream_stream::KeyOffer;
use crate::limits::MAX_OFFERS_PER_ROOT;
use crate::session::lock;
use crate::tree_state::TreeState;

/// An offer of a root.
pub(crate) trait Offered {
    /// The root.
    fn root(&self) -> u32;
    /// Its name among the root's: the stream, and the key's id or the tree's epoch.
    fn name(&self) -> (u32, u32);
}

impl Offered for KeyOffer {
    fn root(&self) -> u32 {
        self.stream.root
    }

    fn name(&self) -> (u32, u32) {
        (self.stream.stream, self.key_id)
    }
}

impl Offered for TreeState {
    fn root(&self) -> u32 {
        self.tree.root
    }

    fn name(&self) -> (u32, u32) {
        (self.tree.stream, self.tree.epoch)
    }
}

/// The offers of one root.
type Offers<T> = BTreeMap<(u32, u32), T>;

/// Offers of one kind that Python has not judged yet. By root, so that none fills another's place.
#[derive(Debug)]
pub(crate) struct PendingOffers<T>(Mutex<HashMap<u32, Offers<T>>>);

impl<T> Default for PendingOffers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Offered> PendingOffers<T> {
    /// Keeps an offer; a repeated one replaces the one before. False: the root has too many.
    pub(crate) fn add(&self, offer: T) -> bool {
        let name = offer.name();
        let mut offers = lock(&self.0);
        let of_root = offers.entry(offer.root()).or_default();
        let fits = of_root.len() < MAX_OFFERS_PER_ROOT || of_root.contains_key(&name);
        if fits {
            of_root.insert(name, offer);
        }
        fits
    }

    /// Removes and returns an offer, if it is there.
    pub(crate) fn take(&self, root: u32, name: (u32, u32)) -> Option<T> {
        let mut offers = lock(&self.0);
        let of_root = offers.get_mut(&root)?;
        let offer = of_root.remove(&name);
        if of_root.is_empty() {
            offers.remove(&root);
        }
        offer
    }

    /// Removes all offers of a root.
    pub(crate) fn forget(&self, root: u32) {
        lock(&self.0).remove(&root);
    }
}
