//! Numbers of sessions, peers, routes and trees.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::downstream_stream::DownstreamStream;
use treecast_core::downstream_tree::InstalledPlace;
use treecast_core::flows::FlowReport;
use treecast_core::forward_budgets::BudgetRefusals;
use treecast_core::root_tree::RootTree;
use treecast_core::routes::Route;
use treecast_core::session::{Session, Totals};

use crate::convert::{address, ip_bytes, Address};

macro_rules! records {
    ($($name:ident { $($field:ident: $kind:ty),+ $(,)? })+) => {
        $(
            #[pyclass(module = "treecast._native", frozen, get_all)]
            pub struct $name { $(pub $field: $kind),+ }
        )+

        /// Adds the classes.
        pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$name>()?;)+
            Ok(())
        }
    };
}

records! {
    SessionStats {
        session: u32,
        peer: u32,
        endpoint: Address,
        age_s: f64,
        silent_s: f64,
        rtt_ms: Option<f64>,
        sealed: u64,
        path_silent_s: f64,
        path_unanswered: u32,
        node_route_unanswered: u32,
        least_rtt_ms: Option<f64>,
        route_silent_s: f64,
        routed: u64,
        receipt: Option<(u32, u64, u64)>,
        carried_bytes: u64,
        refused_bytes: u64,
        tx_packets: u64,
        tx_bytes: u64,
        rx_packets: u64,
        rx_bytes: u64,
    }
    PeerStats { peer: u32, tx_packets: u64, tx_bytes: u64, rx_packets: u64, rx_bytes: u64 }
    RouteStats {
        vlan: u16,
        group: Py<PyBytes>,
        prefix_length: u8,
        source: Option<Py<PyBytes>>,
        tx_packets: u64,
        tx_bytes: u64,
    }
    FlowStats {
        port: Option<u32>,
        root: u32,
        vlan: u16,
        group: Py<PyBytes>,
        source: Py<PyBytes>,
        packets: u64,
        bytes: u64,
        since_s: f64,
        since_packets: u64,
        since_bytes: u64,
        silent_s: f64,
        pps: Option<f64>,
        bps: Option<f64>,
    }
    StreamStats { root: u32, stream: u32, rx_packets: u64, rx_bytes: u64 }
    PlaceStats {
        epoch: u32,
        key_id: u32,
        parent: u32,
        backup: u32,
        next_hops: Vec<u32>,
        graft: u8,
        since_s: f64,
    }
    RootTreeStats { epoch: u32, key_id: u32, next_hops: Vec<u32>, copied: Vec<u32>, beyond: Vec<u32> }
    ForwardCut { neighbour: u32, budget: &'static str, node: Option<u32>, refused: u64 }
}

impl SessionStats {
    /// The numbers at `now_ns`; `totals`: those of its peer.
    pub fn of(session: &Session, ((_, sent_bytes), (_, received_bytes)): Totals, now_ns: u64) -> Self {
        let since = |then: u64| now_ns.saturating_sub(then) as f64 / 1e9;
        let ((tx_packets, tx_bytes), (rx_packets, rx_bytes)) = (session.traffic.tx.get(), session.traffic.rx.get());
        let (path_unanswered, node_route_unanswered) = session.path.unanswered();
        Self {
            session: session.index,
            peer: session.peer,
            endpoint: address(&session.endpoint().address),
            age_s: since(session.installed_ns),
            silent_s: since(session.received_ns()),
            rtt_ms: session.rtt_ms(),
            sealed: session.sealed(),
            path_silent_s: since(session.path.received_ns()),
            path_unanswered,
            node_route_unanswered,
            least_rtt_ms: session.least_rtt_ms(),
            route_silent_s: since(session.path.received_by_route_ns()),
            routed: session.datagram_counts.routed(),
            receipt: session.path.receipt().map(|receipt| (receipt.session, receipt.sent, receipt.came)),
            carried_bytes: sent_bytes + received_bytes,
            refused_bytes: session.datagram_counts.refused_bytes(),
            tx_packets,
            tx_bytes,
            rx_packets,
            rx_bytes,
        }
    }
}

impl PeerStats {
    /// All of a peer's sessions and trees.
    pub fn of((peer, ((tx_packets, tx_bytes), (rx_packets, rx_bytes))): (u32, Totals)) -> Self {
        Self { peer, tx_packets, tx_bytes, rx_packets, rx_bytes }
    }
}

impl ForwardCut {
    /// A node that a budget was refused to.
    pub fn of(cut: &BudgetRefusals) -> Self {
        let BudgetRefusals { neighbour, budget, refusals } = cut;
        Self { neighbour: *neighbour, budget: budget.name(), node: refusals.sharer, refused: refusals.refused }
    }
}

impl RouteStats {
    /// One route's.
    pub fn of(py: Python<'_>, route: &Route) -> Self {
        let (tx_packets, tx_bytes) = route.tx.get();
        let (group, source) = (ip_bytes(py, &route.group), route.source.map(|source| ip_bytes(py, &source)));
        Self { vlan: route.vlan, group, prefix_length: route.prefix_len, source, tx_packets, tx_bytes }
    }
}

impl FlowStats {
    /// A flow from a port of this node, or to its hosts.
    pub fn of(py: Python<'_>, port: Option<u32>, flow: &FlowReport) -> Self {
        let FlowReport { key, packets, bytes, since_packets, since_bytes, rate, .. } = *flow;
        let (group, source) = (ip_bytes(py, &key.group), ip_bytes(py, &key.source));
        let (pps, bps) = rate.unzip();
        let (since_s, silent_s) = (flow.since_ns as f64 / 1e9, flow.silent_ns as f64 / 1e9);
        let (root, vlan) = (key.root, key.vlan);
        Self {
            port,
            root,
            vlan,
            group,
            source,
            packets,
            bytes,
            since_s,
            since_packets,
            since_bytes,
            silent_s,
            pps,
            bps,
        }
    }
}

impl PlaceStats {
    /// One place's, as of `now_ns`.
    pub fn of(place: InstalledPlace, now_ns: u64) -> Self {
        let InstalledPlace { name, key_id, parent, backup, next_hops, graft, since_ns } = place;
        let since_s = now_ns.saturating_sub(since_ns) as f64 / 1e9;
        Self { epoch: name.epoch, key_id, parent, backup, next_hops: next_hops.into(), graft: graft as u8, since_s }
    }
}

impl RootTreeStats {
    /// A tree's that begins here.
    pub fn of(tree: &RootTree) -> Self {
        let members = tree.members.load();
        Self {
            epoch: members.tree().epoch,
            key_id: members.key_id(),
            next_hops: members.hops.next_hops.to_vec(),
            copied: members.copied().copied().collect(),
            beyond: members.hops.beyond.to_vec(),
        }
    }
}

impl StreamStats {
    /// One stream's that comes here.
    pub fn of(stream: &DownstreamStream) -> Self {
        let (rx_packets, rx_bytes) = stream.rx.get();
        Self { root: stream.name.root, stream: stream.name.stream, rx_packets, rx_bytes }
    }
}
