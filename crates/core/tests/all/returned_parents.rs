//! A node whose parent was silent for a moment reports that it is there again.

use treecast_core::silence::TURN_NS;
use treecast_core::withheld::ParentFailure;

use crate::repair::{Network, MS};

#[test]
fn a_parent_that_was_silent_for_a_moment_and_sends_on_again_is_reported_as_that_once() {
    let mut network = Network::new();
    network.stream(150, 150);
    network.turns(80 * MS);
    assert_eq!(network.failures(), [ParentFailure::Silent]);
    for datagram in network.stream(20, 0) {
        network.pass(&network.child, 4, &datagram).unwrap();
    }
    network.turns(TURN_NS);
    assert_eq!(network.failures(), [], "what the backup sends is not its parent's");
    network.stream(40, 40);
    network.turns(TURN_NS);
    assert_eq!(network.failures(), [ParentFailure::Returned]);
}

#[test]
fn a_parent_that_was_silent_as_its_stream_ended_is_there_again_by_anything_else_of_its() {
    for is_missed in [false, true] {
        let mut network = Network::new();
        network.stream(150, 150);
        network.turns(80 * MS);
        if is_missed {
            for datagram in network.stream(1, 0) {
                network.pass(&network.child, 4, &datagram).unwrap();
            }
        }
        network.tick();
        network.turns(TURN_NS);
        let failures = network.failures();
        assert_eq!(failures.contains(&ParentFailure::Returned), !is_missed, "{failures:?}");
    }
}
