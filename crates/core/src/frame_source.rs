//! Frames and who may send them: the source MAC and sender address, held against the certificates of the nodes.
//!
//! A frame from a node has that node's own MAC (`02:54`, then its index) or, where the node has the role `bridge`, any MAC
//! that is no node's. Its IPv4, IPv6, ARP or Neighbor Discovery sender is no address that a certificate gives to another node;
//! but a bridge may carry the frames of a node's machine whose LAN it carries (`carried`). All tags are passed, as kernels
//! pass them. To a group it is one that the node's certificate lets it send to. The rules and why: `docs/dataplane.md`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;
use std::sync::Arc;

use crate::broadcast_signature::PublicKey;
use crate::datagram::{array_at, u16_at};
use crate::frame::never_crosses;
use crate::headers::{ipv6, Fragmentation, Frame, Mac};
use crate::iana::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_VLAN};
use crate::iana::{NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, ROUTER_SOLICITATION};
use crate::iana::{PROTOCOL_ICMPV6, PROTOCOL_NONE};
use crate::limits::{MAX_CERTIFIED_ADDRESSES, MAX_CERTIFIED_NODES};
use crate::prefixes::Prefix;
use crate::reason::Reason;
use crate::table::{Refused, Table};

/// The MAC of a node's own interface begins so (docs/protocol.md section 2).
const NODE_MAC_PREFIX: [u8; 2] = [0x02, 0x54];
const VLAN_TAG_LEN: usize = 4;
/// The scope of IPv6 groups that no router forwards (RFC 4291 section 2.7).
const LINK_LOCAL_SCOPE: u8 = 2;

/// The frames that a node may send, by its certificate and its own hosts, and the key that signs its broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedNode {
    /// The role: frames of other machines than its own.
    pub bridge: bool,
    /// A bridge that claims no host with its addresses now: its machine is on a LAN that another node carries.
    pub carried: bool,
    /// The addresses of its own machine.
    pub addresses: Box<[IpAddr]>,
    /// Its public signing key.
    pub signing_key: PublicKey,
    /// The groups that it may send to, besides those of link-local scope; None: all.
    pub send_to: Option<Box<[Prefix]>>,
}

impl CertifiedNode {
    /// May it advertise that its machine has this address? With the role, others may have it for which it advertises.
    fn speaks_for(&self, address: IpAddr) -> bool {
        self.bridge || address.is_unspecified() || self.addresses.contains(&address)
    }

    fn permits(&self, group: IpAddr) -> bool {
        self.send_to.as_ref().is_none_or(|prefixes| prefixes.iter().any(|prefix| prefix.contains(group)))
    }
}

/// The nodes whose certificates are known.
#[derive(Debug)]
pub(crate) struct CertifiedNodes {
    nodes: Table<u32, Arc<CertifiedNode>>,
    owners: Table<IpAddr, u32>,
}

impl Default for CertifiedNodes {
    fn default() -> Self {
        Self { nodes: Table::new(MAX_CERTIFIED_NODES), owners: Table::new(MAX_CERTIFIED_ADDRESSES) }
    }
}

/// The address that a frame is from, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimedSender {
    None,
    V4([u8; 4]),
    V6([u8; 16]),
    /// Hosts that receive it send what is for this address to the frame's MAC from then on.
    Arp([u8; 4]),
}

/// A node, and the source of a frame of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameSource {
    node: u32,
    mac: Mac,
    sender: ClaimedSender,
}

/// A source that was found right: it is so for the rest of a batch.
#[derive(Debug)]
pub(crate) struct KnownSource {
    source: FrameSource,
    /// Its node, where that may not send to all groups.
    limited: Option<Arc<CertifiedNode>>,
}

impl ClaimedSender {
    #[inline(always)]
    fn of(bytes: &[u8], ethertype: u16, network: usize) -> Self {
        let sender = match ethertype {
            ETHERTYPE_IPV4 => array_at(bytes, network + 12).map(Self::V4),
            ETHERTYPE_IPV6 => array_at(bytes, network + 8).map(Self::V6),
            ETHERTYPE_ARP => array_at(bytes, network + 14).map(Self::Arp),
            _ => None,
        };
        sender.unwrap_or(Self::None)
    }

    fn address(self) -> Option<IpAddr> {
        match self {
            Self::None => None,
            Self::V4(octets) | Self::Arp(octets) => Some(octets.into()),
            Self::V6(octets) => Some(octets.into()),
        }
    }
}

impl CertifiedNodes {
    /// A node's certificate, or another state of its. What it has is protected without a gap.
    pub(crate) fn put(&self, node: u32, certified: CertifiedNode) -> Result<(), Refused> {
        for address in &certified.addresses {
            self.owners.insert(*address, node)?;
        }
        let before = self.nodes.insert(node, Arc::new(certified.clone()))?;
        self.disown(node, before.as_deref(), &certified.addresses);
        Ok(())
    }

    pub(crate) fn remove(&self, node: u32) {
        self.disown(node, self.nodes.remove(&node).as_deref(), &[]);
    }

    /// The key that signs the node's broadcast.
    pub(crate) fn signing_key(&self, node: u32) -> Option<PublicKey> {
        self.nodes.get(&node).map(|certified| certified.signing_key)
    }

    fn disown(&self, node: u32, before: Option<&CertifiedNode>, kept: &[IpAddr]) {
        for address in before.iter().flat_map(|before| &before.addresses).filter(|address| !kept.contains(address)) {
            if self.owners.get(address) == Some(node) {
                self.owners.remove(address);
            }
        }
    }

    /// Whether a node's certificate lets it send to a group; that of one that is not known does.
    pub(crate) fn permits(&self, node: u32, group: IpAddr) -> bool {
        self.nodes.get(&node).is_none_or(|certified| certified.permits(group))
    }

    fn check(&self, source: FrameSource) -> Result<KnownSource, Reason> {
        let node = source.node;
        let certified = self.nodes.get(&node);
        match owner_of(source.mac) {
            Some(owner) if owner == node => {}
            None if certified.as_ref().is_some_and(|certified| certified.bridge) => {}
            _ => return Err(Reason::SourceOfAnotherNode),
        }
        source.sender.address().map_or(Ok(()), |address| self.check_address(&source, address))?;
        if let ClaimedSender::Arp(octets) = source.sender {
            self.check_binding(node, octets.into())?;
        }
        Ok(KnownSource { source, limited: certified.filter(|certified| certified.send_to.is_some()) })
    }

    /// A node without the role bridge has the addresses of its certificate and no others.
    fn check_binding(&self, node: u32, address: IpAddr) -> Result<(), Reason> {
        let speaks_for = self.nodes.get(&node).is_none_or(|certified| certified.speaks_for(address));
        speaks_for.then_some(()).ok_or(Reason::SourceOfAnotherNode)
    }

    fn check_address(&self, source: &FrameSource, address: IpAddr) -> Result<(), Reason> {
        let owner = self.owners.get(&address).filter(|owner| *owner != source.node);
        let of_a_host = owner_of(source.mac).is_none();
        match owner.map(|owner| self.nodes.get(&owner)) {
            None => Ok(()),
            Some(Some(owner)) if owner.carried && of_a_host => Ok(()),
            Some(_) => Err(Reason::SourceOfAnotherNode),
        }
    }
}

impl CertifiedNodes {
    /// Refuses a frame that cannot be of this node, or that it may not send, or that never leaves its LAN. `last`: the source that was found right last in the
    /// same batch.
    #[inline(always)]
    pub(crate) fn check_frame(
        &self,
        frame: &Frame<'_>,
        node: u32,
        last: &mut Option<KnownSource>,
    ) -> Result<(), Reason> {
        let Some(mac) = frame.source() else { return Err(Reason::FrameShort) };
        if never_crosses(frame) {
            return Err(Reason::FrameNeverCrosses);
        }
        let (ethertype, network) = behind_tags(frame);
        let source = FrameSource { node, mac, sender: ClaimedSender::of(frame.bytes, ethertype, network) };
        if last.as_ref().is_none_or(|known| known.source != source) {
            *last = Some(self.check(source)?);
        }
        if ethertype == ETHERTYPE_IPV6 {
            self.check_neighbour(frame, network, &source)?;
        }
        if let Some(node) = last.as_ref().and_then(|known| known.limited.as_ref()) {
            if group_at(frame.bytes, ethertype, network).is_some_and(|group| !node.permits(group)) {
                return Err(Reason::FrameNotPermitted);
            }
        }
        Ok(())
    }

    /// A Neighbor Advertisement is about its target (RFC 4861 section 4.4), whichever address it comes from; solicitations for
    /// their source. Where one could hide behind extension headers that nobody can pass, the packet is refused.
    #[inline(always)]
    fn check_neighbour(&self, frame: &Frame<'_>, network: usize, source: &FrameSource) -> Result<(), Reason> {
        let read = network == frame.headers.network;
        let packet = if read { frame.headers.ip } else { ipv6(frame.bytes, network) };
        let Some(packet) = packet else { return Ok(()) };
        let kind = frame.bytes.get(packet.transport).copied().filter(|_| packet.protocol == PROTOCOL_ICMPV6);
        match packet.protocol {
            _ if kind == Some(NEIGHBOR_ADVERTISEMENT) => {
                let Some(target) = array_at::<16>(frame.bytes, packet.transport + 8).map(IpAddr::from) else {
                    return Ok(());
                };
                self.check_address(source, target)?;
                self.check_binding(source.node, target)
            }
            _ if matches!(kind, Some(ROUTER_SOLICITATION | NEIGHBOR_SOLICITATION)) => {
                source.sender.address().map_or(Ok(()), |address| self.check_binding(source.node, address))
            }
            PROTOCOL_NONE if packet.options && packet.fragmentation != Fragmentation::Later => {
                Err(Reason::SourceOfAnotherNode)
            }
            _ => Ok(()),
        }
    }
}

/// A node's own MAC.
pub(crate) fn mac_of(node: u32) -> Mac {
    let ([a, b], [c, d, e, f]) = (NODE_MAC_PREFIX, node.to_be_bytes());
    [a, b, c, d, e, f]
}

/// The node whose own MAC this is.
fn owner_of(mac: Mac) -> Option<u32> {
    let [a, b, index @ ..] = mac;
    ([a, b] == NODE_MAC_PREFIX).then(|| u32::from_be_bytes(index))
}

/// The group that a frame's IP packet is for, as [`group_at`] has it.
pub(crate) fn group_of(frame: &Frame<'_>) -> Option<IpAddr> {
    let (ethertype, network) = behind_tags(frame);
    group_at(frame.bytes, ethertype, network)
}

/// The group that an IP packet is for, whatever the MAC: kernels go by the address. None where it is for none, or for one of
/// link-local scope, which are not counted among groups (RFC 4541 section 2.1.2).
fn group_at(bytes: &[u8], ethertype: u16, network: usize) -> Option<IpAddr> {
    match ethertype {
        ETHERTYPE_IPV4 => match array_at::<4>(bytes, network + 16)? {
            [224, 0, 0, _] => None,
            group @ [224..=239, ..] => Some(group.into()),
            _ => None,
        },
        ETHERTYPE_IPV6 => match array_at::<16>(bytes, network + 24)? {
            group @ [0xFF, second, ..] if second & 0x0F > LINK_LOCAL_SCOPE => Some(group.into()),
            _ => None,
        },
        _ => None,
    }
}

/// The EtherType behind all tags, and the offset of what follows it. Kernels pass a tag of VLAN 0 as if it were not there,
/// however many there are.
#[inline(always)]
fn behind_tags(frame: &Frame<'_>) -> (u16, usize) {
    let (mut ethertype, mut network) = (frame.headers.ethertype, frame.headers.network);
    while matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN) {
        network += VLAN_TAG_LEN;
        ethertype = u16_at(frame.bytes, network - 2).unwrap_or_default();
    }
    (ethertype, network)
}
