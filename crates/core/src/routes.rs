//! Routes of groups: which tree a frame to a group takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::counters::Volume;
use crate::limits::MAX_GROUPS;
use crate::table::{Refused, Table};

/// One route: frames to a group (from a source) take a tree.
#[derive(Debug)]
pub struct Route {
    /// 802.1Q VLAN id, 0 when untagged.
    pub vlan: u16,
    /// Destination group, or the first of a prefix of groups.
    pub group: IpAddr,
    /// How many bits of it count; all of them for one group.
    pub prefix_len: u8,
    /// Source, or any without a route of its own.
    pub source: Option<IpAddr>,
    /// The tree.
    pub stream: u32,
    /// Frames taken by this route.
    pub tx: Arc<Volume>,
}

/// A route that is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SetRoute {
    pub vlan: u16,
    pub group: IpAddr,
    pub source: Option<IpAddr>,
    pub stream: u32,
}

impl SetRoute {
    /// The key of its group's routes.
    pub fn key(&self) -> (u16, IpAddr) {
        (self.vlan, self.group)
    }
}

/// How long a prefix is that contains one group only.
pub fn full_length(group: &IpAddr) -> u8 {
    if group.is_ipv4() {
        32
    } else {
        128
    }
}

/// The routes of one group.
#[derive(Clone, Debug, Default)]
pub struct GroupRoutes {
    /// (*,G)
    pub any: Option<Arc<Route>>,
    /// (S,G), sorted by source.
    pub sources: Vec<(IpAddr, Arc<Route>)>,
}

impl GroupRoutes {
    /// The route of a source: its own, or any's.
    pub fn find(&self, source: IpAddr) -> Option<Arc<Route>> {
        match self.sources.binary_search_by_key(&source, |(source, _)| *source) {
            Ok(position) => self.sources.get(position).map(|(_, route)| route.clone()),
            Err(_) => self.any.clone(),
        }
    }

    /// These with one more, or another; one that was there keeps its numbers.
    fn with(&self, set: &SetRoute) -> Self {
        let SetRoute { vlan, group, source, stream } = *set;
        let mut routes = self.clone();
        let numbers = |route: Option<&Arc<Route>>| route.map(|route| route.tx.clone()).unwrap_or_default();
        let new = |tx| Arc::new(Route { vlan, group, prefix_len: full_length(&group), source, stream, tx });
        match source {
            None => routes.any = Some(new(numbers(self.any.as_ref()))),
            Some(source) => match routes.sources.binary_search_by_key(&source, |(source, _)| *source) {
                Ok(position) => routes.sources[position].1 = new(numbers(Some(&self.sources[position].1))),
                Err(position) => routes.sources.insert(position, (source, new(numbers(None)))),
            },
        }
        routes
    }
}

/// The routes of all groups, by VLAN and group. Who changes it excludes others; a reader waits for nobody.
#[derive(Debug)]
pub(crate) struct Routes(Table<(u16, IpAddr), Arc<GroupRoutes>>);

impl Default for Routes {
    fn default() -> Self {
        Self(Table::new(MAX_GROUPS))
    }
}

impl Routes {
    /// Sets a route; one that was there keeps its numbers.
    pub(crate) fn set(&self, set: &SetRoute) -> Result<(), Refused> {
        let routes = self.0.get(&set.key()).unwrap_or_default();
        self.0.insert(set.key(), Arc::new(routes.with(set)))?;
        Ok(())
    }

    /// Sets many, at the cost of a few; returns the VLANs and groups for which the table is full.
    pub(crate) fn set_all(&self, all: &[SetRoute]) -> Vec<(u16, IpAddr)> {
        let mut groups: HashMap<(u16, IpAddr), Arc<GroupRoutes>> = HashMap::new();
        for set in all {
            let routes = groups.entry(set.key()).or_insert_with(|| self.0.get(&set.key()).unwrap_or_default());
            *routes = Arc::new(routes.with(set));
        }
        self.0.insert_all(groups)
    }

    /// Removes a route; false when there are none of its group.
    pub(crate) fn remove(&self, vlan: u16, group: IpAddr, source: Option<IpAddr>) -> bool {
        let Some(before) = self.0.get(&(vlan, group)) else { return false };
        let mut routes = GroupRoutes::clone(&before);
        match source {
            None => routes.any = None,
            Some(gone) => routes.sources.retain(|(source, _)| *source != gone),
        }
        if routes.any.is_none() && routes.sources.is_empty() {
            self.0.remove(&(vlan, group));
        } else {
            // The entry replaces one, so the table cannot be full.
            let _ = self.0.insert((vlan, group), Arc::new(routes));
        }
        true
    }

    /// The route of a group's frames from a source.
    pub(crate) fn find(&self, vlan: u16, group: IpAddr, source: IpAddr) -> Option<Arc<Route>> {
        self.0.get(&(vlan, group)).and_then(|routes| routes.find(source))
    }

    /// All routes, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Route>> {
        let of = |group: Arc<GroupRoutes>| {
            let sources = group.sources.iter().map(|(_, route)| route.clone());
            group.any.iter().cloned().chain(sources).collect::<Vec<_>>()
        };
        self.0.values().into_iter().flat_map(of).collect()
    }
}
