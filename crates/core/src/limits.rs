//! Limits of the data plane's tables. `docs/limits.md` says what happens when one is full.

/// Nodes with a session; as many whose traffic is remembered, or whose fingerprint differs.
pub const MAX_PEERS: usize = 65_536;
/// Sessions; addresses of peers.
pub const MAX_SESSIONS: usize = 4 * MAX_PEERS;
/// Sessions of one peer that live at once (docs/protocol.md section 3).
pub const MAX_SESSIONS_PER_PEER: usize = 3;
/// Addresses besides its path from which datagrams of a node came, that have answered no challenge.
pub const MAX_UNVALIDATED_ADDRESSES: usize = 4;
/// Hosts of other nodes.
pub const MAX_HOSTS: usize = 262_144;
/// Nodes whose certificate limits what they may send.
pub const MAX_CERTIFIED_NODES: usize = 65_536;
/// Addresses that certificates give to them.
pub const MAX_CERTIFIED_ADDRESSES: usize = 4 * MAX_CERTIFIED_NODES;
/// Trees of this node.
pub const MAX_ROOT_TREES: usize = 65_536;
/// Streams of other nodes.
pub const MAX_DOWNSTREAM_STREAMS: usize = 131_072;
/// Streams of one root among them: twice what Python takes, which keeps one for a moment that another has followed.
pub const MAX_DOWNSTREAM_STREAMS_PER_ROOT: usize = 34_816;
/// Trees of other nodes, at most two of each stream.
pub const MAX_DOWNSTREAM_TREES: usize = 2 * MAX_DOWNSTREAM_STREAMS;
/// Children of a node on a tree but its root: so the record with them fits every underlay.
pub const MAX_TREE_CHILDREN: usize = 256;
/// Datagrams of a tree's history: no window is wider.
pub const MAX_HISTORY_DATAGRAMS: usize = 32_768;
/// Groups with a route, of all VLANs; groups with filters of ports.
pub const MAX_GROUPS: usize = 65_536;
/// Prefixes of groups with a route, of all VLANs.
pub const MAX_PREFIXES: usize = 1024;
/// Sender keys of one root that wait for `accept_key` or `refuse_key`; as many states of its trees.
pub const MAX_OFFERS_PER_ROOT: usize = 4096;
/// The TAP and packet ports.
pub const MAX_PORTS: usize = 4;
/// Hosts seen on one port.
pub const MAX_SEEN_HOSTS: usize = 4096;
/// Senders to groups that are counted.
pub const MAX_FLOWS: usize = 8192;
/// Neighbours with budgets of Forward in one of 64 shards. Indices are given one after another: the shards are about alike.
pub const MAX_BUDGETS_PER_SHARD: usize = 4096;
/// Nodes that share a budget of Forward and are distinguished.
pub const MAX_SHARERS: usize = 64;
/// Frames of one session or tree of which parts are missing.
pub const MAX_REASSEMBLIES_PER_SENDER: usize = 64;
/// Frames in all of which parts are missing: with their places 1.6 MB of LANs with an MTU of 1500, 9.3 MB at most.
pub const MAX_REASSEMBLIES: usize = 1024;
/// Nodes, once for each reason, of which something was refused since Python last looked: about a second.
pub const MAX_REFUSALS: usize = 1024;
/// Handshakes of one half of the time whose answers count: where there are more, the older half makes room.
pub const MAX_EXPECTED_ANSWERS: usize = 65_536;
