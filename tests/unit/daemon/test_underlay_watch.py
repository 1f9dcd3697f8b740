"""A node's problems of its underlay, from what the data plane counts and the interfaces carry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

import pytest
import structlog
import structlog.testing

from tests.unit.counting import steps_of, times_the_work
from treecast.adapters.netdevice import index_of
from treecast.adapters.underlay import UnderlayRoute
from treecast.base.addresses import HostPort, IPAddress
from treecast.base.time import Instant
from treecast.daemon.lan_faults import GRACE
from treecast.daemon.refused import TOO_BIG_TIME
from treecast.daemon.underlay_watch import MOST_LOOKUPS, UnderlayWatch, first_guess


@dataclass
class PlaneWithCounters:
    """The counters and the limit of a data plane."""

    interface: str = "treecast0"
    underlay_mtu: int = 1500
    counted: dict[str, int] = field(default_factory=dict)

    def dropped(self, reason: str) -> int:
        return self.counted.get(reason, 0)

    def set_underlay_mtu(self, mtu_bytes: int) -> None:
        self.underlay_mtu = mtu_bytes


class LinkedAt:
    """Linked nodes without names."""

    def __init__(self, addresses: Callable[[], frozenset[IPAddress]]) -> None:
        self.addresses = addresses

    def names(self) -> dict[IPAddress, str]:
        return {}


def watch(
    plane: PlaneWithCounters,
    told: int | None,
    told_others: list[int] | None = None,
    changed: asyncio.Event | None = None,
    addresses: Callable[[], frozenset[IPAddress]] | None = None,
) -> UnderlayWatch:
    """A watch with a peer on this very machine: its route is by the loopback interface, of 65,536 bytes."""
    told_others = [] if told_others is None else told_others
    changed, log, here = changed or asyncio.Event(), structlog.get_logger(), frozenset({ip_address("127.0.0.1")})
    linked = LinkedAt(addresses or (lambda: here))
    return UnderlayWatch(cast("Any", plane), told, (), linked, told_others.append, changed, log)


def test_datagrams_that_an_interface_refuses_are_a_problem_while_they_do() -> None:
    plane = PlaneWithCounters(counted={"socket_too_big": 3})
    own = watch(plane, None)
    own.look(Instant(10.0))
    assert list(own.problems(Instant(10.0))) == []
    plane.counted = {"socket_too_big": 40}
    own.look(Instant(11.0))
    (problem,) = own.problems(Instant(11.0))
    assert (problem.kind, problem.subject) == ("datagrams_too_big", "lo")
    assert problem.text == (
        "lo refused 37 datagrams as too big, though none is longer than its MTU or 1500 bytes, so something else "
        "(IPsec, a tunnel) takes room: lower the MTU of lo, which is followed at once, or start with --underlay-mtu"
    )
    own.look(Instant(11.0 + TOO_BIG_TIME))
    assert list(own.problems(Instant(11.0 + TOO_BIG_TIME))) == []


def test_who_said_an_mtu_is_advised_to_say_a_smaller_one() -> None:
    plane = PlaneWithCounters(underlay_mtu=9000)
    own = watch(plane, 9000)
    own.look(Instant(10.0))
    plane.counted = {"socket_too_big": 1}
    own.look(Instant(11.0))
    (problem,) = own.problems(Instant(11.0))
    assert problem.text.endswith(", or start with a smaller --underlay-mtu than 9000")


def test_datagrams_that_were_refused_before_the_mtu_was_followed_are_no_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route_mtu = 0
    asked: list[int] = []

    def routes(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
        asked.append(route_mtu)
        return {address: UnderlayRoute("lo", route_mtu) for address in addresses}

    monkeypatch.setattr("treecast.daemon.underlay_watch.routes_to", routes)
    plane = PlaneWithCounters()
    own = watch(plane, None)
    own.look(Instant(10.0))
    route_mtu = 1400
    own.look(Instant(10.5))
    assert (plane.underlay_mtu, len(asked)) == (1500, 1), "routes are asked for now and then only"
    plane.counted = {"socket_too_big": 9}
    own.look(Instant(11.0))
    assert (plane.underlay_mtu, len(asked)) == (1400, 2), "a refusal is a reason to look at once"
    assert list(own.problems(Instant(11.0))) == []
    plane.counted = {"socket_too_big": 12}
    own.look(Instant(11.5))
    assert list(own.problems(Instant(11.5))) == [], "those were on their way when the MTU fell"
    plane.counted = {"socket_too_big": 13}
    own.look(Instant(13.0))
    assert [problem.kind for problem in own.problems(Instant(13.0))] == ["datagrams_too_big"]
    route_mtu = 1300
    plane.counted = {"socket_too_big": 14}
    own.look(Instant(13.5))
    assert list(own.problems(Instant(13.5))) == [], "it is over once the MTU in use has fallen"


def test_ways_are_looked_up_when_the_machine_s_network_has_changed_and_never_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[IPAddress] = []

    def routes(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
        asked.extend(addresses)
        return dict.fromkeys(asked, UnderlayRoute("lo", 0))

    monkeypatch.setattr("treecast.daemon.underlay_watch.routes_to", routes)
    changed = asyncio.Event()
    own = watch(PlaneWithCounters(), None, changed=changed)
    for second in range(3600):
        own.look(Instant(10.0 + second))
    assert len(asked) == 1
    changed.set()
    for second in range(60):
        own.look(Instant(4000.0 + second))
    assert (len(asked), changed.is_set()) == (2, False)


def test_an_interface_that_carries_less_than_nodes_need_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "treecast.daemon.underlay_watch.routes_to",
        lambda addresses: dict.fromkeys(addresses, UnderlayRoute("lo", 1000)),
    )
    plane = PlaneWithCounters()
    own = watch(plane, None)
    with structlog.testing.capture_logs() as lines:
        own.look(Instant(10.0))
    (line,) = lines
    assert line["event"].endswith("an interface carries less than the shortest limit of datagrams")
    assert (line["bytes"], line["interface"], line["carries"]) == (1280, "lo", 1000)
    plane.counted = {"socket_too_big": 9}
    own.look(Instant(20.0))
    assert [problem.kind for problem in own.problems(Instant(20.0))] == ["underlay_mtu_too_small"]


def test_no_datagram_is_longer_than_usual_unless_the_operator_says_so() -> None:
    assert first_guess(None, (HostPort("127.0.0.1", 7700),)) == 1500, "the loopback interface carries more"
    for told, expected in ((None, 1500), (9000, 9000), (1300, 1300)):
        plane = PlaneWithCounters(underlay_mtu=first_guess(told, ()))
        watch(plane, told).look(Instant(1.0))
        assert plane.underlay_mtu == expected


def test_others_are_told_once_when_what_the_interfaces_carry_has_changed() -> None:
    told_others: list[int] = []
    plane = PlaneWithCounters(underlay_mtu=1400)
    own = watch(plane, None, told_others)
    own.look(Instant(1.0))
    own.look(Instant(2.0))
    assert told_others == [1500]


def test_a_look_costs_as_much_with_1000_linked_nodes_as_with_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "treecast.daemon.underlay_watch.routes_to", lambda addresses: dict.fromkeys(addresses, UnderlayRoute("lo", 0))
    )
    watches = []
    for count in (100, 1_000):
        linked = frozenset(ip_address("198.18.0.0") + number for number in range(count))
        own = watch(PlaneWithCounters(), None, addresses=partial(frozenset, linked))
        for number in range(40):
            own.look(Instant(1.0 + number))
        watches.append(own)
    few, many = watches
    now = Instant(100.0)
    assert steps_of(many.look, now) <= 1.1 * steps_of(few.look, now)
    assert times_the_work(lambda: many.look(now), of=lambda: few.look(now)) <= 1.5


def test_ways_that_are_in_doubt_are_looked_up_some_at_a_time_the_oldest_first_and_new_ones_before_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[IPAddress]] = []

    def routes(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
        asked.append(list(addresses))
        return dict.fromkeys(asked[-1], UnderlayRoute("lo", 0))

    monkeypatch.setattr("treecast.daemon.underlay_watch.routes_to", routes)
    first, changed = ip_address("198.18.0.0"), asyncio.Event()
    linked = [frozenset(first + number for number in range(2 * MOST_LOOKUPS))]
    own = watch(PlaneWithCounters(), None, changed=changed, addresses=lambda: linked[0])
    own.look(Instant(1.0))
    own.look(Instant(2.0))
    own.look(Instant(3.0))
    before = [address for some in asked for address in some]
    assert [len(some) for some in asked] == [MOST_LOOKUPS, MOST_LOOKUPS]
    assert set(before) == linked[0]
    changed.set()
    own.look(Instant(4.0))
    newcomer, gone = ip_address("198.18.1.1"), before[-1]
    linked[0] = linked[0] - {gone} | {newcomer}
    own.look(Instant(5.0))
    own.look(Instant(6.0))
    own.look(Instant(7.0))
    assert [address for some in asked[2:] for address in some] == [
        *before[:MOST_LOOKUPS],
        newcomer,
        *before[MOST_LOOKUPS:-1],
    ]


def test_without_a_linked_node_nothing_is_looked_up_and_what_was_known_last_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[IPAddress] = []

    def routes(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
        asked.extend(addresses)
        return dict.fromkeys(asked, UnderlayRoute("gone0", 0))

    monkeypatch.setattr("treecast.daemon.underlay_watch.routes_to", routes)
    linked, changed = [frozenset({ip_address("198.18.0.1")})], asyncio.Event()
    own = watch(PlaneWithCounters(), None, changed=changed, addresses=lambda: linked[0])
    own.look(Instant(1.0))
    linked[0] = frozenset()
    changed.set()
    own.look(Instant(2.0))
    assert len(asked) == 1
    (problem,) = own.problems(Instant(2.0))
    assert (problem.kind, problem.patience) == ("underlay_down", GRACE), "not for a flap"


def test_an_interface_that_lives_on_under_another_name_is_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def routes(addresses: Iterable[IPAddress]) -> dict[IPAddress, UnderlayRoute]:
        return dict.fromkeys(addresses, UnderlayRoute("before0", 0, index_of("lo")))

    monkeypatch.setattr("treecast.daemon.underlay_watch.routes_to", routes)
    own = watch(PlaneWithCounters(), None)
    own.look(Instant(1.0))
    assert list(own.problems(Instant(1.0))) == []
