//! Repair of trees: ticks to children, grafts at backups, and what a node that has grafted gets once more.

use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::history::Retransmission;
use treecast_core::tree_mark::{KIND_GRAFT, KIND_TICK};

use crate::dispatch::Run;
use crate::outbox::Outbox;
use crate::underlay::Underlay;

/// Sends what a turn of the watched trees wants sent.
pub fn turn_trees(tables: &ForwardingTables, underlay: &Underlay, now_ns: u64) {
    let turn = tables.turn_trees(now_ns);
    let ticks = turn.ticks.iter().map(|child| (*child, KIND_TICK, None));
    let grafts = turn.grafts.iter().map(|(backup, graft)| (*backup, KIND_GRAFT, Some(graft.emit())));
    let marks = turn.marks.iter().map(|(child, mark)| (*child, KIND_TICK, Some(mark.emit())));
    for (node, kind, body) in ticks.chain(marks).chain(grafts) {
        match tables.session_to(node) {
            Ok(session) => {
                underlay.send_on(tables, &session, kind, body.as_ref().map_or(&[], |body| &body[..]));
            }
            Err(reason) => tables.drops.count(reason),
        }
    }
    underlay.request_anchors(tables);
}

/// Sends a child the datagrams of a tree that it may have missed, behind what waits in the outbox.
pub fn retransmit_to(
    tables: &ForwardingTables,
    underlay: &Underlay,
    outbox: &mut Outbox,
    retransmission: &Retransmission,
    child: u32,
) {
    outbox.flush(tables, underlay);
    let mut start = 0;
    for (length, traffic_class) in &retransmission.datagrams {
        outbox.dispatch.add_tree(tables, underlay, 0, Run::new(start, *length, *traffic_class), &[child]);
        start += length;
    }
    outbox.dispatch.send(tables, underlay, |_| &retransmission.bytes);
}
