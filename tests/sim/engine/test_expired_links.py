"""A link ends with the certificate of the node at its other end."""

from __future__ import annotations

from treecast.base.time import Duration
from treecast.sim.world import World


def test_a_link_is_cut_within_a_second_of_the_end_of_the_other_node_s_certificate() -> None:
    world = World(1)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 1 for node in (first, second)), 20.0)
    ends_s = second.identity.certificate.not_after_s

    def review(unix_now_s: Duration) -> None:
        first.forwarder.carry_out(first.engine.review(world.underlay.now, unix_now_s, ()))

    review(ends_s - 1.0)
    assert len(first.peers()) == 1
    review(ends_s + 1.0)
    assert first.peers() == []
    assert first.engine.drops.snapshot()["certificate_expired"] == 1


def test_who_ended_a_link_that_the_other_end_never_missed_gets_the_streams_again() -> None:
    world = World(3)
    first = world.add(lifetime=1e9)
    root = world.add(peer=first, lifetime=60.0)
    world.run_until(lambda: first.is_linked(root) and root.is_linked(first), 20.0)
    first.report("239.1.1.1")
    world.run_until(lambda: root.subscribes(first, "239.1.1.1"), 5.0)
    root.send("239.1.1.1", "before")
    world.run(1.0)
    world.run_until(lambda: not first.is_linked(root), 60.0)
    certificate = world.certify(root.index, root.identity.keys, 1e9, not_before_s=1)
    root.carry_out(root.engine.renew(root.now, certificate))
    world.run_until(lambda: first.is_linked(root), 20.0)
    assert root.is_linked(first)
    world.run(1.0)
    root.send("239.1.1.1", "after")
    world.run(1.0)
    assert first.forwarder.delivered == ["before", "after"]
    assert "tree_unknown" not in first.forwarder.drops
