"""The router survives any frames at any time: no exception, bounded tables, and every refusal counted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.fuzz.wire.mutations import igmp_frames, mld_frames, mutations
from tests.sim.multicast.virtual_port import VirtualPort
from treecast.base.time import Instant
from treecast.multicast import IGMP, MLD, MembershipConfig, Protocol
from treecast.wire.group_membership import RecordType

LIMITS = MembershipConfig(max_groups=20, max_sources_per_group=4, max_hosts_per_group=3, max_tracked_hosts=30)


@pytest.mark.parametrize(("protocol", "seeds"), [(IGMP, igmp_frames), (MLD, mld_frames)], ids=["igmp", "mld"])
def test_the_router_survives_any_frames(protocol: Protocol, seeds: Callable[[], list[bytes]]) -> None:
    rng = Random(2)
    port = VirtualPort(protocol, LIMITS)
    port.start()
    most_groups = 0
    for frames, data in enumerate(mutations(rng, seeds(), cases=15_000), start=1):
        before = sum(port.drops.snapshot().values()), port.router.counts()
        output = port.router.receive(port.now, data)
        after = sum(port.drops.snapshot().values()), port.router.counts()
        assert before != after, "a frame vanished without being counted"
        assert len({change.group for change in output.changes}) == len(output.changes)
        most_groups = max(most_groups, len(port.router.filters()))
        if frames % 50 == 0:
            check_bounds(port)
            if rng.random() < 0.1:
                port.run(rng.choice((0.1, 1, 30)))
            port.now = Instant(port.now + rng.random())
            port.router.advance(port.now)
    assert most_groups == LIMITS.max_groups
    port.run(2000)
    assert not port.router.filters()
    check_bounds(port)
    check_room_for_hosts(port)


def check_bounds(port: VirtualPort) -> None:
    views = port.router.groups()
    assert len(views) <= LIMITS.max_groups
    assert all(len(view.sources) <= LIMITS.max_sources_per_group for view in views)
    assert all(len(view.hosts) <= LIMITS.max_hosts_per_group for view in views)
    assert sum(len(view.hosts) for view in views) <= LIMITS.max_tracked_hosts


def check_room_for_hosts(port: VirtualPort) -> None:
    """A router without groups tracks as many hosts as its limit says: none of those before counts any more."""
    hosts, groups = LIMITS.max_hosts_per_group, LIMITS.max_tracked_hosts // LIMITS.max_hosts_per_group + 1
    for group in range(1, groups + 1):
        for host in range(1, hosts + 1):
            port.report(RecordType.CHANGE_TO_EXCLUDE_MODE, group=group, host=host)
    assert sum(len(view.hosts) for view in port.router.groups()) == LIMITS.max_tracked_hosts
