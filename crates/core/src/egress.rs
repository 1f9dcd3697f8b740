//! Egress: the ports of this node that get a frame, by its headers and by the filters of the hosts on each port.
//!
//! The filters are looked up only while the node has more than the TAP. The TAP gets all, but for groups once it is *selective*; a packet
//! port (a Wi-Fi station: no frames of other machines, no tags) gets groups that its hosts want and link-local groups.

use std::net::IpAddr;

use crate::forwarding_tables::ForwardingTables;
use crate::frame::{to_group, FrameKind};
use crate::headers::Frame;

/// The part of a frame's headers that matters when it leaves by a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// A frame to a group that hosts join.
    Group {
        /// The 802.1Q VLAN id.
        vlan: u16,
        /// The IP destination.
        group: IpAddr,
        /// The IP source.
        source: IpAddr,
    },
    /// A frame to a group of the link, which all get (RFC 4541 section 2.1.2), untagged.
    LinkGroup,
    /// Anything else: unicast, broadcast, and what is about MAC addresses or membership on its own link.
    Other,
}

impl Leaving {
    /// The kind of a frame that leaves; the headers of a super-frame are enough. By [`FrameFacts`]'s rules, as far as they matter here.
    ///
    /// [`FrameFacts`]: crate::frame::FrameFacts
    pub fn of(frame: &Frame<'_>) -> Self {
        let (Some(mac), Some(ip)) = (frame.destination().filter(|_| frame.is_to_group()), frame.ip()) else {
            return Self::Other;
        };
        if ip.is_of_the_link() {
            return Self::Other;
        }
        match to_group(mac, &ip) {
            Ok(FrameKind::Group { group, source }) => Self::Group { vlan: frame.headers.vlan, group, source },
            Ok(FrameKind::Broadcast) if !frame.headers.is_tagged() => Self::LinkGroup,
            _ => Self::Other,
        }
    }
}

impl ForwardingTables {
    /// Does this frame go out by this port, if that forwards?
    pub fn goes_out(&self, number: u32, leaving: &Leaving) -> bool {
        let Some(port) = self.port(number) else { return false };
        match leaving {
            Leaving::Other => !port.is_packet_port(),
            Leaving::LinkGroup => true,
            Leaving::Group { vlan, .. } if *vlan != 0 && port.is_packet_port() => false,
            Leaving::Group { .. } if !port.is_selective() => true,
            Leaving::Group { vlan, group, source } => self.source_filters.accept(number, *vlan, *group, source),
        }
    }
}
