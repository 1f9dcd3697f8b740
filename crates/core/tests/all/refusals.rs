//! Refusals by node: so many nodes, and reasons that prove which node it was.

use treecast_core::limits::MAX_REFUSALS;
use treecast_core::reason::Reason;
use treecast_core::refusals::RefusalCounts;

#[test]
fn no_more_nodes_are_counted_than_there_is_room_for() {
    let refusals = RefusalCounts::default();
    for node in 0..MAX_REFUSALS as u32 + 10 {
        refusals.note(node, Reason::SourceOfAnotherNode);
        refusals.note(node, Reason::SessionAuth); // anybody's
    }
    refusals.note(7, Reason::SourceOfAnotherNode);
    let taken = refusals.take();
    assert_eq!(taken.len(), MAX_REFUSALS);
    assert_eq!(taken.iter().map(|(.., count)| count).sum::<u64>(), MAX_REFUSALS as u64 + 1);
    assert!(taken.contains(&(7, Reason::SourceOfAnotherNode, 2)));
}
