//! Frames of the node's own machine in switch mode: what it sends from addresses of the overlay gets the node's own MAC
//! (docs/protocol.md section 7, Hosts).
//!
//! These addresses are on the bridge then, so the kernel sends from them with the bridge's MAC, which any node that carries
//! hosts may claim. The node's own MAC nobody else can. Frames are changed in place where they come from the TAP, before
//! anything else looks at them; frames of the machine's other addresses, its IGMP and MLD are those of a host of the LAN. To the
//! machine nothing need be changed: a bridge takes frames to the MAC of one of its ports for its own.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;

use crate::datagram::{array_at, u16_at};
use crate::frame_source::mac_of;
use crate::headers::Mac;
use crate::iana::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_HOP_BY_HOP, PROTOCOL_ICMPV6, PROTOCOL_IGMP};
use crate::iana::{NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, ROUTER_SOLICITATION};
use crate::offload::checksum::{add, subtract, sum};
use crate::offload::vnet::{NEEDS_CSUM, VNET_LEN};

const SOURCE: usize = 6;
const ETHERTYPE: usize = 12;
const ARP_SENDER_MAC: usize = 22;
const ARP_SENDER: usize = 28;
const IPV4_PROTOCOL: usize = 23;
const IPV4_SOURCE: usize = 26;
const IPV6_NEXT_HEADER: usize = 20;
const IPV6_SOURCE: usize = 22;
const ICMPV6: usize = 54;
const ICMPV6_CHECKSUM: usize = ICMPV6 + 2;
/// The target of a Neighbor Solicitation or Advertisement (RFC 4861 sections 4.3 and 4.4).
const ND_TARGET: usize = ICMPV6 + 8;
/// Queries, reports and leave messages of MLD.
const MLD: [u8; 4] = [130, 131, 132, 143];
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

    /// A read from the TAP: virtio-net header and frame.
    #[inline(always)]
    pub fn put_on_read(&self, read: &mut [u8]) {
        if let Some((vnet, frame)) = read.split_first_chunk_mut::<VNET_LEN>() {
            self.put_on(frame, vnet.first().is_some_and(|flags| flags & NEEDS_CSUM != 0));
        }
    }

    /// An untagged frame of the bridge that speaks for one of the addresses gets the node's own MAC. `partial`: its checksum is
    /// completed later.
    #[inline(always)]
    pub fn put_on(&self, frame: &mut [u8], partial: bool) {
        if array_at(frame, SOURCE) == Some(self.bridge) {
            self.put_where_own(frame, partial);
        }
    }

    fn put_where_own(&self, frame: &mut [u8], partial: bool) {
        match u16_at(frame, ETHERTYPE) {
            Some(ETHERTYPE_IPV4) if self.is_own::<4>(frame, IPV4_SOURCE) => {
                // Python knows the machine for a listener by the MAC of its LAN.
                if frame.get(IPV4_PROTOCOL) == Some(&PROTOCOL_IGMP) {
                    return;
                }
            }
            Some(ETHERTYPE_ARP) if self.is_own::<4>(frame, ARP_SENDER) => {
                self.replace(frame, ARP_SENDER_MAC);
            }
            Some(ETHERTYPE_IPV6) if !is_mld(frame) => {
                let message = nd_message(frame);
                let target = message == Some(NEIGHBOR_ADVERTISEMENT) && self.is_own::<16>(frame, ND_TARGET);
                if !target && !self.is_own::<16>(frame, IPV6_SOURCE) {
                    return;
                }
                if let Some(message) = message {
                    self.replace_options(frame, message, partial);
                }
            }
            _ => return,
        }
        self.replace(frame, SOURCE);
    }

    fn is_own<const LENGTH: usize>(&self, frame: &[u8], at: usize) -> bool
    where
        IpAddr: From<[u8; LENGTH]>,
    {
        array_at::<LENGTH>(frame, at).is_some_and(|address| self.addresses.contains(&address.into()))
    }

    /// The bridge's MAC at this offset becomes the node's own. False: it is not there.
    fn replace(&self, frame: &mut [u8], at: usize) -> bool {
        let found = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).filter(|mac| **mac == self.bridge);
        found.map(|mac| *mac = self.own).is_some()
    }

    /// The options of a message of Neighbor Discovery that name the bridge's MAC, and its checksum (RFC 1624).
    fn replace_options(&self, frame: &mut [u8], message: u8, partial: bool) {
        let mut at = if message == ROUTER_SOLICITATION { ND_TARGET } else { ND_TARGET + 16 };
        while let Some([kind, length]) = array_at(frame, at).filter(|[_, length]| *length > 0) {
            if LINK_LAYER_ADDRESSES.contains(&kind) && self.replace(frame, at + 2) && !partial {
                if let Some(checksum) = frame.get_mut(ICMPV6_CHECKSUM..).and_then(|rest| rest.first_chunk_mut()) {
                    let before = !u16::from_be_bytes(*checksum);
                    *checksum = (!add(subtract(before, sum(&self.bridge)), sum(&self.own))).to_be_bytes();
                }
            }
            at += usize::from(length) * 8;
        }
    }
}

/// Whether this is MLD: behind hop-by-hop options with a router alert, and from a link-local address (RFC 9777 section 5).
fn is_mld(frame: &[u8]) -> bool {
    let Some([PROTOCOL_ICMPV6, length]) = array_at(frame, ICMPV6) else { return false };
    let message = frame.get(ICMPV6 + 8 + usize::from(length) * 8);
    frame.get(IPV6_NEXT_HEADER) == Some(&PROTOCOL_HOP_BY_HOP) && message.is_some_and(|kind| MLD.contains(kind))
}

/// The type of a message of Neighbor Discovery that names a MAC of who sends it; kernels put no extension headers before one.
fn nd_message(frame: &[u8]) -> Option<u8> {
    let kind = *frame.get(ICMPV6)?;
    let names = matches!(kind, ROUTER_SOLICITATION | NEIGHBOR_SOLICITATION | NEIGHBOR_ADVERTISEMENT);
    (names && frame.get(IPV6_NEXT_HEADER) == Some(&PROTOCOL_ICMPV6)).then_some(kind)
}
