"""A switch survives any frames: no exception, bounded tables, and every refusal counted."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest

from tests.fuzz.wire.mutations import igmp_frames, mld_frames, mutations
from tests.sim.multicast.virtual_switch import VirtualSwitch, hello_frame, mac, mrd_frame, router_address
from treecast.base.errors import MalformedError
from treecast.base.membership import ANY_SOURCE
from treecast.multicast import MembershipConfig
from treecast.wire import ethernet, pim
from treecast.wire.pim import PimGroup, PimHello, PimJoinPrune, PimSource

LIMITS = MembershipConfig(max_groups_per_node=10, max_vlans=5, max_sources_per_group=4)


def hellos() -> list[bytes]:
    return [
        ethernet.emit(hello_frame(version, hold, vlan)) for version in (4, 6) for hold in (None, 9) for vlan in (0, 5)
    ]


def joins_and_prunes() -> list[bytes]:
    frames = []
    for version, group, source in ((4, "239.1.1.1", "192.0.2.1"), (6, "ff15::1", "2001:db8::1")):
        own, other = router_address(version, 200), router_address(version, 250)
        any_source, one = PimSource(other, is_wildcard=True, is_rpt=True), PimSource(ip_address(source))
        pruned = PimSource(one.address + 1, is_rpt=True)
        address = ip_address(group)
        groups = (
            PimGroup(address, address.max_prefixlen, (any_source, one), (pruned,)),
            PimGroup(address + 1, address.max_prefixlen, (), (any_source, one)),
            PimGroup(address, 8, (any_source,)),
        )
        for hold_time in (5, pim.FOREVER):
            message = PimJoinPrune(own, other, hold_time, groups)
            frames.append(pim.join_prune_frame(message, mac(200)))
    return frames


def discoveries() -> list[bytes]:
    advertisement = {4: b"\x30\x14\0\0\0\x7d\0\2", 6: b"\x97\x14\0\0\0\x7d\0\2"}
    return [ethernet.emit(mrd_frame(version, message)) for version, message in advertisement.items()]


def test_the_switch_survives_any_frames_on_any_port() -> None:
    rng = Random(3)
    switch = VirtualSwitch(LIMITS)
    seeds = [*igmp_frames(), *mld_frames(), *hellos(), *joins_and_prunes(), *joins_and_prunes(), *discoveries()]
    for number, data in enumerate(mutations(rng, seeds, cases=15_000), start=1):
        try:
            switch.receive(ethernet.parse(data), port=rng.randrange(3))
        except MalformedError as error:
            assert error.reason.startswith("ethernet_"), "only what is no frame at all"
        if number % 40 == 0:
            for _, group in list(switch.switch.filters())[:3]:
                switch.set_proxied(group, ANY_SOURCE)
            switch.run(rng.choice((0.1, 1, 30)))
            assert len(switch.switch.segments()) <= LIMITS.max_vlans
            assert len(switch.switch.filters()) <= 10
    assert switch.new_routers
    switch.run(70_000)
    assert not switch.switch.filters()
    assert not switch.switch.routers()


def test_the_parser_of_pim_raises_only_what_it_says() -> None:
    parsed: Counter[type] = Counter()
    for data in mutations(Random(4), hellos() + joins_and_prunes(), cases=20_000):
        try:
            message = pim.parse(ethernet.parse(data))
            parsed[type(message)] += 1
        except MalformedError as error:
            assert error.reason.split("_")[0] in ("pim", "ipv4", "ipv6", "ethernet")
            continue
        if isinstance(message, PimJoinPrune):
            again = pim.parse(ethernet.parse(pim.join_prune_frame(message, mac(200))))
            assert again == message, "what was read can be written"
    assert set(parsed) == {PimHello, PimJoinPrune}


@pytest.mark.parametrize("version", [4, 6])
def test_a_hello_is_parsed(version: int) -> None:
    frame = hello_frame(version, 105)
    assert pim.is_pim(frame)
    assert pim.parse(frame) == PimHello(router_address(version, 200), 105)
    assert pim.parse(hello_frame(version)).hold_time == pim.DEFAULT_HOLD_TIME
    assert pim.parse(hello_frame(version, 0xFFFF)).hold_time == pim.FOREVER
