//! Frames of the node's own machine in switch mode: what it sends from addresses of the overlay gets the node's own MAC
//! (docs/protocol.md section 7, Hosts).
//!
//! These addresses are on the bridge then, so the kernel sends from them with the bridge's MAC, which any node that carries
//! hosts may claim. The node's own MAC nobody else can. Frames are changed in place where they come from the TAP, when their
//! headers were read ([`crate::headers`]) and before anything else looks at them: no offset changes. Frames of the machine's
//! other addresses, its IGMP and MLD are those of a host of the LAN. To the machine nothing need be changed: a bridge takes
//! frames to the MAC of one of its ports for its own.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;

use crate::datagram::array_at;
use crate::frame_source::mac_of;
use crate::headers::{Frame, Headers, Ip, Mac, Packet, Version};
use crate::iana::{ETHERTYPE_ARP, PROTOCOL_IGMP};
use crate::iana::{NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, ROUTER_SOLICITATION};
use crate::offload::checksum::{add, subtract, sum};
use crate::offload::VnetHeader;

const SOURCE: usize = 6;
/// The sender's MAC and address in ARP over Ethernet.
const ARP_SENDER_MAC: usize = 8;
const ARP_SENDER: usize = 14;
const ICMPV6_CHECKSUM: usize = 2;
/// The target of a Neighbor Solicitation or Advertisement (RFC 4861 sections 4.3 and 4.4).
const ND_TARGET: usize = 8;
/// Options that hold a MAC, of the source and of the target (RFC 4861 section 4.6.1).
const LINK_LAYER_ADDRESSES: [u8; 2] = [1, 2];

/// The addresses of the overlay that are on a bridge, and its MAC.
#[derive(Debug)]
pub struct OwnSource {
    bridge: Mac,
    own: Mac,
    addresses: Box<[IpAddr]>,
}

impl OwnSource {
    /// A node and its machine's bridge: its MAC, and the addresses of the overlay that are on it.
    pub fn new(node: u32, bridge: Mac, addresses: Box<[IpAddr]>) -> Self {
        Self { bridge, own: mac_of(node), addresses }
    }

    /// An untagged frame of the bridge that advertises one of the addresses gets the node's own MAC. `vnet`: a partial
    /// checksum is completed later.
    #[inline(always)]
    pub fn put_on(&self, vnet: &VnetHeader, frame: &mut [u8], headers: Headers) {
        if array_at(frame, SOURCE) == Some(self.bridge) && !headers.is_tagged() {
            self.put_where_own(vnet.needs_csum(), frame, headers);
        }
    }

    fn put_where_own(&self, partial: bool, bytes: &mut [u8], headers: Headers) {
        let frame = Frame { bytes, headers };
        let network = headers.network;
        match frame.ip() {
            Some(ip) if self.is_from_own(&ip) => {
                if let Some(options) = nd_options(&ip) {
                    self.replace_options(bytes, headers.ip, options, partial);
                }
            }
            None if headers.ethertype == ETHERTYPE_ARP && self.is_own::<4>(bytes, network + ARP_SENDER) => {
                self.replace(bytes, network + ARP_SENDER_MAC);
            }
            _ => return,
        }
        self.replace(bytes, SOURCE);
    }

    /// Whether a packet is from one of the addresses, or an advertisement of one. Not so IGMP and MLD: Python knows the machine
    /// for a listener by the MAC of its LAN.
    fn is_from_own(&self, ip: &Ip<'_>) -> bool {
        let is_membership = match ip.packet.version {
            Version::V4 => ip.packet.protocol == PROTOCOL_IGMP,
            Version::V6 => ip.is_membership(),
        };
        let advertises = ip.icmpv6_type() == Some(NEIGHBOR_ADVERTISEMENT) && self.is_own::<16>(ip.upper, ND_TARGET);
        !is_membership && (advertises || ip.source().is_some_and(|source| self.addresses.contains(&source)))
    }

    fn is_own<const LENGTH: usize>(&self, bytes: &[u8], at: usize) -> bool
    where
        IpAddr: From<[u8; LENGTH]>,
    {
        array_at::<LENGTH>(bytes, at).is_some_and(|address| self.addresses.contains(&address.into()))
    }

    /// The bridge's MAC at this offset becomes the node's own. False: it is not there.
    fn replace(&self, bytes: &mut [u8], at: usize) -> bool {
        let found = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).filter(|mac| **mac == self.bridge);
        found.map(|mac| *mac = self.own).is_some()
    }

    /// The options of a message of Neighbor Discovery that name the bridge's MAC, and its checksum (RFC 1624).
    fn replace_options(&self, frame: &mut [u8], packet: Option<Packet>, options: usize, partial: bool) {
        let message = packet.and_then(|packet| frame.get_mut(packet.transport..packet.end)).unwrap_or_default();
        let mut at = options;
        while let Some([kind, length]) = array_at(message, at).filter(|[_, length]| *length > 0) {
            if LINK_LAYER_ADDRESSES.contains(&kind) && self.replace(message, at + 2) && !partial {
                if let Some(checksum) = message.get_mut(ICMPV6_CHECKSUM..).and_then(|rest| rest.first_chunk_mut()) {
                    let before = !u16::from_be_bytes(*checksum);
                    *checksum = (!add(subtract(before, sum(&self.bridge)), sum(&self.own))).to_be_bytes();
                }
            }
            at += usize::from(length) * 8;
        }
    }
}

/// Offset of the options in a message of Neighbor Discovery that names a MAC of who sends it.
fn nd_options(ip: &Ip<'_>) -> Option<usize> {
    match ip.icmpv6_type()? {
        ROUTER_SOLICITATION => Some(ND_TARGET),
        NEIGHBOR_SOLICITATION | NEIGHBOR_ADVERTISEMENT => Some(ND_TARGET + 16),
        _ => None,
    }
}
