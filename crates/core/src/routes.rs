//! Routes of groups: which tree a frame to a group takes.

use std::net::IpAddr;
use std::sync::Arc;

use crate::counters::Volume;

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
    pub tree_id: u32,
    /// Frames taken by this route.
    pub tx: Arc<Volume>,
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
}
