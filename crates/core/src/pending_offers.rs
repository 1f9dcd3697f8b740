//! Sender keys and states of trees that roots have offered, until Python accepts or refuses them (section 6).
//!
//! Python judges a key by the context that it was told, and takes it for that context. A state is judged as it is: each has a
//! number, by which it is accepted, so that none takes the place of another that was judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use crate::downstream_stream::KeyOffer;
use crate::limits::MAX_OFFERS_PER_ROOT;
use crate::session::lock;
use crate::tree_state::TreeState;

/// An offer of a root.
pub(crate) trait Offered {
    /// The root.
    fn root(&self) -> u32;
    /// Its name among the root's: the stream, the key's id or the tree's epoch, and a state's number.
    fn name(&self) -> OfferName;
}

/// See [`Offered::name`].
type OfferName = (u32, u32, u64);

impl Offered for KeyOffer {
    fn root(&self) -> u32 {
        self.stream.root
    }

    fn name(&self) -> OfferName {
        (self.stream.stream, self.key_id, 0)
    }
}

impl Offered for TreeState {
    fn root(&self) -> u32 {
        self.tree.root
    }

    fn name(&self) -> OfferName {
        (self.tree.stream, self.tree.epoch, self.number)
    }
}

/// The offers of one root.
type Offers<T> = BTreeMap<OfferName, T>;

/// Offers of one kind that Python has not judged yet. By root, so that none fills another's place.
#[derive(Debug)]
pub(crate) struct PendingOffers<T> {
    by_root: Mutex<HashMap<u32, Offers<T>>>,
    /// The newest state's.
    number: AtomicU64,
}

impl<T> Default for PendingOffers<T> {
    fn default() -> Self {
        Self { by_root: Mutex::default(), number: AtomicU64::new(0) }
    }
}

impl<T: Offered> PendingOffers<T> {
    /// Keeps an offer; a repeated one replaces the one before. False: the root has too many.
    pub(crate) fn add(&self, offer: T) -> bool {
        let name = offer.name();
        let mut offers = lock(&self.by_root);
        let of_root = offers.entry(offer.root()).or_default();
        let fits = of_root.len() < MAX_OFFERS_PER_ROOT || of_root.contains_key(&name);
        if fits {
            of_root.insert(name, offer);
        }
        fits
    }

    /// Removes and returns an offer, if it is there; older states of its tree are gone with it.
    pub(crate) fn take(&self, root: u32, name: OfferName) -> Option<T> {
        let mut offers = lock(&self.by_root);
        let of_root = offers.get_mut(&root)?;
        let offer = of_root.remove(&name);
        let (stream, second, number) = name;
        while let Some((older, _)) = of_root.range((stream, second, 0)..(stream, second, number)).next() {
            let older = *older;
            of_root.remove(&older);
        }
        if of_root.is_empty() {
            offers.remove(&root);
        }
        offer
    }

    /// Removes all offers of a root.
    pub(crate) fn forget(&self, root: u32) {
        lock(&self.by_root).remove(&root);
    }
}

impl PendingOffers<TreeState> {
    /// The number of a state that has come: of the tree's newest that waits, where that says the same place, or another one.
    pub(crate) fn number(&self, state: &TreeState) -> u64 {
        let (stream, epoch, _) = state.name();
        let offers = lock(&self.by_root);
        let of_tree =
            offers.get(&state.root()).map(|of_root| of_root.range((stream, epoch, 0)..=(stream, epoch, u64::MAX)));
        let newest = of_tree.and_then(|mut of_tree| of_tree.next_back());
        match newest {
            Some((name, waiting)) if waiting.place == state.place => name.2,
            _ => self.number.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}
