//! Numbers that IEEE and IANA have assigned: EtherTypes, IP protocols and types of ICMPv6.

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad tag.
pub const ETHERTYPE_SERVICE_VLAN: u16 = 0x88A8;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86DD;
/// Beacons of nodes on one LAN: IEEE 802 local experimental EtherType 1.
pub const ETHERTYPE_BEACON: u16 = 0x88B5;

/// IPv6 hop-by-hop options.
pub const PROTOCOL_HOP_BY_HOP: u8 = 0;
/// IGMP.
pub const PROTOCOL_IGMP: u8 = 2;
/// TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// IPv6 routing header.
pub const PROTOCOL_ROUTING: u8 = 43;
/// IPv6 fragment header.
pub const PROTOCOL_FRAGMENT: u8 = 44;
/// Authentication header (RFC 4302).
pub const PROTOCOL_AUTHENTICATION: u8 = 51;
/// ICMPv6.
pub const PROTOCOL_ICMPV6: u8 = 58;
/// No next header follows (RFC 8200 section 4.7).
pub const PROTOCOL_NONE: u8 = 59;
/// IPv6 destination options.
pub const PROTOCOL_DESTINATION_OPTIONS: u8 = 60;
/// Experiments (RFC 3692): beacons, to 224.0.0.254.
pub const PROTOCOL_EXPERIMENT: u8 = 253;
/// PIM.
pub const PROTOCOL_PIM: u8 = 103;

/// Router Solicitation (RFC 4861 section 4.1).
pub const ROUTER_SOLICITATION: u8 = 133;
/// Neighbor Solicitation (section 4.3).
pub const NEIGHBOR_SOLICITATION: u8 = 135;
/// Neighbor Advertisement (section 4.4).
pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
