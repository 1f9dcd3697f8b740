//! The replay window against a set of all counters seen.

use std::collections::HashSet;

use proptest::prelude::*;
use treecast_core::replay::{ReplayWindow, SessionWindow, TreeWindow};

/// The slow obvious version: remembers everything, forgets by distance.
#[derive(Default)]
struct Model {
    highest: u64,
    seen: HashSet<u64>,
}

impl Model {
    fn mark(&mut self, counter: u64, width: u64) -> bool {
        let too_old = counter + width <= self.highest;
        if counter == 0 || too_old || !self.seen.insert(counter) {
            return false;
        }
        self.highest = self.highest.max(counter);
        true
    }

    fn set_back(&mut self, highest: u64) {
        self.seen.retain(|counter| *counter <= highest);
        self.highest = self.highest.min(highest);
    }
}

fn counters() -> impl Strategy<Value = Vec<u64>> {
    let near = prop_oneof![0u64..400, 1000u64..1400, Just(u64::MAX / 2), (0u64..6000)];
    prop::collection::vec(near, 0..400)
}

proptest! {
    #[test]
    fn a_small_window_agrees_with_the_model(counters in counters()) {
        let (mut window, mut model) = (ReplayWindow::<4>::default(), Model::default());
        for counter in counters {
            prop_assert_eq!(window.mark(counter), model.mark(counter, 192), "{}", counter);
            prop_assert_eq!(window.highest(), model.highest);
        }
    }

    #[test]
    fn a_window_that_grows_agrees_with_the_model(steps in prop::collection::vec(-300i64..400, 0..400)) {
        let (mut window, mut model, mut at) = (TreeWindow::default(), Model::default(), 0i64);
        for step in steps {
            at = (at + step).max(0);
            prop_assert_eq!(window.mark(at as u64), model.mark(at as u64, 32_768));
        }
    }

    #[test]
    fn a_window_that_is_set_back_knows_what_it_did_below(steps in prop::collection::vec((-300i64..3_000, 0u64..40_000), 0..200)) {
        let (mut window, mut model, mut at, mut lost) = (TreeWindow::default(), Model::default(), 0i64, 0);
        for (step, back) in steps {
            at = (at + step).max(1);
            if back < 2_000 {
                lost = lost.max(window.highest().saturating_sub(TreeWindow::WIDTH));
                let highest = window.highest().saturating_sub(back).max(lost);
                window.set_back(highest);
                model.set_back(highest);
                at = (highest as i64).max(1);
            }
            if at as u64 > lost {
                prop_assert_eq!(window.mark(at as u64), model.mark(at as u64, 32_768));
            }
            prop_assert_eq!(window.highest(), model.highest);
        }
    }

    #[test]
    fn the_session_window_agrees_with_the_model(steps in prop::collection::vec(-8800i64..8800, 0..400)) {
        let (mut window, mut model, mut at) = (SessionWindow::default(), Model::default(), 0i64);
        for step in steps {
            at = (at + step).max(0);
            prop_assert_eq!(window.mark(at as u64), model.mark(at as u64, 8192));
        }
    }
}

#[test]
fn windows_have_the_widths_of_the_protocol() {
    assert_eq!(SessionWindow::WIDTH, 8192);
    assert_eq!(TreeWindow::WIDTH, 32_768);
}

#[test]
fn the_highest_counter_there_is_does_not_overflow() {
    let mut window = SessionWindow::default();
    assert!(window.mark(u64::MAX));
    assert!(!window.mark(u64::MAX));
    assert!(window.mark(u64::MAX - 8191));
    assert!(!window.mark(u64::MAX - 8192));
}
