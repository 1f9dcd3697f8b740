//! The decision about a host's frame: where it goes, and what Python is to see of it.

use std::sync::Arc;

use crate::flows::FlowKey;
use crate::reason::Reason;
use crate::root_tree::{Members, RootTree};
use crate::routes::Route;
use crate::session::Session;

/// Where a host's frame goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A frame to one node.
    Node(Arc<Session>),
    /// A frame goes down a tree of ours, to these members; group frames have a route, whose frames are counted.
    Tree(Arc<RootTree>, Arc<Members>, Option<Arc<Route>>),
}

/// The decision about a host's frame.
#[derive(Debug)]
pub struct Verdict {
    /// Python is to see it.
    pub punt: bool,
    /// Where it goes. None: nowhere, Python has it.
    pub destination: Option<Result<Destination, Reason>>,
    /// The flow of a frame to a group, wanted or not.
    pub flow: Option<FlowKey>,
}

/// Where the frame before went, when it was to a group: most are of the same flow. Not kept beyond a batch, for tables change.
#[derive(Debug, Default)]
pub struct RecentFlow(Option<(FlowKey, Destination)>);

impl RecentFlow {
    pub(crate) fn take(&mut self, flow: &FlowKey) -> Option<Destination> {
        self.0.take_if(|(known, _)| known == flow).map(|(_, destination)| destination)
    }

    /// Keeps where this frame went.
    pub fn keep(&mut self, verdict: Verdict) {
        if let (Some(flow), Some(Ok(destination))) = (verdict.flow, verdict.destination) {
            self.0 = Some((flow, destination));
        }
    }
}
