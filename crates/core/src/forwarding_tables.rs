//! The forwarding tables, and the decision about a host's frame by them. `io` carries it out.
//!
//! Everything here may be called by workers and by Python's thread at once; nothing on a packet's way waits for a lock that
//! the control plane holds. The control plane's side is in the files `*_control`, datagrams are in [`crate::arrival`].

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::anchor_requests::AnchorRequests;
use crate::answered_addresses::AnsweredAddresses;
use crate::authenticated_groups::AuthenticatedGroups;
use crate::broadcast_signature::{SigningKey, SuspectChecks};
use crate::cookie::Cookies;
use crate::counters::Counters;
use crate::downstream_stream::KeyOffer;
use crate::downstream_trees::DownstreamTrees;
use crate::events::{Event, Events};
use crate::expected_answers::ExpectedAnswers;
use crate::fingerprints::Fingerprints;
use crate::flows::{FlowKey, FlowTable};
use crate::forward_budgets::ForwardBudgets;
use crate::fragment::Reassembly;
use crate::frame::{FrameFacts, FrameKind};
use crate::frame_source::CertifiedNodes;
use crate::headers::{Frame, Mac};
use crate::limits::{MAX_HOSTS, MAX_PORTS, MAX_ROOT_TREES};
use crate::mac::MacKey;
use crate::network::Network;
use crate::node_routes::NodeRoutes;
use crate::own_source::OwnSource;
use crate::pending_offers::PendingOffers;
use crate::port::{Port, Storm};
use crate::prefixes::PrefixRoutes;
use crate::punt::PuntKind;
use crate::reason::{Drops, Reason};
use crate::refusals::RefusalCounts;
use crate::root_tree::RootTree;
use crate::routes::Routes;
use crate::session::{Peer, Session};
use crate::session_table::SessionTable;
use crate::silence::WatchedTrees;
use crate::source_filter::SourceFilters;
use crate::table::Table;
use crate::tree_state::TreeState;
use crate::verdict::{Destination, RecentFlow, Verdict};

/// The forwarding tables of a node.
#[derive(Debug)]
pub struct ForwardingTables {
    /// This node's index.
    pub node_index: u32,
    /// Dropped, by reason.
    pub drops: Drops,
    /// The part of these of which it is known which node has caused it.
    pub refusals: RefusalCounts,
    /// Totals.
    pub counters: Counters,
    /// Events for Python.
    pub events: Events,
    pub(crate) ports: [Port; MAX_PORTS],
    pub(crate) reassembly: Reassembly,
    pub(crate) mac: MacKey,
    pub(crate) cookies: Cookies,
    /// Answers that the handshakes of this node wait for.
    pub expected_answers: ExpectedAnswers,
    /// Addresses that were sent cookies lately.
    pub answered_addresses: AnsweredAddresses,
    /// This node's, of all that Python holds, and the peers whose is another.
    pub fingerprints: Fingerprints,
    pub(crate) sessions: SessionTable,
    pub(crate) node_routes: NodeRoutes,
    pub(crate) forward_budgets: ForwardBudgets,
    pub(crate) hosts: Table<(u16, Mac), u32>,
    pub(crate) certified: CertifiedNodes,
    pub(crate) authenticated: AuthenticatedGroups,
    pub(crate) own_source: arc_swap::ArcSwapOption<OwnSource>,
    pub(crate) routes: Routes,
    pub(crate) prefixes: PrefixRoutes,
    /// Grows with each change of routes, trees and their members, when that can be seen.
    pub(crate) tree_changes: AtomicU64,
    pub(crate) source_filters: SourceFilters,
    /// Flows that hosts here got: from other nodes, and from other ports of this one.
    pub delivered: FlowTable,
    pub(crate) trees: Table<u32, Arc<RootTree>>,
    /// Signs this node's broadcast.
    pub(crate) signing_key: SigningKey,
    pub(crate) suspect_checks: SuspectChecks,
    pub(crate) downstream_trees: DownstreamTrees,
    pub(crate) silence: WatchedTrees,
    /// Requests to roots for their anchors.
    pub anchor_requests: AnchorRequests,
    pub(crate) pending_offers: PendingOffers<KeyOffer>,
    pub(crate) pending_states: PendingOffers<TreeState>,
    /// The control plane's changes exclude each other.
    pub(crate) writing: Mutex<()>,
}

impl ForwardingTables {
    /// Empty tables. `wake` is called when events begin to wait.
    pub fn new(node_index: u32, network: &Network, signing_key: SigningKey, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            node_index,
            drops: Drops::default(),
            refusals: RefusalCounts::default(),
            counters: Counters::default(),
            events: Events::new(wake),
            ports: Default::default(),
            reassembly: Reassembly::default(),
            mac: network.mac.clone(),
            cookies: Cookies::default(),
            expected_answers: ExpectedAnswers::default(),
            answered_addresses: AnsweredAddresses::default(),
            fingerprints: Fingerprints::default(),
            sessions: SessionTable::default(),
            node_routes: NodeRoutes::default(),
            forward_budgets: ForwardBudgets::new(node_index),
            hosts: Table::new(MAX_HOSTS),
            certified: CertifiedNodes::default(),
            authenticated: AuthenticatedGroups::default(),
            own_source: arc_swap::ArcSwapOption::empty(),
            routes: Routes::default(),
            prefixes: PrefixRoutes::default(),
            tree_changes: AtomicU64::new(0),
            source_filters: SourceFilters::default(),
            delivered: FlowTable::default(),
            trees: Table::new(MAX_ROOT_TREES),
            signing_key,
            suspect_checks: SuspectChecks::default(),
            downstream_trees: DownstreamTrees::default(),
            anchor_requests: AnchorRequests::default(),
            silence: WatchedTrees::default(),
            pending_offers: PendingOffers::default(),
            pending_states: PendingOffers::default(),
            writing: Mutex::default(),
        }
    }

    /// Queues an event, or counts why not.
    pub fn report(&self, event: Event, now_ns: u64) {
        if let Err(reason) = self.events.push(event, now_ns) {
            self.drops.count(reason);
        }
    }

    /// A peer's fingerprint has come with a probe.
    pub(crate) fn compare_fingerprint(&self, peer: u32, theirs: u128, now_ns: u64) {
        if let Some(difference) = self.fingerprints.compare(peer, theirs, now_ns) {
            self.report(Event::FingerprintDiffers { peer, difference }, now_ns);
        }
    }

    /// Gives up frames whose other part did not come; to be called now and then.
    pub fn expire_fragments(&self, now_ns: u64) {
        self.reassembly.expire(now_ns, &self.drops);
    }

    /// Takes up to `limit` events for Python; those of a port that was closed since are dropped. `clear`: see
    /// [`Events::drain`].
    pub fn drain(&self, limit: usize, clear: impl FnOnce()) -> Vec<Event> {
        let mut events = self.events.drain(limit, clear);
        events.retain(|event| {
            let open = event.port().is_none_or(|(number, generation)| {
                self.port(number).is_some_and(|port| port.generation() == generation)
            });
            if !open {
                self.drops.count(Reason::PortClosed);
            }
            open
        });
        events
    }

    /// A frame that a host sent is Python's too.
    pub fn punt(&self, port: u32, frame: &Frame<'_>, now_ns: u64) {
        let generation = self.port(port).map_or(0, Port::generation);
        self.report(
            Event::TapFrame { port, generation, about: PuntKind::of(frame), data: frame.bytes.to_vec() },
            now_ns,
        );
    }

    /// The port with this number.
    pub fn port(&self, number: u32) -> Option<&Port> {
        self.ports.get(number as usize)
    }

    /// Decides about a host's frame, or about a super-frame that holds `frames` of them.
    /// `recent`: of the same batch, given the verdict when that was carried out.
    pub fn classify(&self, port: u32, frame: &Frame<'_>, frames: u32, now_ns: u64, recent: &mut RecentFlow) -> Verdict {
        let verdict = |punt, destination| Verdict { punt, destination, flow: None };
        let nowhere = |reason| verdict(false, Some(Err(reason)));
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
            return verdict(true, None);
        }
        if !here.forwards() {
            return verdict(copied, Some(Err(Reason::PortBlocked)));
        }
        self.saw(here, port, &facts, now_ns);
        if here.is_packet_port() && (facts.to_all || !facts.to_group || facts.kind == FrameKind::Flood) {
            return verdict(copied, Some(Err(Reason::PacketNotGroup)));
        }
        if let Err(reason) = here.passes(frame) {
            return verdict(copied, Some(Err(reason)));
        }
        if matches!(facts.kind, FrameKind::Encapsulated(_)) && self.is_recursively_encapsulated(frame) {
            return nowhere(Reason::RecursiveEncapsulation);
        }
        let flow = match facts.kind {
            FrameKind::Group { group, source } => {
                Some(FlowKey { vlan: facts.vlan, root: self.node_index, group, source })
            }
            _ => None,
        };
        let known = flow.as_ref().and_then(|flow| recent.take(flow));
        Verdict { punt: copied, destination: Some(self.destination(here, &facts, known, frames, now_ns)), flow }
    }

    /// Where it goes, within the port's limits: what goes nowhere uses none of them up.
    /// `known`: where its flow went before.
    fn destination(
        &self,
        port: &Port,
        facts: &FrameFacts,
        known: Option<Destination>,
        frames: u32,
        now_ns: u64,
    ) -> Result<Destination, Reason> {
        let (storm, destination) = match facts.kind {
            FrameKind::Unicast(mac) | FrameKind::PuntUnicast(mac) | FrameKind::Encapsulated(mac) => {
                match self.unicast(facts.vlan, mac) {
                    Err(Reason::UnknownUnicast) if port.floods_unknown() => {
                        (Storm::UnknownUnicast, self.broadcast(now_ns)?)
                    }
                    known => return known,
                }
            }
            FrameKind::Group { group, source } => {
                let found = known.map_or_else(|| self.group(facts.vlan, group, source, now_ns), Ok);
                (Storm::Multicast, found.map_err(|reason| self.why_nobody(group, reason))?)
            }
            _ if facts.to_all => (Storm::Broadcast, self.broadcast(now_ns)?),
            _ => (Storm::Multicast, self.broadcast(now_ns)?),
        };
        port.admit(storm, frames, now_ns).map(|()| destination)
    }

    fn saw(&self, here: &Port, port: u32, facts: &FrameFacts, now_ns: u64) {
        let (vlan, mac) = (facts.vlan, facts.source);
        let seen = Event::HostSeen { port, generation: here.generation(), vlan, mac };
        let reported = here.saw(vlan, mac, now_ns, || self.events.push(seen, now_ns));
        if let Err(reason) = reported {
            self.drops.count(reason);
        }
    }

    /// The broadcast tree.
    pub fn broadcast(&self, now_ns: u64) -> Result<Destination, Reason> {
        let tree = self.trees.get(&0).ok_or(Reason::NoBroadcastTree)?;
        let members = tree.members.load_full();
        self.note_use(&tree, &members, now_ns);
        if members.is_empty() {
            return Err(Reason::NoBroadcastTree);
        }
        Ok(Destination::Tree(tree, members, None))
    }

    /// The session to send to a peer on.
    pub fn session_to(&self, peer: u32) -> Result<Arc<Session>, Reason> {
        self.sessions.current(peer)
    }

    /// The session with this index.
    pub fn session(&self, index: u32) -> Option<Arc<Session>> {
        self.sessions.get(index)
    }

    /// The peer with this node index.
    pub fn peer(&self, index: u32) -> Option<Arc<Peer>> {
        self.sessions.peer(index)
    }

    /// The peer that a session has at this address, for its numbers only: addresses prove nothing.
    pub fn peer_at(&self, address: &SocketAddr) -> Option<Arc<Peer>> {
        self.sessions.peer_at(address)
    }

    fn unicast(&self, vlan: u16, mac: Mac) -> Result<Destination, Reason> {
        let peer = self.hosts.get(&(vlan, mac)).ok_or(Reason::UnknownUnicast)?;
        self.session_to(peer).map(Destination::Node)
    }

    /// Python makes no tree for what this node may not send; here is only why.
    fn why_nobody(&self, group: IpAddr, reason: Reason) -> Reason {
        if self.certified.permits(self.node_index, group) {
            reason
        } else {
            Reason::SendNotPermitted
        }
    }
}
