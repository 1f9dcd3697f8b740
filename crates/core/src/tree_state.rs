//! TREE STATE: a node's place on a tree, as its root sends it (docs/protocol.md section 6). Relays receive it, too; it holds no
//! sender key.

use zeroize::Zeroizing;

use crate::datagram::{array_at, u16_at, u32_at, u64_at};
use crate::datagram::{DatagramLimit, StreamName, TreeName, MAX_DATAGRAM_LEN};
use crate::limits::MAX_TREE_CHILDREN;
use crate::reason::Reason;
use crate::tree_tag::TreeKey;

const FIXED_LEN: usize = 4 + 4 + 4 + 8 + 4 + 4 + 2 + 2 + 16;

/// The flag of a state whose backup sends what comes by the tree, too.
const BACKUP_SENDS: u8 = 1;

/// A node's place on a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreePlace {
    /// The node whose datagrams of the tree it takes; 0: it is on the tree no more.
    pub parent: u32,
    /// Another one; 0: none.
    pub backup: u32,
    /// The nodes that it sends them on to, ascending.
    pub children: Box<[u32]>,
    /// The nodes to which it is to do so when their parent is silent, ascending.
    pub backup_children: Box<[u32]>,
    /// The backup sends all of it, too, as another parent.
    pub backup_sends: bool,
}

impl TreePlace {
    /// Does it name this node?
    pub(crate) fn names(&self, node: u32) -> bool {
        self.parent == node || self.backup == node || self.below().any(|below| below == node)
    }

    /// Children and backup children.
    fn below(&self) -> impl Iterator<Item = u32> + '_ {
        self.children.iter().chain(&self.backup_children).copied()
    }

    /// Do datagrams go on from there, or may they?
    pub fn relays(&self) -> bool {
        self.below().next().is_some()
    }

    /// The nodes whose datagrams are taken.
    pub(crate) fn parents(&self) -> Box<[u32]> {
        [self.parent, self.backup].into_iter().filter(|node| *node != 0).collect()
    }
}

/// A tree of another root, and this node's place on it, which Python has not judged yet.
#[derive(Debug)]
pub struct TreeState {
    /// The tree, of the peer that sent it.
    pub tree: TreeName,
    /// The sender key of its datagrams.
    pub key_id: u32,
    /// Where this node is on it.
    pub place: TreePlace,
    /// Its number among the states that wait for Python; 0: none yet.
    pub(crate) number: u64,
    pub(crate) anchor: u64,
    pub(crate) tree_key: TreeKey,
    /// The time at which it came.
    pub(crate) came_ns: u64,
}

impl TreeState {
    /// Reads the body of a session datagram of kind 9 from `root`, which came at `came_ns`. What stands behind the flags, which may be
    /// absent, is left alone.
    pub fn parse(root: u32, body: &[u8], came_ns: u64) -> Result<Self, Reason> {
        let malformed = Reason::TreeStateMalformed;
        let word = |offset| u32_at(body, offset).ok_or(malformed);
        let half = |offset| u16_at(body, offset).map(usize::from).ok_or(malformed);
        let tree = StreamName { root, stream: word(0)? }.in_epoch(word(4)?);
        let anchor = u64_at(body, 12).ok_or(malformed)?;
        let (parent, backup, largest, count) = (word(20)?, word(24)?, half(28)?, half(30)?);
        let tree_key = TreeKey::new(array_at(body, 32).ok_or(malformed)?);
        let behind = FIXED_LEN + 4 * count;
        let backup_count = half(behind)?;
        if count + backup_count > MAX_TREE_CHILDREN {
            return Err(malformed);
        }
        let nodes = |start, count| (0..count).map(|number| word(start + 4 * number)).collect::<Result<Box<[u32]>, _>>();
        let (children, backup_children) = (nodes(FIXED_LEN, count)?, nodes(behind + 2, backup_count)?);
        let is_ascending = |nodes: &[u32]| nodes.windows(2).all(|pair| pair[0] < pair[1]);
        let ascending = is_ascending(&children) && is_ascending(&backup_children);
        let flags = body.get(behind + 2 + 4 * backup_count).copied().unwrap_or_default();
        let backup_sends = backup != 0 && flags & BACKUP_SENDS != 0;
        let place = TreePlace { parent, backup, children, backup_children, backup_sends };
        let is_above = |node| !backup_sends && [parent, backup].contains(&node); // of two trees a child on one may be the parent on the other
        let others = place.below().all(|node| ![root, 0].contains(&node) && !is_above(node))
            && place.children.iter().all(|child| !place.backup_children.contains(child));
        let fits = (DatagramLimit::SHORTEST.datagram_len()..=MAX_DATAGRAM_LEN).contains(&largest);
        let ends = parent == 0 && backup == 0 && !place.relays();
        let above = ends || (parent != 0 && parent != backup);
        if !(above && ascending && others && fits) {
            return Err(malformed);
        }
        Ok(Self { tree, key_id: word(8)?, place, number: 0, anchor, tree_key, came_ns })
    }
}

/// The body of a session datagram of kind 9. `anchor`: of the key; `largest`: the longest datagram that all nodes of the tree carry.
pub(crate) fn emit(
    tree: TreeName,
    key_id: u32,
    anchor: u64,
    largest: usize,
    tree_key: &TreeKey,
    place: &TreePlace,
) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::with_capacity(FIXED_LEN + 3 + 4 * place.below().count()));
    for word in [tree.stream, tree.epoch, key_id] {
        body.extend_from_slice(&word.to_be_bytes());
    }
    body.extend_from_slice(&anchor.to_be_bytes());
    for word in [place.parent, place.backup] {
        body.extend_from_slice(&word.to_be_bytes());
    }
    for half in [largest, place.children.len()] {
        body.extend_from_slice(&u16::try_from(half).unwrap_or(u16::MAX).to_be_bytes());
    }
    body.extend_from_slice(tree_key.bytes().as_slice());
    for child in &place.children {
        body.extend_from_slice(&child.to_be_bytes());
    }
    body.extend_from_slice(&u16::try_from(place.backup_children.len()).unwrap_or(u16::MAX).to_be_bytes());
    for child in &place.backup_children {
        body.extend_from_slice(&child.to_be_bytes());
    }
    body.push(if place.backup_sends { BACKUP_SENDS } else { 0 });
    body
}
