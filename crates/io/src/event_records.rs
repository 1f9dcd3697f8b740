//! The events for the control plane, as they go to Python: an array of arrays, each an event's name and its fields.
//!
//! The names and fields are those of `base/events.py`, in its order.

use treecast_core::events::Event;

use crate::msgpack::Writer;

/// All of them in one buffer.
pub fn emit_all(events: &[Event]) -> Vec<u8> {
    let mut out = Writer::default();
    out.array(events.len());
    for event in events {
        emit(event, &mut out);
    }
    out.0
}

fn emit(event: &Event, out: &mut Writer) {
    match event {
        Event::TapFrame { port, data, .. } => out.array(3).text("TapFrame").unsigned(*port).bytes(data),
        Event::Handshake { socket, source, data } => {
            out.array(4).text("HandshakeDatagram").unsigned(*socket).address(source).bytes(data)
        }
        Event::ForeignHandshake { source } => out.array(2).text("ForeignHandshake").address(source),
        Event::ForwardedHandshake { neighbour, source, data } => {
            out.array(4).text("ForwardedHandshake").unsigned(*neighbour).unsigned(*source).bytes(data)
        }
        Event::Control { peer, session, data } => {
            out.array(4).text("ControlDatagram").unsigned(*peer).unsigned(*session).bytes(data)
        }
        Event::SessionHandshake { peer, session, data } => {
            out.array(4).text("SessionHandshake").unsigned(*peer).unsigned(*session).bytes(data)
        }
        Event::KeyOffered { stream, key_id, context } => {
            out.array(5).text("KeyOffered").unsigned(stream.root).unsigned(stream.stream);
            out.unsigned(*key_id).bytes(context)
        }
        Event::TreeOffered { tree, number, place } => {
            out.array(9).text("TreeOffered").unsigned(tree.root).unsigned(tree.stream).unsigned(tree.epoch);
            out.long(*number).unsigned(place.parent).unsigned(place.backup).array(place.children.len());
            place.children.iter().fold(&mut *out, |out, child| out.unsigned(*child));
            out.array(place.backup_children.len());
            place.backup_children.iter().fold(out, |out, child| out.unsigned(*child))
        }
        Event::ParentFailed { tree, parent, failure } => {
            out.array(6).text("ParentFailed").unsigned(tree.root).unsigned(tree.stream).unsigned(tree.epoch);
            out.unsigned(*parent).unsigned(*failure as u32)
        }
        Event::PathSeen { peer, session, endpoint } => {
            out.array(5).text("PathSeen").unsigned(*peer).unsigned(*session);
            out.unsigned(endpoint.socket).address(&endpoint.address)
        }
        Event::PathAnswered { peer, session, endpoint } => {
            out.array(5).text("PathAnswered").unsigned(*peer).unsigned(*session);
            out.unsigned(endpoint.socket).address(&endpoint.address)
        }
        Event::SessionConfirmed { peer, session } => {
            out.array(3).text("SessionConfirmed").unsigned(*peer).unsigned(*session)
        }
        Event::FingerprintDiffers { peer, difference } => {
            out.array(3).text("FingerprintDiffers").unsigned(*peer).bytes(&difference.to_be_bytes())
        }
        Event::TreeUsed { stream } => out.array(2).text("TreeUsed").unsigned(*stream),
        Event::KeyWorn { stream, key_id } => out.array(3).text("KeyWorn").unsigned(*stream).unsigned(*key_id),
        Event::HostSeen { port, vlan, mac, .. } => {
            out.array(4).text("HostSeen").unsigned(*port).unsigned((*vlan).into()).array(1).bytes(mac)
        }
    };
}
