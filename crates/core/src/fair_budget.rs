//! A budget of bytes that several share, max-min fair, without a queue: what was taken waits in thought only.
//!
//! A fluid server drains what each sharer has taken, all that have something in equal parts, and the classes of a sharer in
//! equal parts of its own (generalized processor sharing, Parekh and Gallager 1993). Who takes less than its fair part is
//! drained at once and never refused. Who takes more may wait for as much as is free (dynamic thresholds, Choudhury and Hahne
//! 1998): one alone for half of the room, of N each for one part of N + 1, so that there is room for one more.

use crate::limits::MAX_SHARERS;
use crate::rate::Rate;

/// Classes of a sharer.
pub(crate) const CLASSES: usize = 8;
/// Bytes that a class may have waiting however little is free: some datagrams at once; of many sharers, less.
const LEAST: u64 = 6_000;
/// The server drains in steps of so long: many takes cost one.
const STEP_NS: u64 = 2_000_000;
/// Turns of one step in which what a drained sharer has left over goes to the others; the rest goes with the next step.
const TURNS: usize = 8;
/// A sharer that was refused is reported for so long.
const REPORTED_NS: u64 = 3_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// A sharer that was refused of late, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharerRefusals {
    /// None: those that there was no place for.
    pub sharer: Option<u32>,
    /// The refusals since it took or was refused the first time.
    pub refused: u64,
}

#[derive(Debug)]
struct Share {
    sharer: Option<u32>,
    waiting: [u64; CLASSES],
    refused: u64,
    refused_ns: u64,
}

impl Share {
    fn all(&self) -> u64 {
        self.waiting.iter().sum()
    }

    fn is_over(&self, now_ns: u64) -> bool {
        self.all() == 0 && (self.refused == 0 || now_ns.saturating_sub(self.refused_ns) > REPORTED_NS)
    }
}

/// The shares of those that have taken of late.
#[derive(Debug, Default)]
pub(crate) struct FairBudget {
    shares: Vec<Share>,
    /// The sum over all shares.
    waiting: u64,
    /// Drained, and nobody's yet.
    credit: u64,
    drained_ns: u64,
}

impl FairBudget {
    /// Takes bytes of a class of a sharer: whether they may go. `rate.burst`: what one alone may take at once.
    pub(crate) fn take(&mut self, rate: Rate, sharer: u32, class: u32, bytes: u64, now_ns: u64) -> bool {
        self.drain(rate.per_second.into(), now_ns);
        let capacity = 2 * u64::from(rate.burst);
        let free = capacity.saturating_sub(self.waiting);
        let least = LEAST.min(capacity / (2 * self.shares.len() as u64 + 1));
        let Some(share) = self.share(sharer) else { return false };
        let of_all = share.all();
        let Some(waiting) = share.waiting.get_mut(class as usize % CLASSES) else { return false };
        if *waiting >= least && of_all >= free {
            share.refused += 1;
            share.refused_ns = now_ns;
            return false;
        }
        *waiting += bytes;
        self.waiting += bytes;
        true
    }

    /// Reports all that were refused of late.
    pub(crate) fn refusals(&self, now_ns: u64) -> impl Iterator<Item = SharerRefusals> + '_ {
        let of_late = move |share: &&Share| now_ns.saturating_sub(share.refused_ns) <= REPORTED_NS && share.refused > 0;
        let report = |share: &Share| SharerRefusals { sharer: share.sharer, refused: share.refused };
        self.shares.iter().filter(of_late).map(report)
    }

    /// A sharer's share; in a full table that of all for whom there is no place.
    fn share(&mut self, sharer: u32) -> Option<&mut Share> {
        let place = |shares: &[Share], sharer| shares.iter().position(|share| share.sharer == sharer);
        if let Some(at) = place(&self.shares, Some(sharer)) {
            return self.shares.get_mut(at);
        }
        let mut of = Some(sharer);
        if self.shares.len() >= MAX_SHARERS - 1 {
            of = None;
            if let Some(at) = place(&self.shares, None) {
                return self.shares.get_mut(at);
            }
        }
        self.shares.push(Share { sharer: of, waiting: [0; CLASSES], refused: 0, refused_ns: 0 });
        self.shares.last_mut()
    }

    fn drain(&mut self, per_second: u64, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.drained_ns);
        if elapsed_ns < STEP_NS {
            return;
        }
        self.drained_ns = now_ns;
        self.credit += elapsed_ns.min(1000 * SECOND_NS) * per_second / SECOND_NS;
        let mut waiting: [u64; MAX_SHARERS] = [0; MAX_SHARERS];
        for (all, share) in waiting.iter_mut().zip(&self.shares) {
            *all = share.all();
        }
        let before = waiting;
        self.credit = drain_fairly(&mut waiting, self.credit);
        for ((share, before), after) in self.shares.iter_mut().zip(before).zip(waiting) {
            drain_fairly_whole(&mut share.waiting, before - after);
        }
        self.waiting = waiting.iter().sum();
        if self.waiting == 0 {
            self.credit = 0;
        }
        self.shares.retain(|share| !share.is_over(now_ns));
    }
}

/// Takes equal parts of those that have something: what is left of the credit.
fn drain_fairly(waiting: &mut [u64], mut credit: u64) -> u64 {
    for _ in 0..TURNS {
        let having = waiting.iter().filter(|one| **one > 0).count() as u64;
        let Some(part) = credit.checked_div(having).filter(|part| *part > 0) else { break };
        for one in waiting.iter_mut() {
            let taken = part.min(*one);
            *one -= taken;
            credit -= taken;
        }
    }
    credit
}

/// The same, and what is left over goes to those that come first: the whole credit is spent, for there is as much.
fn drain_fairly_whole(waiting: &mut [u64], credit: u64) {
    let mut left = drain_fairly(waiting, credit);
    for one in waiting.iter_mut() {
        let taken = left.min(*one);
        *one -= taken;
        left -= taken;
    }
}
