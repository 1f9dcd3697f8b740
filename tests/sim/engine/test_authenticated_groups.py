"""Groups whose frames are sealed for each receiver alone: nobody gets a key, and copies have no end."""

from __future__ import annotations

from ipaddress import IPv4Network

from treecast.engine.environment import ALL_ALIKE, GroupOptions
from treecast.sim.world import SimNode, World

GROUP, OTHER = "239.5.1.1", "239.6.1.1"
AUTHENTICATED = GroupOptions(authenticated=(IPv4Network("239.5.0.0/16"),))


def two(sender: GroupOptions, receiver: GroupOptions) -> tuple[World, SimNode, SimNode]:
    world = World(1)
    first = world.add(groups=sender)
    second = world.add(peer=first, groups=receiver)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    for group in (GROUP, OTHER):
        second.report(group)
    world.run(1.0)
    return world, first, second


def groups_with_keys(node: SimNode) -> list[str]:
    trees = node.engine.view.footprint().trees
    return sorted(str(tree.flow.group) for tree in trees if tree.flow is not None)


def test_members_of_an_authenticated_group_get_copies_for_good_and_no_key() -> None:
    world, sender, receiver = two(AUTHENTICATED, AUTHENTICATED)
    for number in range(90):
        sender.send(GROUP, number)
        sender.send(OTHER, -1)
        world.run(1.0)
    got = [frame for frame in receiver.forwarder.delivered if frame != -1]
    assert got == list(range(90))
    assert groups_with_keys(receiver) == [OTHER]
    assert "keys_not_taken" not in {problem.kind for problem in sender.engine.problems(sender.now)}


def test_a_receiver_refuses_the_key_of_a_root_that_does_not_seal_for_it_alone() -> None:
    world, sender, receiver = two(ALL_ALIKE, AUTHENTICATED)
    for _ in range(5):
        sender.send(GROUP, "frame")
        world.run(1.0)
    assert receiver.engine.view.drops()["key_of_authenticated_group"] > 0
    assert groups_with_keys(receiver) == []


def texts(node: SimNode, kind: str) -> list[tuple[str, str]]:
    return [(one.subject, one.text) for one in node.engine.problems(node.now) if one.kind == kind]


def test_both_ends_say_why_a_stream_ends_that_one_of_them_has_as_authenticated() -> None:
    world, sender, receiver = two(ALL_ALIKE, AUTHENTICATED)
    names = [node.identity.certificate.name for node in (sender, receiver)]
    for _ in range(60):
        sender.send(GROUP, "frame")
        world.run(1.0)
    ((root, why),) = texts(receiver, "root_not_authenticated")
    assert (root, f"{names[0]} seals the group {GROUP} for all" in why) == (names[0], True)
    assert f"start {names[0]} with up --authenticated and a prefix of the group, too, or this node without" in why
    ((member, why),) = texts(sender, "keys_not_taken")
    assert member == names[1]
    assert f"{names[1]} refuses our key of the group {GROUP}: it has the group as --authenticated and this node" in why
    receiver.leave(GROUP)
    world.run(40.0)
    assert texts(receiver, "root_not_authenticated") == []
