//! Three nodes with known keys: two roots, and the node that takes what a member, one of them, has sealed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use treecast_core::aead::Aead;
use treecast_core::anchor::ANCHOR_INTERVAL;
use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::datagram::{Inner, StreamName, TreeName, BROADCAST_STREAM, MAX_DATAGRAM_LEN};
use treecast_core::datagram::{KIND_ANCHOR, KIND_SENDER_KEY, KIND_TREE_STATE};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::handshake::SessionKeys;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Hops, KeyBefore, RootTree, TREE_BODY_OFFSET};
use treecast_core::session::{Session, SessionParameters, SESSION_BODY_OFFSET};
use treecast_core::tree_control::TreeSecrets;
use treecast_core::tree_state::TreePlace;
use zeroize::Zeroizing;

use crate::handshakes::{signing_key, NETWORK};

/// The member that seals what is fed, and the root of the trees whose datagrams are.
pub const MEMBER: u32 = 1;
/// The node that takes it.
pub const NODE: u32 = 2;
/// Another root, on whose tree the member is a backup child of the node.
pub const OTHER_ROOT: u32 = 3;
/// A stream of a group.
pub const GROUP_STREAM: u32 = 5;
/// A stream of the member whose tree it only offers.
pub const OFFERED_STREAM: u32 = 6;
/// The number of its tree's state, which comes behind those of the three trees that the node is on.
pub const OFFERED_STATE: u64 = 4;
/// The epoch of all trees.
pub const EPOCH: u32 = 7;
/// The id of all sender keys.
pub const KEY_ID: u32 = 3;
/// The index of the node's next session, whose handshake is over.
pub const NEXT_SESSION: u32 = 41;
const START_NS: u64 = 1_000_000_000;

/// The nodes, and the member's end of its session with the node.
pub struct Nodes {
    member: ForwardingTables,
    session: Arc<Session>,
    opened: AtomicU64,
    /// The node that takes it.
    pub node: Arc<ForwardingTables>,
}

/// Where a node is.
pub fn endpoint(node: u32) -> Endpoint {
    Endpoint { socket: 0, address: SocketAddr::from(([192, 0, 2, node as u8], 7700)) }
}

/// A sealed datagram of a session.
pub fn seal(session: &Session, kind: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    buffer.get_mut(SESSION_BODY_OFFSET..)?.get_mut(..body.len())?.copy_from_slice(body);
    let length = session.seal(Inner { kind, checksum: None }, body.len(), &mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// A sealed datagram of a tree.
pub fn seal_tree(tree: &RootTree, inner: Inner, body: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    buffer.get_mut(TREE_BODY_OFFSET..)?.get_mut(..body.len())?.copy_from_slice(body);
    let length = tree.seal(&tree.members.load(), inner, body.len(), &mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// The tables of a node, which signs with a key of all.
pub fn tables(node: u32) -> ForwardingTables {
    ForwardingTables::new(node, &NETWORK, signing_key(), Box::new(|| {}))
}

/// The trees of a root, by their streams, with known keys and the node as their member.
pub fn with_trees(root: ForwardingTables, streams: &[u32]) -> ForwardingTables {
    add_trees(&root, streams, NODE);
    root
}

/// Makes the trees of a root, by their streams, with known keys and one member.
pub fn add_trees(root: &ForwardingTables, streams: &[u32], member: u32) {
    for stream in streams {
        let secrets = TreeSecrets { tree_key: [39; 16], sender_key: Zeroizing::new([38; 32]) };
        root.create_tree(*stream, EPOCH, KEY_ID, secrets).expect("an empty table");
        root.set_tree_members(*stream, Hops::new(&[member], &[])).expect("a tree that is there");
    }
}

fn join(root: &ForwardingTables, node: &ForwardingTables) -> Arc<Session> {
    let index = 10 * root.node_index;
    let keys = |seal: u8| SessionKeys {
        seal: Zeroizing::new([seal ^ 0xA5; 32]),
        open: Zeroizing::new([(3 - seal) ^ 0xA5; 32]),
    };
    for (tables, own, remote, peer, key) in
        [(root, index, index + 1, NODE, 1), (node, index + 1, index, root.node_index, 2)]
    {
        let (aead, endpoint) = (Aead::Aes256Gcm, endpoint(peer));
        let parameters = SessionParameters { index: own, remote_index: remote, peer, endpoint, aead, confirmed: true };
        tables.install_session(parameters, &keys(key), 0).expect("an empty table");
    }
    root.session(index).expect("it was installed")
}

impl Nodes {
    /// The node has a place on each of their trees, and the keys.
    pub fn joined() -> Self {
        Self::around(Arc::new(tables(NODE)))
    }

    /// The same with tables of the node that are there, and empty.
    pub fn around(node: Arc<ForwardingTables>) -> Self {
        let member = with_trees(tables(MEMBER), &[BROADCAST_STREAM, GROUP_STREAM, OFFERED_STREAM]);
        let other = with_trees(tables(OTHER_ROOT), &[GROUP_STREAM]);
        let session = join(&member, &node);
        let of_other = join(&other, &node);
        for root in [MEMBER, OTHER_ROOT] {
            let (addresses, signing_key) = ([].into(), signing_key().public());
            let certified = CertifiedNode { bridge: true, carried: false, addresses, signing_key, send_to: None };
            node.certify_node(root, certified).expect("an empty table");
        }
        let nodes = Self { member, session, opened: AtomicU64::new(0), node };
        for (number, stream) in [(1, BROADCAST_STREAM), (2, GROUP_STREAM)] {
            nodes.take_tree(&nodes.member, &nodes.session, stream, &[], number);
        }
        nodes.take_tree(&other, &of_other, GROUP_STREAM, &[MEMBER], OFFERED_STATE - 1);
        nodes
    }

    /// The member offers a tree to relay, and its key, which the node has not judged yet.
    pub fn offer_another_tree(&self) {
        self.offer_tree(&self.member, &self.session, OFFERED_STREAM, &[OTHER_ROOT]);
    }

    fn take_tree(&self, root: &ForwardingTables, session: &Session, stream: u32, backup_children: &[u32], number: u64) {
        self.offer_tree(root, session, stream, backup_children);
        let name = StreamName { root: root.node_index, stream };
        assert_eq!(self.node.accept_key(name, KEY_ID, None), Ok(true));
        assert_eq!(self.node.accept_tree(name.in_epoch(EPOCH), number), Ok(true));
    }

    fn offer_tree(&self, root: &ForwardingTables, session: &Session, stream: u32, backup_children: &[u32]) {
        let place = place(root.node_index, &[], backup_children);
        let offer = root
            .offer(stream, KEY_ID, KeyBefore { key_id: 1, ends_ms: 2_750 }, b"\xc0", START_NS)
            .expect("a key that is there");
        let state = root.tree_state(stream, EPOCH, &place).expect("a tree that is there");
        for (kind, body) in [(KIND_SENDER_KEY, &offer), (KIND_TREE_STATE, &state)] {
            let mut datagram = seal(session, kind, body).expect("it fits");
            let from = endpoint(root.node_index);
            self.node.receive_session(&mut datagram, from, START_NS, &mut Recent::default()).expect("it is valid");
        }
    }

    /// The member's datagram of this kind as the node receives it; None where the body is too long for one.
    pub fn receive(&self, kind: u8, body: &[u8], now_ns: u64) -> Option<(Result<Received, Reason>, Vec<u8>)> {
        let mut datagram = seal(&self.session, kind, body)?;
        let received = self.node.receive_session(&mut datagram, endpoint(MEMBER), now_ns, &mut Recent::default());
        Some((received, datagram))
    }

    /// A tree datagram of the member, sealed and signed, as the node opens it; None where it is too long for one.
    pub fn open(
        &self,
        stream: u32,
        inner: Inner,
        body: &[u8],
        now_ns: u64,
    ) -> Option<(Result<Opened, Reason>, Vec<u8>)> {
        let tree = self.member.tree(stream)?;
        if self.opened.fetch_add(1, Ordering::Relaxed) % (ANCHOR_INTERVAL / 4) == 0 {
            for tree in self.member.trees() {
                self.receive(KIND_ANCHOR, &tree.anchor_now(now_ns).0.emit(), now_ns)?.0.expect("an anchor is valid");
            }
        }
        let mut datagram = seal_tree(&tree, inner, body)?;
        let (mut recent, mut known) = (Recent::default(), None);
        let received = if stream == BROADCAST_STREAM {
            self.node.receive_broadcast(&datagram, MEMBER, &mut known)
        } else {
            self.node.receive_tree(&datagram, endpoint(MEMBER).address, now_ns, &mut recent)
        };
        let (header, tree) = received.expect("its seals are right");
        let opened = self.node.open_tree(tree, &header, &mut datagram, false, now_ns);
        Some((opened, datagram))
    }
}

/// A place on a tree below a root.
pub fn place(root: u32, children: &[u32], backup_children: &[u32]) -> TreePlace {
    TreePlace {
        parent: root,
        children: children.into(),
        backup_children: backup_children.into(),
        ..TreePlace::default()
    }
}

/// The name of a tree.
pub fn tree_name(root: u32, stream: u32) -> TreeName {
    StreamName { root, stream }.in_epoch(EPOCH)
}
