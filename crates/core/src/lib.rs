#![forbid(unsafe_code)]
//! Decisions of the data plane: what a frame or a datagram is, where it goes, what may be believed. No syscalls.
//!
//! `docs/protocol.md` is the wire format. Read [`forwarding_tables`] first: it holds the tables and joins the parts.

pub mod aead;
pub mod anchor;
pub mod answered_addresses;
pub mod arrival;
pub mod control;
pub mod cookie;
pub mod counters;
pub mod datagram;
pub mod downstream_tree;
mod downstream_trees;
pub mod egress;
pub mod events;
pub mod expected_answers;
pub mod flows;
pub mod forward;
mod forward_budgets;
mod forwarded;
pub mod forwarding_tables;
pub mod fragment;
pub mod frame;
pub mod frame_source;
pub mod handshake;
pub mod headers;
pub mod iana;
pub mod kem;
pub mod key_steps;
pub mod limits;
pub mod mac;
mod member_key;
pub mod network;
mod node_routes;
pub mod noise;
pub mod offload;
mod padding;
mod peer_queues;
mod pending_offers;
pub mod port;
pub mod prefixes;
pub mod punt;
pub mod rate;
pub mod reason;
pub mod recursive_encapsulation;
pub mod replay;
pub mod root_tree;
pub mod routes;
mod routing;
pub mod rtt;
pub mod session;
mod session_table;
pub mod site;
pub mod source_filter;
pub mod table;
pub mod traffic_class;
pub mod tree_tag;
