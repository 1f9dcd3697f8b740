//! The frames that the key of a stream is for (docs/protocol.md section 6, Context): all its subscribers hold it, and could make others.

use std::net::IpAddr;

use crate::prefixes::Prefix;

/// The flow for which the root offered the key, and this node accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFlow {
    /// The 802.1Q VLAN id.
    pub vlan: u16,
    /// The group, or a prefix of groups.
    pub groups: Prefix,
    /// The IP source, where it is for one alone.
    pub source: Option<IpAddr>,
}

impl KeyFlow {
    /// Whether a frame to this group, from this source, is one of these.
    pub(crate) fn has(&self, vlan: u16, group: IpAddr, source: IpAddr) -> bool {
        vlan == self.vlan && self.groups.contains(group) && self.source.is_none_or(|only| only == source)
    }
}
