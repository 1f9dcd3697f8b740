//! From a read of the TAP to sealed datagrams in the outbox: classified, cut up, each frame written and sealed in place.

use std::sync::Arc;

use treecast_core::counters::Counter;
use treecast_core::datagram::{Inner, KIND_FRAME, MAX_DATAGRAM_LEN, MAX_SESSION_BODY_LEN, MAX_TREE_BODY_LEN};
use treecast_core::events::Event;
use treecast_core::offload::{Segmenter, VnetHeader};
use treecast_core::plane::{Destination, Plane};
use treecast_core::reason::Reason;
use treecast_core::session::{Session, SESSION_BODY_OFFSET};
use treecast_core::tree::{Members, RootTree, TREE_BODY_OFFSET};

use crate::outbox::{Lane, Outbox, Target};
use crate::ports::{Ports, TAP_PORT};

/// One read from the TAP: classified, cut up, sealed. Returns frames and their bytes.
pub fn send_read(plane: &Plane, ports: &Ports, outbox: &mut Outbox, read: &[u8], now_ns: u64) -> (usize, usize) {
    let Some((vnet, frame)) = VnetHeader::parse(read) else {
        plane.drops.count(Reason::VnetMalformed);
        return (0, 0);
    };
    let segmenter = match Segmenter::new(&vnet, frame) {
        Ok(segmenter) => segmenter,
        Err(reason) => {
            plane.drops.count(reason);
            return (0, 0);
        }
    };
    let count = segmenter.count();
    let verdict = plane.classify(TAP_PORT, frame, count as u32, now_ns);
    // No protocol that Python copies sends super-frames: who does shall not fill its queue.
    if verdict.punt && (count == 1 || verdict.destination.is_none()) {
        plane.counters.add(Counter::FramesPunted, count as u64);
        plane.tell(Event::TapFrame { port: TAP_PORT, data: frame.to_vec() }, now_ns);
    }
    let mut sealing = Sealing { plane, ports, outbox };
    match verdict.destination {
        None => {}
        Some(Err(reason)) => plane.drops.add(reason, count as u64),
        Some(Ok(Destination::Node(session))) => {
            plane.counters.add(Counter::FramesUnicast, count as u64);
            sealing.for_session(&session, &segmenter);
        }
        Some(Ok(Destination::Tree(tree, route))) => {
            let counter = if route.is_some() { Counter::FramesMulticast } else { Counter::FramesBroadcast };
            plane.counters.add(counter, count as u64);
            if let Some(route) = route {
                let bytes = (0..count).filter_map(|index| segmenter.segment_len(index)).sum::<usize>();
                route.tx.add(count as u64, bytes as u64);
            }
            let members = tree.members.load_full();
            sealing.for_tree(&tree, &members, &segmenter);
        }
    }
    (count, frame.len())
}

struct Sealing<'s> {
    plane: &'s Plane,
    ports: &'s Ports,
    outbox: &'s mut Outbox,
}

impl Sealing<'_> {
    fn for_session(&mut self, session: &Arc<Session>, segmenter: &Segmenter<'_>) {
        let target = Target::Session(session.clone());
        self.all(&target, segmenter, SESSION_BODY_OFFSET, MAX_SESSION_BODY_LEN, |inner, length, room| {
            session.seal(inner, length, room)
        });
    }

    fn for_tree(&mut self, tree: &Arc<RootTree>, members: &Arc<Members>, segmenter: &Segmenter<'_>) {
        if !members.next_hops.is_empty() {
            let target = Target::Tree(tree.clone(), members.clone());
            self.all(&target, segmenter, TREE_BODY_OFFSET, MAX_TREE_BODY_LEN, |inner, length, room| {
                tree.seal(inner, length, room)
            });
        }
        for peer in &members.replicate {
            match self.plane.session_to(*peer) {
                Ok(session) => self.for_session(&session, segmenter),
                Err(reason) => self.plane.drops.add(reason, segmenter.count() as u64),
            }
        }
    }

    /// Each frame straight into the lane, then sealed there.
    fn all(
        &mut self,
        target: &Target,
        segmenter: &Segmenter<'_>,
        offset: usize,
        limit: usize,
        seal: impl Fn(Inner, usize, &mut [u8]) -> Result<usize, Reason>,
    ) {
        let overhead = MAX_DATAGRAM_LEN - limit;
        let largest = segmenter.segment_len(0).unwrap_or(0) + overhead;
        let mut lane = self.outbox.lane(self.plane, self.ports, target, largest * segmenter.count());
        for index in 0..segmenter.count() {
            if lane.is_full() {
                lane = self.outbox.more(self.plane, self.ports, target);
            }
            match seal_one(lane, segmenter, index, offset, limit, &seal) {
                Ok(length) => lane.commit(length),
                Err(reason) => self.plane.drops.count(reason),
            }
        }
    }
}

fn seal_one(
    lane: &mut Lane,
    segmenter: &Segmenter<'_>,
    index: usize,
    offset: usize,
    limit: usize,
    seal: &impl Fn(Inner, usize, &mut [u8]) -> Result<usize, Reason>,
) -> Result<usize, Reason> {
    let room = lane.room();
    let body = room.get_mut(offset..offset + limit).ok_or(Reason::TooBig)?;
    let (length, checksum) = segmenter.write(index, body).ok_or(Reason::TooBig)?;
    seal(Inner { kind: KIND_FRAME, checksum }, length, room)
}
