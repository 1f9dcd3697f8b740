//! What is to be sent at the end of a batch: sealed datagrams in runs, and who gets each run.
//!
//! A *lane* collects the datagrams of one destination set in one buffer, in order. Consecutive datagrams of equal length are a
//! *run*, which the kernel takes as one message (a shorter datagram ends it). All messages of a batch leave by one
//! `sendmmsg` per socket; every next hop of a tree gets its message from the one buffer.

use std::sync::Arc;

use treecast_core::datagram::MAX_DATAGRAM_LEN;
use treecast_core::plane::Plane;
use treecast_core::session::Session;
use treecast_core::tree::{Members, RootTree};

use crate::dispatch::{Dispatch, Run, Tally, MAX_RUN_LEN};
use crate::ports::Ports;

const LANE_LEN: usize = 2 * 65_536 + MAX_DATAGRAM_LEN;
const LANES: usize = 16;

/// To whom a lane's datagrams go.
#[derive(Clone, Debug)]
pub enum Target {
    /// One session's peer.
    Session(Arc<Session>),
    /// The next hops of a tree, as they were when the frame was sealed.
    Tree(Arc<RootTree>, Arc<Members>),
}

impl Target {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(two)) => Arc::ptr_eq(one, two),
            (Self::Tree(one, members), Self::Tree(two, others)) => {
                Arc::ptr_eq(one, two) && Arc::ptr_eq(members, others)
            }
            _ => false,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Lane {
    target: Option<Target>,
    buffer: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
    /// Of what is written next.
    traffic_class: u8,
}

impl Lane {
    fn new() -> Self {
        let (buffer, runs) = (vec![0; LANE_LEN].into_boxed_slice(), Vec::with_capacity(64));
        Self { target: None, buffer, used: 0, runs, traffic_class: 0 }
    }

    /// Room for one datagram.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..self.used + MAX_DATAGRAM_LEN]
    }

    /// The datagram written to the room is `length` long.
    pub fn commit(&mut self, length: usize) {
        let class = self.traffic_class;
        let extended = self.runs.last_mut().is_some_and(|run| run.traffic_class == class && run.extend(length));
        if !extended {
            self.runs.push(Run::new(self.used, length, class));
        }
        self.used += length;
    }

    fn has_room(&self) -> bool {
        self.used + MAX_DATAGRAM_LEN <= self.buffer.len()
    }

    /// Keeps `length` bytes together in one run if they fit one; false when the buffer is too full for that.
    fn reserve(&mut self, length: usize) -> bool {
        let length = length.clamp(MAX_DATAGRAM_LEN, MAX_RUN_LEN);
        if self.used + length + MAX_DATAGRAM_LEN > self.buffer.len() {
            return false;
        }
        if let Some(run) = self.runs.last_mut() {
            if run.length + length > MAX_RUN_LEN {
                run.close();
            }
        }
        true
    }

    fn clear(&mut self) {
        self.target = None;
        self.used = 0;
        self.runs.clear();
    }
}

/// The lanes of one worker.
pub struct Outbox {
    lanes: Vec<Lane>,
    traffic_class: u8,
    /// Also used for what is relayed from receive buffers.
    pub dispatch: Dispatch,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { lanes: Vec::with_capacity(LANES), traffic_class: 0, dispatch: Dispatch::default() }
    }
}

impl Outbox {
    /// DSCP and ECN of all that is written to lanes from now on.
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        self.traffic_class = traffic_class;
    }

    /// The lane of a target, with room for one datagram, and for `length` bytes in one run if a run can be so long.
    pub fn lane(&mut self, plane: &Plane, ports: &Ports, target: &Target, length: usize) -> &mut Lane {
        let mut found = self.lanes.iter().position(|lane| lane.target.as_ref().is_some_and(|has| has.is(target)));
        if let Some(index) = found {
            if !self.lanes[index].reserve(length) {
                self.flush(plane, ports);
                found = None;
            }
        }
        let index = found.unwrap_or_else(|| self.free_lane(plane, ports));
        let lane = &mut self.lanes[index];
        if lane.target.is_none() {
            lane.target = Some(target.clone());
        }
        lane.traffic_class = self.traffic_class;
        lane
    }

    /// The lane again, after its room was used.
    pub fn more<'s>(&'s mut self, plane: &Plane, ports: &Ports, target: &Target) -> &'s mut Lane {
        self.lane(plane, ports, target, MAX_DATAGRAM_LEN)
    }

    /// Does the run that is being filled still take a datagram like its last?
    pub fn has_open_run(&self) -> bool {
        self.lanes.iter().filter_map(|lane| lane.runs.last()).any(Run::is_open)
    }

    /// Sends everything.
    pub fn flush(&mut self, plane: &Plane, ports: &Ports) {
        for (index, lane) in self.lanes.iter().enumerate() {
            for run in &lane.runs {
                match &lane.target {
                    Some(Target::Session(session)) => {
                        let tally = Tally::Session(session.clone());
                        self.dispatch.add(plane, ports, index, *run, session.endpoint(), tally);
                    }
                    Some(Target::Tree(_, members)) => {
                        self.dispatch.add_tree(plane, ports, index, *run, &members.next_hops);
                    }
                    None => {}
                }
            }
        }
        let lanes = &self.lanes;
        self.dispatch.send(plane, ports, |index| &lanes[index].buffer);
        self.lanes.iter_mut().for_each(Lane::clear);
    }

    fn free_lane(&mut self, plane: &Plane, ports: &Ports) -> usize {
        if let Some(index) = self.lanes.iter().position(|lane| lane.target.is_none()) {
            return index;
        }
        if self.lanes.len() < LANES {
            self.lanes.push(Lane::new());
            return self.lanes.len() - 1;
        }
        self.flush(plane, ports);
        0
    }
}

impl Lane {
    /// Is the room used up?
    pub fn is_full(&self) -> bool {
        !self.has_room()
    }
}
