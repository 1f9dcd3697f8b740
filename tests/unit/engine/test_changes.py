"""The ring of changes, and what an engine puts there."""

from __future__ import annotations

from ipaddress import IPv4Address

from treecast.base.addresses import MacAddress
from treecast.base.events import HostSeen
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CHANGES
from treecast.base.membership import FilterMode
from treecast.engine.changes import (
    OF_GROUPS,
    Change,
    Changes,
    DuplicateChange,
    HostChange,
    LinkChange,
    LocalHostChange,
    MemberChange,
    SenderChange,
    TreeChange,
)
from treecast.links.link_events import LinkEnd
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"
KEY = (0, IPv4Address(GROUP))
TYPES: tuple[type[Change], ...] = (*OF_GROUPS, HostChange, DuplicateChange, TreeChange)


def member(number: int) -> MemberChange:
    return MemberChange(KEY, NodeIndex(number))


def since(node: SimNode, position: int) -> list[Change]:
    changes = node.engine.view.changes(position, TYPES)
    assert changes is not None
    return list(changes)


def test_changes_behind_a_position_come_in_order_and_only_of_the_types_asked_for() -> None:
    changes = Changes(7)
    start = changes.position
    for number in range(5):
        changes.add(member(number))
        changes.add(LinkChange(NodeIndex(number), "n", up=True))
    assert changes.since(start + 6, (MemberChange, LinkChange)) == [
        *(member(3), LinkChange(NodeIndex(3), "n", up=True), member(4), LinkChange(NodeIndex(4), "n", up=True)),
    ]
    assert changes.since(start, (LinkChange,)) == [LinkChange(NodeIndex(n), "n", up=True) for n in range(5)]
    assert changes.since(changes.position, OF_GROUPS) == []


def test_a_position_of_another_run_or_of_the_future_is_not_known() -> None:
    before, after = Changes(1_800_000_000_000), Changes(1_800_000_000_001)
    before.add(member(1))
    assert after.since(before.position, OF_GROUPS) is None
    assert before.since(after.position, OF_GROUPS) is None


def test_the_oldest_are_forgotten_and_those_of_another_type_are_not() -> None:
    changes = Changes(7)
    start = changes.position
    changes.add(member(1))
    for number in range(MAX_CHANGES + 1):
        changes.add(HostChange(0, MacAddress(number.to_bytes(6, "big")), NodeIndex(2)))
    assert changes.since(start, (HostChange,)) is None
    assert changes.since(start + 1, (HostChange,)) is None
    assert len(changes.since(start + 2, (HostChange,)) or ()) == MAX_CHANGES
    assert changes.since(start, OF_GROUPS) == [member(1)]


def test_a_join_and_a_leave_are_changes_at_its_node_and_at_the_others() -> None:
    world = World(seed=7)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    world.run(5.0)
    starts = [node.engine.view.position for node in (first, second)]
    second.report(GROUP)
    world.run(1.0)
    assert since(second, starts[1]) == [MemberChange(KEY, second.index), LocalHostChange(0, KEY)]
    assert [change for change in since(first, starts[0]) if not isinstance(change, TreeChange)] == [
        MemberChange(KEY, second.index)
    ]
    assert any(isinstance(change, TreeChange) and change.members == 1 for change in since(first, starts[0]))
    starts = [node.engine.view.position for node in (first, second)]
    second.report(GROUP)
    world.run(1.0)
    assert since(second, starts[1]) == [], "it says the same again"
    second.report(GROUP, FilterMode.INCLUDE)
    world.run(5.0)
    assert {*since(second, starts[1])} == {MemberChange(KEY, second.index), LocalHostChange(0, KEY)}
    assert MemberChange(KEY, second.index) in since(first, starts[0])


def test_a_link_that_ends_touches_the_groups_of_its_node() -> None:
    world = World(seed=8)
    first = world.add()
    second = world.add(peer=first)
    second.report(GROUP)
    world.run_until(lambda: first.subscribes(second, GROUP), 20.0)
    start = first.engine.view.position
    second.stop()
    world.run_until(lambda: not first.is_linked(second), 30.0)
    changes = since(first, start)
    assert LinkChange(second.index, second.identity.certificate.name, up=False, reason=LinkEnd.SILENT) in changes
    assert first.engine.view.touched(changes).groups == (KEY,)


def test_senders_that_begin_and_stop_are_changes() -> None:
    world = World(seed=9)
    node = world.add()
    start = node.engine.view.position
    source = IPv4Address("10.77.0.9")
    node.engine.note_senders({(KEY, source)})
    node.engine.note_senders({(KEY, source)})
    node.engine.note_senders(frozenset())
    assert [change for change in since(node, start) if isinstance(change, SenderChange)] == [SenderChange(KEY)] * 2


def test_a_host_in_two_places_is_a_change() -> None:
    world = World(seed=10)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: first.is_linked(second), 20.0)
    starts = [node.engine.view.position for node in (first, second)]
    host = MacAddress.parse("02:00:00:00:00:07")
    for turn in range(12):
        (first, second)[turn % 2].raise_event(HostSeen(0, 0, host))
        world.run(0.5)
    found = [*since(first, starts[0]), *since(second, starts[1])]
    assert DuplicateChange(0, host) in found


def test_what_nobody_changes_is_no_change() -> None:
    world = World(seed=11)
    first = world.add()
    second = world.add(peer=first)
    second.report(GROUP)
    world.run(30.0)
    starts = [node.engine.view.position for node in (first, second)]
    world.run(300.0)
    assert [since(node, start) for node, start in zip((first, second), starts, strict=True)] == [[], []]
