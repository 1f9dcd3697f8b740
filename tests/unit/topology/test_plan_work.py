"""Nodes with many groups, by themselves or by prefixes: these are planned some at a time, by turns, each once."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from random import Random

from tests.unit.counting import steps_of
from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, SourceFilter
from treecast.base.time import Instant, after
from treecast.topology.plan_work import AT_A_TIME, PLANS_BURST, PLANS_PER_S, positions
from treecast.topology.topology import Topology
from treecast.wire.advertised_groups import GroupsContent, ListedGroup

NOW = Instant(1.0)
A, B, C = NodeIndex(2), NodeIndex(3), NodeIndex(4)
ALL: PrefixKey = (0, IPv4Network("224.0.0.0/4"))
EACH = 80
"""Groups of a chunk."""
GROUPS: list[GroupKey] = [(0, IPv4Address("239.0.0.0") + number) for number in range(2000)]


def with_groups(*linked: NodeIndex) -> Topology:
    """All groups are joined by one node."""
    topology = Topology()
    for node in (A, *linked):
        topology.link_up(node)
    for group in GROUPS:
        topology.subscribe(NOW, A, group, ANY_SOURCE)
    topology.changed_trees(NOW)
    return topology


def joined(topology: Topology, now: Instant) -> dict[GroupKey, tuple[NodeIndex, ...]]:
    """Groups whose tree has changed, with its members."""
    trees = topology.changed_trees(now)
    return {(t.flow.vlan, t.flow.group): t.members or () for t in trees if t.flow is not None and t.flow.prefix is None}


def test_of_a_prefix_with_many_groups_some_are_planned_at_once_and_the_rest_in_their_time() -> None:
    topology = with_groups(B)
    assert topology.next_deadline(NOW) is None
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    found = joined(topology, NOW)
    assert list(found) == GROUPS[: int(PLANS_BURST)], "in order"
    deadline = topology.next_deadline(NOW)
    assert deadline is not None and NOW < deadline < after(NOW, 0.1)
    now, seconds = NOW, 0
    while topology.next_deadline(now) is not None:
        now, seconds = after(now, 0.05), seconds + 1
        more = joined(topology, now)
        assert len(more) <= PLANS_PER_S * 0.05 + PLANS_BURST
        found |= more
    assert found == dict.fromkeys(GROUPS, (A, B))
    assert len(GROUPS) / PLANS_PER_S * 0.8 < seconds * 0.05 < len(GROUPS) / PLANS_PER_S * 1.6


def test_who_wants_all_and_nothing_over_and_over_makes_no_more_of_that() -> None:
    topology = with_groups(B)
    changed = 0
    for number in range(100):
        topology.subscribe_prefix(NOW, B, ALL, wanted=number % 2 == 0)
        changed += len(joined(topology, NOW))
    assert changed <= PLANS_BURST


def test_a_prefix_that_changes_nothing_plans_nothing() -> None:
    topology = with_groups(B)
    for _ in range(10):
        topology.subscribe_prefix(NOW, B, ALL, wanted=False)
    assert topology.next_deadline(NOW) is None
    topology.subscribe_prefix(NOW, B, (0, IPv6Network("ff0e::/16")), wanted=True)
    assert joined(topology, NOW) == {}
    assert topology.next_deadline(NOW) is None


def test_nodes_have_their_turns() -> None:
    topology = with_groups(B, C)
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    topology.subscribe_prefix(NOW, C, ALL, wanted=True)
    topology.changed_trees(NOW)
    later = after(NOW, 0.05)
    members = list(joined(topology, later).values())
    of_c = sum(C in nodes for nodes in members)
    assert of_c >= AT_A_TIME and sum(B in nodes and C not in nodes for nodes in members) >= AT_A_TIME


def test_a_node_that_is_lost_meanwhile_is_on_no_tree() -> None:
    for wanted in (True, False):
        topology = with_groups(B)
        now = NOW
        if not wanted:
            topology.subscribe_prefix(now, B, ALL, wanted=True)
            for _ in range(40):
                now = after(now, 0.05)
                topology.changed_trees(now)
        topology.subscribe_prefix(now, B, ALL, wanted=wanted)
        topology.changed_trees(now)
        topology.link_down(B)
        now, found, _ = in_time(topology, now)
        assert set(found.values()) == {(A,)}
        topology.subscribe(now, A, GROUPS[-1], None)
        topology.subscribe(now, A, GROUPS[-1], ANY_SOURCE)
        assert all(B not in members for members in joined(topology, after(now, 10.0)).values())


def test_in_the_end_all_is_as_if_it_had_been_planned_at_once() -> None:
    random, topology = Random(7), with_groups(B, C)
    prefixes: list[PrefixKey] = [ALL, (0, IPv4Network("239.0.0.0/22")), (0, IPv4Network("239.0.4.0/23"))]
    now = NOW
    members: dict[GroupKey, tuple[NodeIndex, ...]] = dict.fromkeys(GROUPS, (A,))
    for _ in range(60):
        node, prefix = random.choice((B, C)), random.choice(prefixes)
        topology.subscribe_prefix(now, node, prefix, wanted=random.random() < 0.5)
        members |= joined(topology, now)
        now = after(now, random.random() * 0.1)
    while topology.next_deadline(now) is not None:
        now = after(now, 0.05)
        members |= joined(topology, now)
    assert members == {group: tuple(node for node, _ in topology.members(group)) for group in GROUPS}
    assert len({*members.values()}) > 1


def test_positions_of_a_prefix_are_those_of_its_first_and_last_group() -> None:
    assert positions((7, IPv4Network("239.1.0.0/16"))) == ((7, 4, 0xEF010000), (7, 4, 0xEF01FFFF))
    first, last = positions((0, IPv6Network("ff0e::/16")))
    assert (first[1], last[2] - first[2]) == (6, 2**112 - 1)


def test_who_wants_a_prefix_no_more_leaves_the_trees_in_use_at_once() -> None:
    """A node that leaves holds their keys; the other groups of the prefix take their time."""
    used = [GROUPS[-1], (0, IPv4Address("232.1.1.1"))]
    topology = Topology(in_use=used)
    for node in (A, B):
        topology.link_up(node)
    for group in GROUPS:
        topology.subscribe(NOW, A, group, ANY_SOURCE)
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    now = NOW
    while topology.next_deadline(now) is not None:
        now = after(now, 0.05)
        joined(topology, now)
    topology.subscribe_prefix(now, B, ALL, wanted=False)
    found = joined(topology, now)
    assert found[GROUPS[-1]] == (A,)
    assert len(found) <= PLANS_BURST + 1


def chunks(wanted: SourceFilter = ANY_SOURCE) -> list[GroupsContent]:
    """The chunks of a node that wants all groups."""
    listed = [ListedGroup.of(group, wanted) for group in GROUPS]
    return [GroupsContent(tuple(listed[first : first + EACH])) for first in range(0, len(listed), EACH)]


def listing(*nodes: NodeIndex, in_use: Collection[GroupKey] = ()) -> Topology:
    """Some nodes without links want all groups."""
    topology = Topology(in_use=in_use)
    for node in nodes:
        for number, content in enumerate(chunks()):
            topology.list_groups(NOW, node, number, None, content)
    topology.changed_trees(NOW)
    return topology


def in_time(topology: Topology, now: Instant) -> tuple[Instant, dict[GroupKey, tuple[NodeIndex, ...]], int]:
    """Turns until nothing is left: the time then, all changed trees, and the most of one turn."""
    found, most = dict[GroupKey, tuple[NodeIndex, ...]](), 0
    while topology.next_deadline(now) is not None:
        now = after(now, 0.05)
        more = joined(topology, now)
        found, most = found | more, max(most, len(more))
    return now, found, most


def test_of_a_link_with_many_groups_that_comes_or_goes_some_are_planned_in_each_turn() -> None:
    topology = listing(B)
    for now, link, members in ((NOW, topology.link_up, (B,)), (after(NOW, 10.0), topology.link_down, ())):
        link(B)
        found = joined(topology, now)
        assert len(found) == PLANS_BURST
        _, rest, most = in_time(topology, now)
        assert most <= PLANS_PER_S * 0.05 + PLANS_BURST
        assert found | rest == dict.fromkeys(GROUPS, members)


def test_a_link_with_few_groups_is_planned_in_its_turn_and_beside_one_with_many_soon() -> None:
    topology = listing(B)
    group = (0, IPv4Address("232.1.1.1"))
    topology.subscribe(NOW, C, group, ANY_SOURCE)
    topology.link_up(B)
    joined(topology, NOW)
    topology.link_up(C)
    later = after(NOW, 2 * AT_A_TIME / PLANS_PER_S)
    assert joined(topology, later)[group] == (C,)


def test_a_link_that_comes_and_goes_over_and_over_makes_no_more_of_that() -> None:
    topology = listing(B)
    changed = 0
    for number in range(100):
        (topology.link_down if number % 2 else topology.link_up)(B)
        changed += len(joined(topology, NOW))
    assert changed <= PLANS_BURST


def test_groups_in_use_wait_for_no_turn_when_a_link_comes_or_goes() -> None:
    topology = listing(A, B, in_use=(GROUPS[-1],))
    topology.link_up(A)
    in_time(topology, NOW)
    topology.link_up(B)
    assert joined(topology, NOW)[GROUPS[-1]] == (A, B)
    topology.link_down(B)
    assert joined(topology, NOW)[GROUPS[-1]] == (A,)


def test_a_tree_that_gets_its_first_frame_is_planned_before_anybody_gets_its_key() -> None:
    topology = listing(A, B)
    topology.link_up(A)
    now, _, _ = in_time(topology, NOW)
    topology.link_up(B)
    joined(topology, now)
    (tree,) = topology.used(now, GROUPS[-1])
    assert (tree.members, tree.lost) == ((A, B), frozenset())
    assert topology.used(now, GROUPS[-1]) == []
    now, _, _ = in_time(topology, now)
    topology.link_down(B)
    joined(topology, now)
    (tree,) = topology.used(now, GROUPS[-1])
    assert tree.members == (A,)


def test_a_link_that_comes_again_before_its_end_was_followed_has_each_tree_anew() -> None:
    """The data plane has forgotten the node at once: a tree that is to have it as before must be given to it again."""
    topology = listing(A, B)
    for node in (A, B):
        topology.link_up(node)
    now, _, _ = in_time(topology, NOW)
    topology.link_down(B)
    topology.link_up(B)
    anew = set[GroupKey]()
    while topology.next_deadline(now) is not None:
        for tree in topology.changed_trees(now):
            if tree.flow is not None:
                assert (tree.members, set(tree.lost)) == ((A, B), {B})
                anew.add((tree.flow.vlan, tree.flow.group))
        now = after(now, 0.05)
    assert anew == set(GROUPS)


def test_a_tree_that_changes_meanwhile_has_no_node_whose_link_is_lost() -> None:
    topology = listing(A, B)
    for node in (A, B):
        topology.link_up(node)
    now, _, _ = in_time(topology, NOW)
    topology.link_down(B)
    joined(topology, now)
    topology.link_up(C)
    topology.subscribe(now, C, GROUPS[-1], ANY_SOURCE)
    assert joined(topology, now)[GROUPS[-1]] == (A, C)


def test_what_a_run_wanted_ends_by_turns_and_what_is_in_use_at_once() -> None:
    topology = listing(A, B, in_use=(GROUPS[-1],))
    for node in (A, B):
        topology.link_up(node)
    now, _, _ = in_time(topology, NOW)
    topology.take_members_changed()
    for number, content in enumerate(chunks()):
        topology.end_groups(now, B, number, content)
    found = joined(topology, now)
    assert found[GROUPS[-1]] == (A,)
    assert len(found) <= PLANS_BURST + EACH
    now, rest, most = in_time(topology, now)
    assert most <= PLANS_PER_S * 0.05 + PLANS_BURST + EACH
    assert found | rest == dict.fromkeys(GROUPS, (A,))
    assert sorted(topology.take_members_changed()) == [(group, B) for group in GROUPS]


def test_a_new_run_that_wants_the_same_changes_nothing_that_waited() -> None:
    topology = listing(B)
    topology.link_up(B)
    now, _, _ = in_time(topology, NOW)
    for number, content in enumerate(chunks()):
        topology.end_groups(now, B, number, content)
    ended = set(joined(topology, now))
    again = set[GroupKey]()
    for number, content in reversed([*enumerate(chunks())]):
        again.update(topology.list_groups(now, B, number, None, content))
    assert len(again) < len(GROUPS) and ended <= again
    in_time(topology, now)
    assert topology.table.groups_of(B) == GROUPS


def test_what_earlier_runs_wanted_is_never_more_than_one_may_want() -> None:
    """Each chunk that is listed ends one that waits."""
    topology, now = listing(B), NOW
    for number, content in enumerate(chunks()):
        topology.end_groups(now, B, number, content)
    other = [ListedGroup.of((0, IPv4Address("238.0.0.0") + number), ANY_SOURCE) for number in range(len(GROUPS))]
    for number in range(len(chunks())):
        content = GroupsContent(tuple(other[number * EACH : (number + 1) * EACH]))
        topology.list_groups(now, B, 1000 + number, None, content)
    assert len(topology.table.groups_of(B)) == len(GROUPS)


def test_a_node_whose_certificate_is_gone_gets_no_group_that_it_might_not_receive_while_its_groups_end() -> None:
    topology, allowed = listing(B), (IPv4Network("232.0.0.0/8"),)
    topology.permit(B, allowed)
    topology.link_up(B)
    for number, content in enumerate(chunks()):
        topology.end_groups(NOW, B, number, content)
    topology.unpermit(B)
    assert joined(topology, NOW) == {}
    now, found, _ = in_time(topology, NOW)
    assert found == {}
    assert topology.permits.may_receive(B, GROUPS[0][1]), "nothing is left, and nothing is known"
    topology.unpermit(B)
    topology.permit(B, allowed)
    in_time(topology, now)
    assert not topology.permits.may_receive(B, GROUPS[0][1])


def test_a_turn_costs_the_same_however_many_groups_a_node_has_whose_link_comes_and_goes() -> None:
    def steps(size: int) -> int:
        topology = Topology()
        for number in range(size):
            topology.subscribe(NOW, B, (0, IPv4Address("239.0.0.0") + number), ANY_SOURCE)
        topology.changed_trees(NOW)
        counted = steps_of(topology.link_up, B) + steps_of(topology.changed_trees, NOW)
        now = after(NOW, 0.1)
        return counted + steps_of(topology.link_down, B) + steps_of(topology.changed_trees, now)

    assert steps(8_000) <= 1.2 * steps(1_000)
