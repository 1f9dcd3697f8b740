"""Differential: random hosts before a Linux bridge and before our router side; both forward the same.

Time is real and short. Many groups run side by side, each with a random history of its own. Where the bridge does
something else, ``EXPLAINED`` below or ``test_linux_bridge_differs`` says what, and what the RFC says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest

from tests.lab.multicast.linux_bridge import PORTS, LinuxBridge, MdbEntry, Question
from tests.lab.multicast.twins import CONFIG, TICK_S, Twins
from treecast.base.addresses import IPAddress
from treecast.base.membership import FilterMode
from treecast.wire.group_membership import LeaveGroup, MembershipQuery, RecordType

TICKS = 12
MOST_TICKS = 5 * TICKS
PUNCTUAL_S = 0.05
"""A busy machine is late: what it does later than that after a tick meets timers that run out (``twins``)."""
GROUPS_PER_FAMILY = 24
SOURCES: dict[int, tuple[IPAddress, ...]] = {
    4: tuple(IPv4Address("192.0.2.1") + n for n in range(3)),
    6: tuple(IPv6Address("2001:db8::1") + n for n in range(3)),
}
NEWEST = {4: 3, 6: 2}


@pytest.fixture(scope="module")
def bridge() -> Iterator[LinuxBridge]:
    made = LinuxBridge(CONFIG)
    yield made
    made.close()


def groups(test: int) -> list[IPAddress]:
    """Groups that no other test uses, of both families."""
    numbers = range(256 * test + 1, 256 * test + 1 + GROUPS_PER_FAMILY)
    first: tuple[IPAddress, IPAddress] = (IPv4Address("239.0.0.0"), IPv6Address("ff15::"))
    return [base + number for base in first for number in numbers]


def flows_to(wanted: list[IPAddress]) -> list[tuple[IPAddress, IPAddress]]:
    return [(source, group) for group in wanted for source in SOURCES[group.version]]


def newest_version(rng: Random, twins: Twins, group: IPAddress) -> None:
    sources = rng.sample(SOURCES[group.version], rng.randrange(4))
    twins.report(rng.choice(PORTS), rng.choice((1, 2)), rng.choice(tuple(RecordType)), group, sources)


def older_version(rng: Random, twins: Twins, group: IPAddress) -> None:
    port, host = rng.choice(PORTS), rng.choice((1, 2))
    if rng.random() < 0.6:
        twins.older_report(port, host, group)
    else:
        twins.hear(port, host, LeaveGroup(group), group.version)


def nothing_in_doubt(rng: Random, twins: Twins, group: IPAddress) -> None:
    """Reports that call for no query: the two treat a doubt of a router that is not the querier differently."""
    sources = rng.sample(SOURCES[group.version], rng.randrange(4))
    received = rng.choice((RecordType.MODE_IS_INCLUDE, RecordType.MODE_IS_EXCLUDE, RecordType.ALLOW_NEW_SOURCES))
    twins.report(rng.choice(PORTS), rng.choice((1, 2)), received, group, sources)


def general_queries(twins: Twins) -> None:
    """Another router, with the lowest address, is the querier of both families."""
    for version, nothing in ((4, IPv4Address(0)), (6, IPv6Address(0))):
        response = CONFIG.query_response_interval
        twins.receive_router(MembershipQuery(NEWEST[version], nothing, response, False, 2, 1), version)


def group_query(rng: Random, twins: Twins, wanted: list[IPAddress]) -> None:
    group = rng.choice(wanted)
    response = CONFIG.last_member_query_interval
    twins.receive_router(MembershipQuery(NEWEST[group.version], group, response, False, 2, 1), group.version)


def the_source_entry_forgot_the_port(question: Question, theirs: bool, mdb: list[MdbEntry]) -> bool:
    """The bridge keeps a second table for (S,G). When an EXCLUDE port stops excluding S, its entry there is deleted
    and not made again while other ports have one, so S is lost to it. RFC 9776 section 6.3, EXCLUDE: sources that
    are not in the group's list are to be forwarded ("all sources ... except those in the exclude list"). The
    bridge's own row for the group agrees with that, and with us.
    """
    port, source, group = question
    row = next((entry for entry in mdb if (entry.port, entry.group, entry.source) == (port, group, None)), None)
    others = {entry.port for entry in mdb if (entry.group, entry.source) == (group, source)}
    excludes = row is not None and row.mode is FilterMode.EXCLUDE and row.filter.accepts(source)
    return not theirs and excludes and bool(others) and port not in others


EXPLAINED: tuple[Callable[[Question, bool, list[MdbEntry]], bool], ...] = (the_source_entry_forgot_the_port,)


def run(bridge: LinuxBridge, seed: int, act: Callable[[Random, Twins, IPAddress], None], *, another: bool) -> None:
    """A history of ticks, compared at the end of TICKS; under ``another`` querier if so asked. A tick that was late is
    not compared, nor are those in which timers run out that it has set: there are more then.

    For the response time of the first query of another querier the bridge does not trust its table and floods.
    """
    rng = Random(seed)
    twins = Twins(CONFIG, bridge)
    wanted = groups(seed)
    unexplained: list[str] = []
    if another:
        general_queries(twins)
        twins.pause(time.monotonic() + CONFIG.query_response_interval + 0.1)
    start = time.monotonic()
    compared, doubtful_until = 0, start
    for tick in range(MOST_TICKS):
        if compared == TICKS:
            break
        twins.pause(start + tick * TICK_S)
        if another:
            general_queries(twins)
            group_query(rng, twins, wanted)
        for group in wanted:
            if rng.random() < 0.6:
                act(rng, twins, group)
        if time.monotonic() > start + tick * TICK_S + PUNCTUAL_S:
            doubtful_until = time.monotonic() + CONFIG.intervals.group_membership_interval + TICK_S
        twins.pause(start + (tick + 0.9) * TICK_S)
        differences = twins.differences(flows_to(wanted))
        if not doubtful_until <= time.monotonic() <= start + (tick + 1) * TICK_S + PUNCTUAL_S:
            continue
        compared += 1
        mdb = bridge.mdb() if differences else []
        for question, theirs in differences:
            if not any(explains(question, theirs, mdb) for explains in EXPLAINED):
                port, _, group = question
                rows = [entry for entry in mdb if (entry.port, entry.group) == (port, group)]
                unexplained.append(
                    f"tick {tick}: {question}: bridge {theirs}, ours {twins.filter(port, group)}, {rows}"
                )
    assert compared > 0, "never in time"
    assert not unexplained, "\n".join([f"{len(unexplained)} differences", *unexplained[:20]])
    assert twins.drops.snapshot() == {}


def test_igmpv3_and_mldv2_hosts_get_the_same_from_both(bridge: LinuxBridge) -> None:
    run(bridge, 1, newest_version, another=False)


def test_igmpv2_and_mldv1_hosts_get_the_same_from_both(bridge: LinuxBridge) -> None:
    run(bridge, 2, older_version, another=False)


def test_queries_of_another_router_change_both_alike(bridge: LinuxBridge) -> None:
    run(bridge, 3, nothing_in_doubt, another=True)


def test_older_hosts_under_another_querier_get_the_same_from_both(bridge: LinuxBridge) -> None:
    run(bridge, 4, older_version, another=True)
