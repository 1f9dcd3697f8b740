"""Members that take turns to leave a tree and come back: the root names them all, and no frame of another is lost."""

from __future__ import annotations

from collections import Counter

from tests.sim.engine.meshes import list_group
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
