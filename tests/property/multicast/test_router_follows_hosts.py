"""The router follows any history of hosts that join, leave and change sources, in any mix of versions: it comes to what
they want together, soon gives every host at least what it asked for, and keeps its promises on the way.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.sim.multicast.hosts import EVERYTHING, NOTHING, Host, InterfaceState, Lan
from tests.sim.multicast.virtual_port import VirtualPort
from treecast.base.membership import NO_SOURCE, FilterMode
from treecast.multicast import IGMP, MLD, MembershipConfig

GROUPS, SOURCES = (1, 2), (1, 2)
REST = 150  # seconds: more than three membership intervals of 2 x 20 + 2
NEWEST = st.builds(
    lambda mode, sources: (mode, frozenset(sources)), st.sampled_from(FilterMode), st.sets(st.sampled_from(SOURCES))
)
OLDER = st.sampled_from([NOTHING, EVERYTHING])


class Membership(RuleBasedStateMachine):
    """Three hosts, two groups, two sources; half of the runs are of the newest version only."""

    @initialize(
        protocol=st.sampled_from([IGMP, MLD]),
        older=st.lists(st.integers(0, 2), min_size=3, max_size=3),
        mixed=st.booleans(),
        fast_leave=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def begin(self, protocol: object, older: list[int], mixed: bool, fast_leave: bool, seed: int) -> None:
        chosen = IGMP if protocol is IGMP else MLD
        config = MembershipConfig(query_interval=20, query_response_interval=2, fast_leave=fast_leave)
        self.port = VirtualPort(chosen, config)
        newest = chosen.newest_version
        versions = [max(newest - down, 1) if mixed else newest for down in older]
        hosts = [Host(number, version) for number, version in enumerate(versions, start=1)]
        self.lan = Lan(self.port, Random(seed), hosts)
        self.port.start()
        self.lan.run(5)
        self.told = dict.fromkeys(map(self.port.group, GROUPS), NO_SOURCE)

    @rule(number=st.integers(0, 2), group=st.sampled_from((1, 1, 1, 2)), newest=NEWEST, older=OLDER)
    def a_host_changes_its_mind(self, number: int, group: int, newest: InterfaceState, older: InterfaceState) -> None:
        host = self.lan.hosts[number]
        wanted = newest if host.version == self.port.protocol.newest_version else older
        self.lan.set_state(host, group, wanted)

    @rule(duration=st.sampled_from([0.01, 0.5, 1.0, 3.0, 25.0, 50.0]))
    def time_passes(self, duration: float) -> None:
        self.lan.run(duration)

    @rule()
    def everything_comes_to_rest(self) -> None:
        """Older hosts stay present for one interval after the last change, and timers run for another."""
        self.lan.run(REST)
        for group in GROUPS:
            assert self.port.filter(group) == self.lan.merged(group)

    @invariant()
    def every_host_gets_at_least_what_it_asked_for(self) -> None:
        if not hasattr(self, "lan"):
            return
        for group in GROUPS:
            present, wanted = self.port.filter(group), self.lan.merged(group)
            for source in self.port.sources(SOURCES):
                assert present.accepts(source) or not wanted.accepts(source)

    @invariant()
    def the_changes_told_add_up_to_the_present_state(self) -> None:
        if not hasattr(self, "lan"):
            return
        for _, group, wanted in self.port.changes:
            assert self.told[group] != wanted, "a change that changes nothing"
            self.told[group] = wanted
        self.port.changes.clear()
        present = self.port.router.filters()
        assert {group: wanted for group, wanted in self.told.items() if wanted != NO_SOURCE} == dict(present)

    @invariant()
    def nothing_is_refused(self) -> None:
        if hasattr(self, "lan"):
            assert self.port.drops.snapshot() == {}


TestMembership = Membership.TestCase
TestMembership.settings = settings(
    max_examples=120,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
