"""A router that hears the host side comes to exactly the filters wanted, in whatever order, also where one of
the robustness variable's two reports is lost; and it keeps it for as long as it asks.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.multicast.virtual_port import VirtualPort
from treecast.base.addresses import MacAddress
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.multicast import IGMP, MLD, MembershipConfig, Protocol
from treecast.multicast.host_side import HostSide
from treecast.multicast.protocol import PortSource

HOST_MAC = MacAddress(b"\x02\0\0\0\0\x09")
GROUPS = (1, 2)
REPORTS = st.tuples(st.sampled_from(GROUPS), st.sampled_from(FilterMode), st.sets(st.integers(1, 4)))
STEPS = st.lists(st.tuples(REPORTS, st.sampled_from([0.0, 0.2, 1.5, 30.0])), min_size=1, max_size=12)


class Both:
    """A router and one host side on a wire that loses at most every second report."""

    def __init__(self, protocol: Protocol, seed: int, *, lossy: bool, fast_leave: bool) -> None:
        config = MembershipConfig(query_interval=20, query_response_interval=2, fast_leave=fast_leave)
        address = IPv4Address("10.0.0.9") if protocol is IGMP else IPv6Address("fe80::9")
        self.port = VirtualPort(protocol, config)
        self.side = HostSide(protocol, config, PortSource(HOST_MAC, address), Random(seed))
        self._rng = Random(seed)
        self._lossy = lossy
        self._lost_last = False
        self._asked = 0
        self.port.start()

    def run(self, duration: float) -> None:
        end = Instant(self.port.now + duration)
        while True:
            for sent in self.port.sent[self._asked :]:
                self.side.receive_query(self.port.now, sent.query)
            self._asked = len(self.port.sent)
            due = min(self.side.next_deadline() or end, self.port.router.next_deadline() or end, end)
            self.port.run(max(due - self.port.now, 0))
            for frame in self.side.advance(self.port.now)[0]:
                self._lost_last = self._lossy and not self._lost_last and self._rng.random() < 0.5
                if not self._lost_last:
                    self.port.hear_frame(frame)
            quiet = len(self.port.sent) == self._asked
            if self.port.now >= end and quiet and (self.side.next_deadline() or end + 1) > end:
                return


@pytest.mark.parametrize("protocol", [IGMP, MLD], ids=["igmp", "mld"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps=STEPS, seed=st.integers(0, 2**32), lossy=st.booleans(), fast_leave=st.booleans())
def test_the_router_comes_to_what_is_wanted(
    protocol: Protocol,
    steps: list[tuple[tuple[int, FilterMode, set[int]], float]],
    seed: int,
    lossy: bool,
    fast_leave: bool,
) -> None:
    both = Both(protocol, seed, lossy=lossy, fast_leave=fast_leave)
    both.run(5)
    wanted = dict.fromkeys(GROUPS, NO_SOURCE)
    for (group, mode, numbers), pause in steps:
        wanted[group] = SourceFilter(mode, frozenset(both.port.sources(numbers)))
        both.side.want(both.port.now, both.port.group(group), wanted[group])
        both.run(pause)
    both.run(100)
    for group, filter_ in wanted.items():
        assert both.port.filter(group) == filter_
    assert both.port.drops.snapshot() == {}
