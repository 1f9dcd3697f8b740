"""Members that take turns to leave a tree and come back: the root names them all, and no frame of another is lost."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network

from tests.sim.engine.meshes import list_group
from treecast.base.counters import KEYS_MADE_ANEW
from treecast.engine.environment import GroupOptions
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


def named(root: SimNode) -> list[str]:
    return [problem.text for problem in root.engine.problems(root.now) if problem.kind == "keys_made_anew"]


def test_members_that_take_turns_to_leave_are_named_at_the_root_and_cost_the_others_nothing() -> None:
    world = World(6, jitter=0.005)
    root = world.add()
    member, *turning = (world.add(peer=root) for _ in range(5))
    world.run_until(lambda: all(len(node.peers()) == 5 for node in world.nodes.values()), 20)
    member.report(GROUP)
    for node in turning:
        list_group(node, GROUP, wants=True)
    world.run(2.0)
    sent, keys = 0, Counter[int]()
    for step in range(600):  # of a tenth of a second; somebody leaves each two seconds
        node = turning[step // 20 % len(turning)]
        if step % 20 in (0, 10):
            list_group(node, GROUP, wants=step % 20 == 10)
        root.send(GROUP, f"frame {sent}")
        sent += 1
        world.run(0.1)
        keys[next(tree.key_id for stream, tree in root.forwarder.trees.items() if stream)] += 1
        if step == 100:
            assert named(root) == [], "five leaves: nobody has done much"
    world.run(1.0)
    (text,) = named(root)
    for node in turning:
        assert node.identity.certificate.name in text
    assert member.identity.certificate.name not in text
    assert member.forwarder.delivered == [f"frame {number}" for number in range(sent)]
    assert len(keys) <= 31, "a key for each leave, and the first"
    world.run(61.0)
    assert named(root) == []


def test_who_joins_and_leaves_what_others_get_by_a_prefix_is_named_and_makes_no_tree_anew() -> None:
    world = World(8, jitter=0.005)
    root = world.add()
    router = world.add(peer=root, groups=GroupOptions((IPv4Network("224.0.0.0/4"),)))
    restless = world.add(peer=root)
    world.run_until(lambda: all(len(node.peers()) == 2 for node in world.nodes.values()), 20)
    streams = Counter[int]()
    for step in range(600):  # of 50 ms; joined and left twice a second
        if step % 5 == 0:
            list_group(restless, GROUP, wants=step % 10 == 0)
        root.send(GROUP, f"frame {step}")
        world.run(0.05)
        streams.update(stream for stream in root.forwarder.trees if stream)
    world.run(1.0)
    assert router.forwarder.delivered == [f"frame {number}" for number in range(600)]
    assert len(streams) == 2, "that of the prefix, and one of the group"
    noted = [(node, amount) for node, reason, amount in root.engine.drops.take_refusals() if reason == KEYS_MADE_ANEW]
    assert [node for node, _ in noted] == [restless.index] and noted[0][1] > 10
    world.run(31.0)
    assert len([stream for stream in root.forwarder.trees if stream]) == 1, "the group goes by the prefix again"
