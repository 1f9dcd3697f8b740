//! Budgets of what goes by a node between two others: who shares them, and that nobody takes another's part.

use crate::common::*;
use treecast_core::forward_budgets::{Budget, Class, TransitDatagram};

const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn who_takes_its_part_by_a_route_loses_nothing_to_who_takes_all() {
    let node = tables(1);
    let take = |(to, class, bytes), now_ns| node.may_take_route((2, to), class, bytes, now_ns);
    let (mut greedy, mut lost) = (0, Vec::new());
    for step in 0..20_000_u64 {
        let now_ns = NOW_NS + step * SECOND_NS / 1000;
        greedy += u64::from(take((9, Class::Stream(1), 1300), now_ns).is_ok());
        let small = [(3, Class::Stream(2)), (3, Class::Unicast), (9, Class::Unicast), (9, Class::Stream(0))];
        let (to, class) = small[(step / 25) as usize % 4];
        if step % 25 == 0 && take((to, class, 330), now_ns).is_err() {
            lost.push((step, to, class));
        }
    }
    assert_eq!(lost, [], "a stream of 13 kB/s in all beside one of 1,300");
    let expected = 20 * 48_000 + 65_536 - 800 * 330;
    assert!((greedy * 1300).abs_diff(expected) < 40_000, "the rest of the budget is the greedy one's: {greedy}");
    let cuts = node.forward_cuts(NOW_NS + 20 * SECOND_NS);
    let refused: Vec<_> = cuts.iter().map(|cut| (cut.neighbour, cut.budget, cut.refusals.sharer)).collect();
    assert_eq!(refused, [(2, Budget::Own, Some(9))]);
    assert_eq!(cuts[0].refusals.refused, 20_000 - greedy);
    assert_eq!(node.forward_cuts(NOW_NS + 24 * SECOND_NS), []);
}

#[test]
fn of_many_that_take_by_a_route_each_gets_as_much_and_what_one_leaves_goes_to_the_others() {
    let from = tables(1);
    let mut taken = [0_u64; 12];
    for step in 0..30_000_u64 {
        let now_ns = NOW_NS + step * SECOND_NS / 1000;
        for (node, taken) in (10..).zip(&mut taken) {
            let wants = node != 10 || step % 200 == 0; // 5 kB/s, more than an equal part of the 48
            let class = Class::Stream(step as u32 % 40);
            if wants && from.may_take_route((2, node), class, 1000, now_ns).is_ok() {
                *taken += 1000;
            }
        }
    }
    let [slow, others @ ..] = taken;
    let each = (30 * 48_000 + 131_072 - slow) / 11;
    assert!(others.iter().all(|other| other.abs_diff(each) < 15_000), "{taken:?}");
    assert!(slow > 30 * 4_000 && slow <= 150_000, "{slow}");
}

#[test]
fn a_neighbour_that_brings_too_much_of_many_sources_takes_nothing_of_what_others_bring_and_the_node_itself_sends() {
    let budgets = tables(2);
    let foreign = |neighbour, source, destination, bytes| TransitDatagram {
        neighbour,
        source,
        destination,
        is_handshake: false,
        bytes,
    };
    let (mut lost, mut own_lost, mut greedy) = (0, 0, 0_u64);
    for step in 0..20_000_u64 {
        let now_ns = NOW_NS + step * SECOND_NS / 1000;
        let (source, destination) = (1000 + step as u32 % 500, 3 + step as u32 % 90);
        greedy += u64::from(budgets.may_send_on(foreign(7, source, destination, 1200), 8, now_ns).is_ok());
        if step % 50 == 0 {
            lost += u32::from(budgets.may_send_on(foreign(1, 1, 5, 400), 8, now_ns).is_err());
            own_lost += u32::from(budgets.may_take_route((8, 5), Class::Unicast, 400, now_ns).is_err());
        }
    }
    assert_eq!((lost, own_lost), (0, 0));
    assert!(greedy * 1200 < 20 * 56_000 + 4 * 131_072, "{greedy}");
    assert!(budgets.may_send_on(foreign(1, 1, 8, 400), 8, NOW_NS + 20 * SECOND_NS).is_ok(), "to a neighbour itself");
    let at_once = |number: u32| {
        let brought = TransitDatagram { is_handshake: number % 2 == 0, ..foreign(9, number / 2 % 500, 8, 1200) };
        u64::from(budgets.may_send_on(brought, 8, NOW_NS).is_ok())
    };
    let taken = (0..50_000).map(at_once).sum::<u64>() * 1200;
    assert!(taken < 4 * 131_072, "of however many sources: {taken}");
}
