//! Broadcast on its way to the next hops: the same tree datagram as the body of a session datagram for each of them.

use treecast_core::datagram::{Inner, KIND_BROADCAST, SESSION_OVERHEAD};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;

use crate::outbox::{Destinations, Outbox};
use crate::seals::Seals;
use crate::underlay::Underlay;

/// Puts a tree datagram into the outbox for each node of `next_hops`; what cannot go there is counted.
pub fn wrap(tables: &ForwardingTables, underlay: &Underlay, outbox: &mut Outbox, datagram: &[u8], next_hops: &[u32]) {
    for next_hop in next_hops {
        if let Err(reason) = wrap_for(tables, underlay, outbox, datagram, *next_hop) {
            tables.drops.count(reason);
        }
    }
}

fn wrap_for(
    tables: &ForwardingTables,
    underlay: &Underlay,
    outbox: &mut Outbox,
    datagram: &[u8],
    next_hop: u32,
) -> Result<(), Reason> {
    let session = tables.session_to(next_hop)?;
    if datagram.len() > underlay.mtu.limit(session.underlay_mtu()).body_len(SESSION_OVERHEAD) {
        return Err(Reason::TooBig);
    }
    let tx_buffer = outbox.more(tables, underlay, Destinations::Session(&session));
    let inner = Inner { kind: KIND_BROADCAST, checksum: None };
    let length = session.seal_body(inner, [datagram, &[]], tx_buffer.free())?;
    tx_buffer.commit(length);
    Ok(())
}
