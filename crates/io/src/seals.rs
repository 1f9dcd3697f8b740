//! Seals: a session, a session whose datagrams take a route, or a tree, each with its datagrams' form (docs/protocol.md sections
//! 4 and 5).

use treecast_core::datagram::{Inner, KIND_FORWARD, SESSION_OVERHEAD};
use treecast_core::forward::{ForwardHeader, FORWARD_HEADER_LEN, FORWARD_OVERHEAD, INNER_DATAGRAM_OFFSET};
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Members, RootTree, TREE_BODY_OFFSET};
use treecast_core::session::{Session, SESSION_BODY_OFFSET};

use crate::sys::thread::monotonic_ns;

/// A session or a tree: what seals.
pub trait Seals {
    /// Where the body starts.
    const BODY_OFFSET: usize;
    /// Bytes of a datagram around its body.
    fn overhead(&self) -> usize;
    /// Seals the body that lies in `buffer`; the datagram's length.
    fn seal(&self, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason>;
    /// The id of the next frame that goes in parts.
    fn next_fragment_id(&self) -> u32;

    /// Writes a body, in two pieces, into `buffer` and seals it there; the datagram's length.
    fn seal_body(&self, inner: Inner, [front, back]: [&[u8]; 2], buffer: &mut [u8]) -> Result<usize, Reason> {
        let body_len = front.len() + back.len();
        let body =
            buffer.get_mut(Self::BODY_OFFSET..).and_then(|rest| rest.get_mut(..body_len)).ok_or(Reason::TooBig)?;
        let (to_front, to_back) = body.split_at_mut(front.len());
        to_front.copy_from_slice(front);
        to_back.copy_from_slice(back);
        self.seal(inner, body_len, buffer)
    }
}

impl Seals for Session {
    const BODY_OFFSET: usize = SESSION_BODY_OFFSET;

    fn overhead(&self) -> usize {
        SESSION_OVERHEAD
    }

    fn seal(&self, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        self.seal(inner, body_len, buffer)
    }

    fn next_fragment_id(&self) -> u32 {
        self.next_fragment_id()
    }
}

/// A session with a node that has a route: sealed for that node, and in place once more for the next hop.
#[allow(missing_docs)]
#[derive(Debug)]
pub struct Routed<'t> {
    pub session: &'t Session,
    pub next_hop: &'t Session,
    pub header: ForwardHeader,
    /// Whether the next hop is that of the route, of which it is counted what has come.
    pub is_counted: bool,
}

impl Seals for Routed<'_> {
    const BODY_OFFSET: usize = INNER_DATAGRAM_OFFSET + SESSION_BODY_OFFSET;

    fn overhead(&self) -> usize {
        FORWARD_OVERHEAD + SESSION_OVERHEAD
    }

    fn seal(&self, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        let (front, datagram) = buffer.split_at_mut_checked(INNER_DATAGRAM_OFFSET).ok_or(Reason::TooBig)?;
        let length = self.session.seal(inner, body_len, datagram)?;
        front[SESSION_BODY_OFFSET..].copy_from_slice(&self.header.emit());
        self.session.traffic.tx.add(1, length as u64);
        if self.is_counted {
            self.session.datagram_counts.add_routed(inner.kind);
        }
        let forward = Inner { kind: KIND_FORWARD, checksum: None };
        self.next_hop.seal(forward, FORWARD_HEADER_LEN + length, buffer)
    }

    fn next_fragment_id(&self) -> u32 {
        self.session.next_fragment_id()
    }
}

/// A tree, for the members that the frame was looked up for: they hold the key that they were looked up with.
#[derive(Debug)]
pub struct TreeSeal<'t>(pub &'t RootTree, pub &'t Members);

impl Seals for TreeSeal<'_> {
    const BODY_OFFSET: usize = TREE_BODY_OFFSET;

    fn overhead(&self) -> usize {
        self.0.overhead()
    }

    fn seal(&self, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        self.0.admit(monotonic_ns)?;
        self.0.seal(self.1, inner, body_len, buffer)
    }

    fn next_fragment_id(&self) -> u32 {
        self.0.next_fragment_id()
    }
}
