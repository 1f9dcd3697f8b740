//! A hash table that is read without locks and written by copying one shard of it.
//!
//! Readers (workers) take a snapshot of a shard; writers (Python's thread) exclude each other. With 64 shards a write to a
//! table of 10,000 entries copies about 160.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState; // seeded at random; keys come from authenticated peers only

const SHARDS: usize = 64;

/// The table is at its maximum; the new entry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A table is at its maximum.
    TableFull,
    /// No tree, or no key, has this id.
    Unknown,
    /// The session index is taken.
    Taken,
    /// The values contradict each other or cannot be.
    Invalid,
}

impl From<TableFull> for Refused {
    fn from(_: TableFull) -> Self {
        Self::TableFull
    }
}

type Shard<K, V> = HashMap<K, V, RandomState>;

/// A hash table that is read without locks.
#[derive(Debug)]
pub struct Table<K, V> {
    hasher: RandomState,
    shards: Box<[ArcSwap<Shard<K, V>>]>,
    length: Mutex<usize>,
    maximum: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Table<K, V> {
    /// An empty table of at most `maximum` entries.
    pub fn new(maximum: usize) -> Self {
        let hasher = RandomState::default();
        let shards = (0..SHARDS).map(|_| ArcSwap::from_pointee(HashMap::with_hasher(hasher.clone()))).collect();
        Self { hasher, shards, length: Mutex::new(0), maximum }
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        self.shard(key).load().get(key).cloned()
    }

    /// Sets the value of `key`; returns the one before.
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, TableFull> {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = self.shard(&key);
        let mut copy = HashMap::clone(&shard.load());
        if *length >= self.maximum && !copy.contains_key(&key) {
            return Err(TableFull);
        }
        let before = copy.insert(key, value);
        *length += usize::from(before.is_none());
        shard.store(Arc::new(copy));
        Ok(before)
    }

    /// Sets the values of many keys, copying each shard once; returns the keys for which it is full.
    pub fn insert_all(&self, entries: impl IntoIterator<Item = (K, V)>) -> Vec<K> {
        let mut by_shard: Vec<Vec<(K, V)>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for (key, value) in entries {
            by_shard[self.number(&key)].push((key, value));
        }
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        for (shard, entries) in self.shards.iter().zip(by_shard).filter(|(_, entries)| !entries.is_empty()) {
            let mut copy = HashMap::clone(&shard.load());
            for (key, value) in entries {
                if *length >= self.maximum && !copy.contains_key(&key) {
                    refused.push(key);
                } else {
                    *length += usize::from(copy.insert(key, value).is_none());
                }
            }
            shard.store(Arc::new(copy));
        }
        refused
    }

    /// Removes `key`; returns its value.
    pub fn remove(&self, key: &K) -> Option<V> {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = self.shard(key);
        let mut copy = HashMap::clone(&shard.load());
        let before = copy.remove(key)?;
        *length -= 1;
        shard.store(Arc::new(copy));
        Some(before)
    }

    /// Removes what `keep` does not want.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            let before = shard.load_full();
            if before.iter().all(|(key, value)| keep(key, value)) {
                continue;
            }
            let mut copy = HashMap::clone(&before);
            copy.retain(|key, value| keep(key, value));
            *length -= before.len() - copy.len();
            shard.store(Arc::new(copy));
        }
    }

    /// All values, in no order.
    pub fn values(&self) -> Vec<V> {
        self.shards.iter().flat_map(|shard| shard.load().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// All entries, in no order.
    pub fn entries(&self) -> Vec<(K, V)> {
        let of = |shard: &ArcSwap<Shard<K, V>>| shard.load().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        self.shards.iter().flat_map(|shard| -> Vec<(K, V)> { of(shard) }).collect()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        *self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No entries?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &K) -> &ArcSwap<Shard<K, V>> {
        &self.shards[self.number(key)]
    }

    fn number(&self, key: &K) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }
}
