//! Plans of trees: who sends a stream's datagrams on to whom, over measured links, with a bound on each node's children.
//!
//! A plan is a pure function of its request: the same request gives the same tree, whatever order its links were written in.
//! Planned is the compact tree (degree-bounded Dijkstra, as in Shi and Turner's routing in overlay multicast networks): the node
//! that is reached first goes in first, below whoever still has room. [`mod@improvement`] moves nodes up afterwards; [`mod@backups`]
//! has who sends to a node when its parent is gone, [`mod@disjoint`] two trees of which a relay that dies leaves one whole.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod backups;
pub mod compact;
pub mod disjoint;
pub mod graph;
pub mod improvement;
pub mod tree;
