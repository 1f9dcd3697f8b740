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
