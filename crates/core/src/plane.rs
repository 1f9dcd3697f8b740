//! The tables, and what they say about one frame or one datagram. `io` carries it out.
//!
//! Everything here may be called by workers and by Python's thread at once; nothing on a packet's way waits for a lock that
//! the control plane holds. The control plane's side is in [`crate::control`].

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::control::ParkedKeys;
use crate::counters::{Counter, Counters, Volume};
use crate::datagram::{
    u64_at, Inner, PartialChecksum, SessionHeader, TreeHeader, TreeName, INNER_LEN, MAX_CONTROL_LEN,
};
use crate::datagram::{KIND_CONTROL, KIND_FRAGMENT, KIND_FRAME, KIND_PROBE, KIND_PROBE_REPLY, KIND_SENDER_KEY};
use crate::datagram::{SESSION_HEADER_LEN, TREE_HEADER_LEN};
use crate::events::{Event, Events};
use crate::fragment::{Arrived, Fragment, Reassembly, Sender, FRAGMENT_HEADER_LEN};
use crate::frame::{FrameFacts, FrameKind, Mac};
use crate::mac::{MacKey, NETWORK_ID_LEN};
use crate::port::{Port, Storm};
use crate::reason::{Drops, Reason};
use crate::session::{Endpoint, Peer, Session};
use crate::table::Table;
use crate::tree::{KeyOffer, MemberTree, Outlet, RootTree};

const MAX_PEERS: usize = 65_536;
const MAX_SESSIONS: usize = 4 * MAX_PEERS;
const MAX_HOSTS: usize = 262_144;
const MAX_GROUPS: usize = 65_536;
const MAX_TREES: usize = 65_536;
const MAX_MEMBER_TREES: usize = 262_144;
/// Ports at most: the TAP is number 0.
pub const MAX_PORTS: usize = 4;
const ETHERNET_HEADER_LEN: usize = 14;

/// One route: frames to a group (from a source) take a tree.
#[derive(Debug)]
pub struct Route {
    /// 802.1Q VLAN id, 0 when untagged.
    pub vlan: u16,
    /// Destination group.
    pub group: IpAddr,
    /// Source, or any without a route of its own.
    pub source: Option<IpAddr>,
    /// The tree.
    pub tree_id: u32,
    /// Frames taken by this route.
    pub tx: Arc<Volume>,
}

/// The routes of one group.
#[derive(Clone, Debug, Default)]
pub struct GroupRoutes {
    /// (*,G)
    pub any: Option<Arc<Route>>,
    /// (S,G), sorted by source.
    pub sources: Vec<(IpAddr, Arc<Route>)>,
}

impl GroupRoutes {
    fn find(&self, source: IpAddr) -> Option<Arc<Route>> {
        match self.sources.binary_search_by_key(&source, |(source, _)| *source) {
            Ok(position) => self.sources.get(position).map(|(_, route)| route.clone()),
            Err(_) => self.any.clone(),
        }
    }
}

/// Where a host's frame goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To one node.
    Node(Arc<Session>),
    /// Down a tree of ours; group frames have a route, whose frames are counted.
    Tree(Arc<RootTree>, Option<Arc<Route>>),
}

/// The decision about a host's frame.
#[derive(Debug)]
pub struct Verdict {
    /// Python is to see it.
    pub punt: bool,
    /// Where it goes. None: nowhere, Python has it.
    pub destination: Option<Result<Destination, Reason>>,
}

/// What an authentic datagram holds.
#[derive(Debug)]
pub enum Received {
    /// A frame for the TAP, or a part of one.
    Opened(Opened),
    /// A probe to be answered on its session.
    Probe(Arc<Session>, u64),
    /// Nothing more to do.
    Done,
}

/// A tree whose datagram may go on, and to whom.
pub type Relay = (Arc<MemberTree>, Arc<Outlet>);

/// What the datagram before belonged to: most belong to the same. Not kept beyond a batch, for tables change.
#[derive(Debug, Default)]
pub struct Recent {
    session: Option<Arc<Session>>,
    tree: Option<Arc<MemberTree>>,
}

/// Where an opened frame lies in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedFrame {
    /// Offset of its first byte.
    pub start: usize,
    /// Its length.
    pub length: usize,
    /// Its checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
}

/// What was sealed: a frame, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A frame.
    Frame(OpenedFrame),
    /// Bytes of a frame.
    Part(OpenedPart),
}

/// Where a part of a frame lies in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedPart {
    /// Whose counter its id is of.
    pub sender: Sender,
    /// Its header.
    pub fragment: Fragment,
    /// Offset of its first byte.
    pub start: usize,
    /// How many bytes there are.
    pub length: usize,
    /// The whole frame's checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
}

/// See the module.
#[derive(Debug)]
pub struct Plane {
    /// This node's index.
    pub node_index: u32,
    /// Dropped, by reason.
    pub drops: Drops,
    /// Totals.
    pub counters: Counters,
    /// For Python.
    pub events: Events,
    /// Member trees with next hops: while there are none, nobody looks for datagrams to relay.
    pub(crate) relaying: AtomicUsize,
    ports: [Port; MAX_PORTS],
    reassembly: Reassembly,
    pub(crate) mac: MacKey,
    pub(crate) sessions: Table<u32, Arc<Session>>,
    pub(crate) peers: Table<u32, Arc<Peer>>,
    pub(crate) addresses: Table<SocketAddr, u32>,
    pub(crate) hosts: Table<(u16, Mac), u32>,
    pub(crate) routes: Table<(u16, IpAddr), Arc<GroupRoutes>>,
    pub(crate) trees: Table<u32, Arc<RootTree>>,
    pub(crate) member_trees: Table<TreeName, Arc<MemberTree>>,
    pub(crate) parked: Mutex<ParkedKeys>,
    /// The control plane's changes exclude each other.
    pub(crate) writing: Mutex<()>,
}

impl Plane {
    /// Empty tables. `wake` is called when events begin to wait.
    pub fn new(node_index: u32, network_id: &[u8; NETWORK_ID_LEN], wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            node_index,
            drops: Drops::default(),
            counters: Counters::default(),
            events: Events::new(wake),
            relaying: AtomicUsize::new(0),
            ports: Default::default(),
            reassembly: Reassembly::default(),
            mac: MacKey::new(network_id),
            sessions: Table::new(MAX_SESSIONS),
            peers: Table::new(MAX_PEERS),
            addresses: Table::new(MAX_SESSIONS),
            hosts: Table::new(MAX_HOSTS),
            routes: Table::new(MAX_GROUPS),
            trees: Table::new(MAX_TREES),
            member_trees: Table::new(MAX_MEMBER_TREES),
            parked: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// Queues an event, or counts why not.
    pub fn tell(&self, event: Event, now_ns: u64) {
        if let Err(reason) = self.events.push(event, now_ns) {
            self.drops.count(reason);
        }
    }

    /// The port with this number.
    pub fn port(&self, number: u32) -> Option<&Port> {
        self.ports.get(number as usize)
    }

    /// Decides about a host's frame, or about a super-frame that holds `frames` of them.
    pub fn classify(&self, port: u32, frame: &[u8], frames: u32, now_ns: u64) -> Verdict {
        let nowhere = |reason| Verdict { punt: false, destination: Some(Err(reason)) };
        let Some(here) = self.port(port) else { return nowhere(Reason::PortBlocked) };
        let facts = match FrameFacts::of(frame) {
            Ok(facts) => facts,
            Err(reason) => return nowhere(reason),
        };
        let copied = matches!(facts.kind, FrameKind::PuntUnicast(_) | FrameKind::PuntBroadcast);
        if matches!(facts.kind, FrameKind::Punt | FrameKind::Beacon) {
            if facts.kind == FrameKind::Punt && here.forwards() {
                self.saw(here, port, &facts, now_ns);
            }
            return Verdict { punt: true, destination: None };
        }
        if !here.forwards() {
            return Verdict { punt: copied, destination: Some(Err(Reason::PortBlocked)) };
        }
        self.saw(here, port, &facts, now_ns);
        Verdict { punt: copied, destination: Some(self.destination(here, &facts, frames, now_ns)) }
    }

    /// Where it goes, within the port's limits: what goes nowhere uses none of them up.
    fn destination(&self, port: &Port, facts: &FrameFacts, frames: u32, now_ns: u64) -> Result<Destination, Reason> {
        let (storm, destination) = match facts.kind {
            FrameKind::Unicast(mac) | FrameKind::PuntUnicast(mac) => match self.unicast(facts.vlan, mac) {
                Err(Reason::UnknownUnicast) if port.floods_unknown() => {
                    (Storm::UnknownUnicast, self.broadcast(now_ns)?)
                }
                known => return known,
            },
            FrameKind::Group { group, source } => (Storm::Multicast, self.group(facts.vlan, group, source, now_ns)?),
            _ if facts.to_all => (Storm::Broadcast, self.broadcast(now_ns)?),
            _ => (Storm::Multicast, self.broadcast(now_ns)?),
        };
        port.admit(storm, frames, now_ns).map(|()| destination)
    }

    fn saw(&self, here: &Port, port: u32, facts: &FrameFacts, now_ns: u64) {
        let (vlan, mac) = (facts.vlan, facts.source);
        let told = here.saw(vlan, mac, now_ns, || self.events.push(Event::HostSeen { port, vlan, mac }, now_ns));
        if let Err(reason) = told {
            self.drops.count(reason);
        }
    }

    /// The broadcast tree.
    pub fn broadcast(&self, now_ns: u64) -> Result<Destination, Reason> {
        let tree = self.trees.get(&0).ok_or(Reason::NoBroadcastTree)?;
        self.note_use(&tree, now_ns);
        if tree.members.load().is_empty() {
            return Err(Reason::NoBroadcastTree);
        }
        Ok(Destination::Tree(tree, None))
    }

    /// The session to send to a peer on.
    pub fn session_to(&self, peer: u32) -> Result<Arc<Session>, Reason> {
        self.peers.get(&peer).and_then(|peer| peer.current()).ok_or(Reason::NoSession)
    }

    /// The session with this index.
    pub fn session(&self, index: u32) -> Option<Arc<Session>> {
        self.sessions.get(&index)
    }

    /// The peer with this node index.
    pub fn peer(&self, index: u32) -> Option<Arc<Peer>> {
        self.peers.get(&index)
    }

    /// The peer that a session has at this address, for its numbers only: addresses prove nothing.
    pub fn peer_at(&self, address: &SocketAddr) -> Option<Arc<Peer>> {
        self.addresses.get(address).and_then(|index| self.peers.get(&index))
    }

    fn unicast(&self, vlan: u16, mac: Mac) -> Result<Destination, Reason> {
        let peer = self.hosts.get(&(vlan, mac)).ok_or(Reason::UnknownUnicast)?;
        self.session_to(peer).map(Destination::Node)
    }

    fn group(&self, vlan: u16, group: IpAddr, source: IpAddr, now_ns: u64) -> Result<Destination, Reason> {
        let route = self.routes.get(&(vlan, group)).and_then(|routes| routes.find(source));
        let route = route.ok_or(Reason::NoSubscriber)?;
        let tree = self.trees.get(&route.tree_id).ok_or(Reason::NoSubscriber)?;
        self.note_use(&tree, now_ns);
        if tree.members.load().is_empty() {
            return Err(Reason::NoSubscriber);
        }
        Ok(Destination::Tree(tree, Some(route)))
    }

    fn note_use(&self, tree: &RootTree, now_ns: u64) {
        if tree.first_use() {
            self.tell(Event::TreeUsed { tree_id: tree.name.tree_id }, now_ns);
        }
    }

    /// A handshake datagram: length, version, MAC, rate; then Python's.
    pub fn receive_handshake(
        &self,
        datagram: &[u8],
        socket: u32,
        source: SocketAddr,
        now_ns: u64,
    ) -> Result<(), Reason> {
        self.mac.check(datagram)?;
        self.events.push(Event::Handshake { socket, source, data: datagram.to_vec() }, now_ns)
    }

    /// A session datagram, opened in place. Only an authentic, fresh one changes anything.
    pub fn receive_session(
        &self,
        datagram: &mut [u8],
        from: Endpoint,
        now_ns: u64,
        recent: &mut Recent,
    ) -> Result<Received, Reason> {
        let header = SessionHeader::parse(datagram)?;
        if recent.session.as_ref().is_none_or(|session| session.index != header.receiver) {
            recent.session = self.sessions.get(&header.receiver);
        }
        let session = recent.session.as_ref().ok_or(Reason::SessionUnknown)?;
        let opened = session.open(&header, datagram, now_ns)?;
        if opened.first {
            self.confirm(session, now_ns);
        }
        if let Some(before) = opened.newest.then(|| session.move_to(from)).flatten() {
            self.moved(session, before, from, now_ns);
        }
        let inner = Inner::parse(opened.plaintext)?;
        let body = opened.plaintext.get(INNER_LEN..).unwrap_or_default();
        match inner.kind {
            KIND_FRAME => frame(SESSION_HEADER_LEN, inner, body.len()).map(Received::Opened),
            KIND_FRAGMENT => {
                part(SESSION_HEADER_LEN, inner, body, Sender::Session(session.index)).map(Received::Opened)
            }
            KIND_CONTROL if body.len() > MAX_CONTROL_LEN => Err(Reason::ControlTooBig),
            KIND_CONTROL => {
                let event = Event::Control { peer: session.peer, session: session.index, data: body.to_vec() };
                self.events.push(event, now_ns).map(|()| Received::Done)
            }
            KIND_SENDER_KEY => self.park(KeyOffer::parse(session.peer, body)?, now_ns).map(|()| Received::Done),
            KIND_PROBE => exact_u64(body).map(|value| Received::Probe(session.clone(), value)),
            KIND_PROBE_REPLY => {
                if !session.probe_reply(exact_u64(body)?, now_ns) {
                    return Err(Reason::ProbeUnexpected);
                }
                self.counters.add(Counter::ProbeReplies, 1);
                Ok(Received::Done)
            }
            _ => Err(Reason::KindUnknown),
        }
    }

    /// A tree datagram up to its tree tag.
    pub fn receive_tree<'r>(
        &self,
        datagram: &[u8],
        recent: &'r mut Recent,
    ) -> Result<(TreeHeader, &'r Arc<MemberTree>), Reason> {
        let header = TreeHeader::parse(datagram)?;
        if header.tree.root == self.node_index {
            return Err(Reason::TreeReflected);
        }
        if recent.tree.as_ref().is_none_or(|tree| tree.name != header.tree) {
            recent.tree = self.member_trees.get(&header.tree);
        }
        let tree = recent.tree.as_ref().ok_or(Reason::TreeUnknown)?;
        tree.verify_tag(datagram)?;
        Ok((header, tree))
    }

    /// Is this node a relay of any tree?
    pub fn relays(&self) -> bool {
        self.relaying.load(Ordering::Relaxed) > 0
    }

    /// A tree datagram of a tree with next hops, up to its replay window: then it may go on as it is. None when it is no
    /// such datagram.
    pub fn relay(&self, datagram: &[u8]) -> Option<Result<Relay, Reason>> {
        let header = TreeHeader::parse(datagram).ok()?;
        let tree = self.member_trees.get(&header.tree)?;
        let outlet = tree.outlet.load_full();
        if !outlet.relays() || header.tree.root == self.node_index {
            return None;
        }
        let fresh = tree.verify_tag(datagram).and_then(|()| tree.mark(header.counter, datagram.len()));
        Some(fresh.map(|()| (tree, outlet)))
    }

    /// Opens a datagram whose tree tag is right, and marks it unless it was relayed, which has marked it.
    pub fn open_tree(
        &self,
        tree: &MemberTree,
        header: &TreeHeader,
        datagram: &mut [u8],
        relayed: bool,
    ) -> Result<Opened, Reason> {
        let length = datagram.len();
        let plaintext = tree.open(header, datagram)?;
        if !relayed {
            tree.mark(header.counter, length)?;
        }
        opened_tree(tree.name, plaintext)
    }

    /// Takes a part of a frame, whose bytes are given. When it was the last to come, the frame is written to `out`, of at
    /// least [`crate::fragment::MAX_FRAME_LEN`] bytes: its length.
    pub fn reassemble(
        &self,
        part: &OpenedPart,
        bytes: &[u8],
        now_ns: u64,
        out: &mut [u8],
    ) -> Result<Option<usize>, Reason> {
        let OpenedPart { sender, fragment, checksum, .. } = *part;
        self.reassembly.take(&Arrived { sender, fragment, checksum, bytes }, now_ns, out, &self.drops)
    }

    /// Gives up frames whose other part did not come; to be called now and then.
    pub fn expire_fragments(&self, now_ns: u64) {
        self.reassembly.expire(now_ns, &self.drops);
    }

    fn confirm(&self, session: &Session, now_ns: u64) {
        if let Some(peer) = self.peers.get(&session.peer) {
            peer.confirm(session);
        }
        self.tell(Event::SessionConfirmed { peer: session.peer, session: session.index }, now_ns);
    }

    fn moved(&self, session: &Session, before: Endpoint, endpoint: Endpoint, now_ns: u64) {
        self.addresses.remove(&before.address);
        // When the table is full the peer's tree numbers suffer, nothing else.
        let _ = self.addresses.insert(endpoint.address, session.peer);
        self.tell(Event::PeerMoved { peer: session.peer, session: session.index, endpoint }, now_ns);
    }
}

/// What an opened tree datagram holds, whose plaintext is given.
fn opened_tree(name: TreeName, plaintext: &[u8]) -> Result<Opened, Reason> {
    let inner = Inner::parse(plaintext)?;
    let body = plaintext.get(INNER_LEN..).unwrap_or_default();
    match inner.kind {
        KIND_FRAME => frame(TREE_HEADER_LEN, inner, body.len()),
        KIND_FRAGMENT => part(TREE_HEADER_LEN, inner, body, Sender::Tree(name)),
        _ => Err(Reason::KindUnknown),
    }
}

fn frame(header_len: usize, inner: Inner, length: usize) -> Result<Opened, Reason> {
    if length < ETHERNET_HEADER_LEN {
        return Err(Reason::FrameShort);
    }
    Ok(Opened::Frame(OpenedFrame { start: header_len + INNER_LEN, length, checksum: inner.checksum }))
}

fn part(header_len: usize, inner: Inner, body: &[u8], sender: Sender) -> Result<Opened, Reason> {
    let (fragment, bytes) = Fragment::parse(body, inner.checksum)?;
    let start = header_len + INNER_LEN + FRAGMENT_HEADER_LEN;
    Ok(Opened::Part(OpenedPart { sender, fragment, start, length: bytes.len(), checksum: inner.checksum }))
}

fn exact_u64(body: &[u8]) -> Result<u64, Reason> {
    u64_at(body, 0).filter(|_| body.len() == 8).ok_or(Reason::InnerMalformed)
}
