//! Lookup of a frame's group: its route, the tree of that, and the tree's members.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::events::Event;
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::root_tree::{Members, RootTree, SealingReport};
use crate::verdict::Destination;

/// Looks at the tables for one frame, when the control plane changes them meanwhile.
const MAX_LOOKS: usize = 16;

impl ForwardingTables {
    /// Route, tree and members as they were at one moment: looked up anew where a command came between. A node that is served before
    /// a command and behind it is so by either state, but may be by neither where the route is of one and the members of the other.
    pub(crate) fn group(&self, vlan: u16, group: IpAddr, source: IpAddr, now_ns: u64) -> Result<Destination, Reason> {
        let mut changes = self.tree_changes.load(Ordering::Acquire);
        let mut found = self.look_up(vlan, group, source, now_ns);
        for _ in 1..MAX_LOOKS {
            let now = self.tree_changes.load(Ordering::Acquire);
            if now == changes {
                break;
            }
            changes = now;
            found = self.look_up(vlan, group, source, now_ns);
        }
        found
    }

    fn look_up(&self, vlan: u16, group: IpAddr, source: IpAddr, now_ns: u64) -> Result<Destination, Reason> {
        let route = self.routes.find(vlan, group, source);
        let route = route.or_else(|| self.prefixes.find(vlan, group));
        let route = route.ok_or(Reason::NoSubscriber)?;
        let tree = self.trees.get(&route.stream).ok_or(Reason::NoSubscriber)?;
        let members = tree.members.load_full();
        self.note_use(&tree, &members, now_ns);
        if members.is_empty() {
            return Err(Reason::NoSubscriber);
        }
        Ok(Destination::Tree(tree, members, Some(route)))
    }

    pub(crate) fn note_use(&self, tree: &RootTree, members: &Members, now_ns: u64) {
        let stream = tree.name.stream;
        tree.advance(members, now_ns);
        match tree.report(members) {
            None => {}
            Some(SealingReport::Used) => self.report(Event::TreeUsed { stream }, now_ns),
            Some(SealingReport::KeyWorn(key_id)) => self.report(Event::KeyWorn { stream, key_id }, now_ns),
        }
    }
}
