//! Routes of whole prefixes of groups: for frames to a group that has no route of its own.
//!
//! Only such frames are looked up here, so those of joined groups pay nothing. There are few, the longest first.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::counters::Volume;
use crate::limits::MAX_PREFIXES;
use crate::routes::{full_length, Route};
use crate::table::Refused;

/// The first address of a prefix of groups, and its length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Prefix {
    pub first: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// Whether the group is one of these.
    pub(crate) fn contains(&self, group: IpAddr) -> bool {
        contains(self.first, self.length, group)
    }
}

/// The routes of whole prefixes of groups, the longest first.
#[derive(Debug, Default)]
pub(crate) struct PrefixRoutes(ArcSwap<Vec<Arc<Route>>>);

impl PrefixRoutes {
    /// The route of the longest prefix that contains the group.
    pub(crate) fn find(&self, vlan: u16, group: IpAddr) -> Option<Arc<Route>> {
        let routes = self.0.load();
        routes.iter().find(|route| route.vlan == vlan && contains(route.group, route.prefix_len, group)).cloned()
    }

    /// Sets the route of a prefix; one that was there keeps its numbers. Callers exclude each other.
    pub(crate) fn set(&self, vlan: u16, prefix: IpAddr, length: u8, stream: u32) -> Result<(), Refused> {
        if length > full_length(&prefix) {
            return Err(Refused::Invalid);
        }
        let mut routes = self.all().to_vec();
        let is_it = |route: &Arc<Route>| (route.vlan, route.group, route.prefix_len) == (vlan, prefix, length);
        let route = |tx| Arc::new(Route { vlan, group: prefix, prefix_len: length, source: None, stream, tx });
        match routes.iter().position(is_it) {
            Some(position) => routes[position] = route(routes[position].tx.clone()),
            None if routes.len() >= MAX_PREFIXES => return Err(Refused::TableFull),
            None => routes.push(route(Arc::<Volume>::default())),
        }
        routes.sort_by_key(|route| Reverse(route.prefix_len));
        self.0.store(Arc::new(routes));
        Ok(())
    }

    /// Removes the route of a prefix, if it is there. Callers exclude each other.
    pub(crate) fn remove(&self, vlan: u16, prefix: IpAddr, length: u8) {
        let mut routes = self.all().to_vec();
        routes.retain(|route| (route.vlan, route.group, route.prefix_len) != (vlan, prefix, length));
        self.0.store(Arc::new(routes));
    }

    /// All of them, the longest first.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Route>>> {
        self.0.load_full()
    }
}

fn contains(prefix: IpAddr, length: u8, group: IpAddr) -> bool {
    match (prefix, group) {
        (IpAddr::V4(prefix), IpAddr::V4(group)) => {
            let differ = u32::from(prefix) ^ u32::from(group);
            differ.checked_shr(32 - u32::from(length.min(32))).unwrap_or(0) == 0
        }
        (IpAddr::V6(prefix), IpAddr::V6(group)) => {
            let differ = u128::from(prefix) ^ u128::from(group);
            differ.checked_shr(128 - u32::from(length.min(128))).unwrap_or(0) == 0
        }
        _ => false,
    }
}
