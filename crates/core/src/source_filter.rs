//! Source filters of groups, as IGMPv3 and MLDv2 have them (RFC 9776 section 3.2), for each port of this node.

use std::net::IpAddr;
use std::sync::Arc;

use crate::limits::{MAX_GROUPS, MAX_PORTS};
use crate::table::{Refused, Table};

/// The source filter of a port's hosts for a group: all sources but these, or only these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFilter {
    /// All but these, or only these?
    pub exclude: bool,
    /// Sorted.
    pub sources: Box<[IpAddr]>,
}

impl SourceFilter {
    /// The sources in any order.
    pub fn new(exclude: bool, mut sources: Vec<IpAddr>) -> Self {
        sources.sort_unstable();
        Self { exclude, sources: sources.into() }
    }

    fn accepts(&self, source: &IpAddr) -> bool {
        self.sources.binary_search(source).is_ok() != self.exclude
    }

    fn is_nothing(&self) -> bool {
        !self.exclude && self.sources.is_empty()
    }
}

/// The filter of each port, by VLAN and group.
#[derive(Debug)]
pub(crate) struct SourceFilters(Table<(u16, IpAddr), Arc<[Option<SourceFilter>; MAX_PORTS]>>);

impl Default for SourceFilters {
    fn default() -> Self {
        Self(Table::new(MAX_GROUPS))
    }
}

impl SourceFilters {
    /// Sets a port's filter of a group; one that includes no source ends it. Callers exclude each other.
    pub(crate) fn set(&self, port: u32, vlan: u16, group: IpAddr, filter: SourceFilter) -> Result<(), Refused> {
        let mut filters = self.0.get(&(vlan, group)).map(|filters| (*filters).clone()).unwrap_or_default();
        *filters.get_mut(port as usize).ok_or(Refused::Unknown)? = Some(filter).filter(|filter| !filter.is_nothing());
        if filters.iter().all(Option::is_none) {
            self.0.remove(&(vlan, group));
        } else {
            self.0.insert((vlan, group), Arc::new(filters))?;
        }
        Ok(())
    }

    /// Removes all filters of a port. Callers exclude each other.
    pub(crate) fn clear(&self, port: u32) {
        for (key, filters) in self.0.entries() {
            let mut left = (*filters).clone();
            if left.get_mut(port as usize).is_some_and(|filter| filter.take().is_some()) {
                if left.iter().all(Option::is_none) {
                    self.0.remove(&key);
                } else {
                    let _ = self.0.insert(key, Arc::new(left)); // it is there already: there is room
                }
            }
        }
    }

    /// Does a port's filter of a group accept this source?
    pub(crate) fn accept(&self, port: u32, vlan: u16, group: IpAddr, source: &IpAddr) -> bool {
        self.0.get(&(vlan, group)).is_some_and(|filters| {
            filters
                .get(port as usize)
                .is_some_and(|filter| filter.as_ref().is_some_and(|filter| filter.accepts(source)))
        })
    }
}
