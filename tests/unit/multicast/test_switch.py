"""Ports and VLANs of one node: each with its own state, merged per VLAN, bounded, and gone when silent."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from tests.sim.multicast.virtual_switch import LINK_LOCAL, VirtualSwitch
from treecast.base.addresses import IPAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter, merged
from treecast.multicast import MembershipConfig, PortAddresses, SwitchOutput
from treecast.wire import ethernet, ipv4, ipv6
from treecast.wire.ethernet import EtherType
from treecast.wire.group_membership import MembershipQuery, RecordType
from treecast.wire.pim import PimSource

G4, G6 = IPv4Address("239.1.1.1"), IPv6Address("ff15::1")
S1, S2, S3 = (IPv4Address("192.0.2.0") + n for n in (1, 2, 3))
ALLOW, BLOCK = RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES
TO_EX, TO_IN = RecordType.CHANGE_TO_EXCLUDE_MODE, RecordType.CHANGE_TO_INCLUDE_MODE


def include(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def exclude(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.EXCLUDE, frozenset(sources))


def test_filters_are_merged_as_rfc_3376_section_3_2_merges_sockets() -> None:
    assert merged([]) == NO_SOURCE
    assert merged([include(S1), include(S2)]) == include(S1, S2)
    assert merged([exclude(S1, S2), exclude(S2, S3), include(S1)]) == exclude(S2)
    assert merged([exclude(S1), include(S1)]) == ANY_SOURCE


def test_a_vlan_begins_with_its_first_frame_and_is_queried_with_its_tag() -> None:
    switch = VirtualSwitch()
    switch.said.clear()
    switch.report(G4, TO_EX, vlan=7)
    assert switch.changes == [(7, G4, ANY_SOURCE)]
    queries = [said for said in switch.said if isinstance(said.message, MembershipQuery)]
    assert {(said.port, said.vlan) for said in queries} == {(0, 7)}
    assert len(queries) == 3, "IGMP's, from the kernel's own address and from none, and MLD's general query"


def test_a_group_of_one_vlan_is_nothing_to_another() -> None:
    switch = VirtualSwitch()
    switch.report(G4, TO_EX, vlan=7)
    switch.report(G4, ALLOW, S1)
    assert switch.switch.filter(7, G4) == ANY_SOURCE
    assert switch.switch.filter(0, G4) == include(S1)
    assert dict(switch.switch.filters()) == {(0, G4): include(S1), (7, G4): ANY_SOURCE}


def test_what_two_ports_want_of_one_vlan_is_merged() -> None:
    switch = VirtualSwitch()
    switch.report(G4, ALLOW, S1, port=0)
    switch.report(G4, ALLOW, S2, port=1)
    switch.report(G4, TO_EX, S1, S3, port=2)
    assert [change[2] for change in switch.changes] == [include(S1), include(S1, S2), exclude(S3)]
    switch.note(switch.switch.remove_port(switch.now, 2))
    assert switch.changes[-1] == (0, G4, include(S1, S2))
    assert switch.switch.filters() == {(0, G4): include(S1, S2)}


def test_vlans_are_bounded_and_the_newest_is_refused_and_counted() -> None:
    switch = VirtualSwitch(MembershipConfig(max_vlans=3))
    for vlan in (1, 2, 3):
        switch.report(G4, TO_EX, vlan=vlan)
    assert [vlan for vlan, _, _ in switch.changes] == [1, 2]
    assert switch.drops.snapshot() == {"membership_vlans_full": 1}


def test_a_silent_vlan_without_groups_ends_and_gives_its_room_to_another() -> None:
    switch = VirtualSwitch(MembershipConfig(max_vlans=2))
    switch.report(G6, TO_EX, vlan=1)
    switch.run(600)
    assert switch.changes == [(1, G6, ANY_SOURCE), (1, G6, NO_SOURCE)]
    assert [vlan for _, vlan, _ in switch.switch.segments()] == [0]
    switch.report(G6, TO_EX, vlan=2)
    assert switch.changes[-1] == (2, G6, ANY_SOURCE)


def test_groups_are_bounded_over_all_ports_vlans_and_protocols_and_room_comes_back() -> None:
    switch = VirtualSwitch(MembershipConfig(max_groups_per_node=3))
    switch.run(60)
    switch.report(G4, TO_EX)
    switch.report(G6, TO_EX)
    switch.report(G4, TO_EX, vlan=7)
    switch.report(G6, TO_EX, port=1)
    assert switch.drops.snapshot() == {"mld_groups_full": 1}
    switch.report(G4, TO_IN)
    switch.report(G6, TO_EX, port=1)
    assert switch.switch.filter(0, G4) == NO_SOURCE
    assert switch.drops.snapshot() == {"mld_groups_full": 1}
    switch.note(switch.switch.remove_port(switch.now, 1))
    switch.report(G4, TO_EX)
    assert switch.switch.filter(0, G4) == ANY_SOURCE


def test_more_sources_than_an_advertisement_holds_are_asked_for_as_any_source() -> None:
    switch = VirtualSwitch()
    sources = [IPv4Address("192.0.2.0") + n for n in range(1, 81)]
    switch.report(G4, ALLOW, *sources[:40], port=0)
    switch.report(G4, ALLOW, *sources[40:], port=1)
    assert [change[2] for change in switch.changes] == [include(*sources[:40]), ANY_SOURCE]


def test_a_priority_tag_is_no_vlan() -> None:
    switch = VirtualSwitch()
    switch.report(G4, TO_EX)
    assert [vlan for _, vlan, _ in switch.switch.segments()] == [0]


def test_the_hosts_of_a_silent_port_count_for_nothing_until_it_is_heard_again() -> None:
    switch = VirtualSwitch()
    switch.report(G4, TO_EX, S1)
    switch.report(G4, TO_EX, S2, port=1)
    assert switch.changes[-1] == (0, G4, ANY_SOURCE)
    output = switch.switch.set_forwarding(switch.now, 1, forwarding=False)
    assert [(change.group, change.filter) for change in output.changes] == [(G4, exclude(S1))]
    assert switch.switch.filters() == {(0, G4): exclude(S1)}
    assert switch.switch.port_filter(1, 0, G4) == exclude(S2)
    assert switch.switch.set_forwarding(switch.now, 1, forwarding=False).changes == ()
    assert switch.switch.set_forwarding(switch.now, 0, forwarding=False).changes[-1].filter == NO_SOURCE
    assert switch.switch.group_keys() == []
    assert switch.switch.set_forwarding(switch.now, 1, forwarding=True).changes[-1].filter == exclude(S2)


def test_a_host_that_comes_changes_or_falls_silent_touches_its_group_and_one_that_repeats_itself_does_not() -> None:
    switch = VirtualSwitch()
    steps = [(1, S1), (1, S1), (2, S1), (2, S2), (2, S2)]
    counts = []
    for host, source in steps:
        switch.report(G4, TO_EX, source, host=host)
        counts.append(len(switch.touched))
    assert counts == [1, 1, 2, 3, 3]
    assert set(switch.touched) == {(0, 0, G4)}
    switch.touched.clear()
    for _ in range(30):
        switch.run(10)
        switch.report(G4, TO_EX, S1, host=1)
    assert switch.touched == [(0, 0, G4)], "the second host has been silent for too long"


def test_another_querier_or_router_is_told_once_and_so_is_its_end() -> None:
    switch = VirtualSwitch()
    switch.segments.clear()
    for _ in range(3):
        switch.query(G4.__class__("0.0.0.0"), port=0, router=1)
    assert switch.segments == [(0, 0)]
    switch.run(600)
    assert 2 <= len(switch.segments) <= 3, "the router, and the querier, if not at once"


def test_routers_of_a_silent_port_hear_nothing_from_this_node_and_are_told_anew_afterwards() -> None:
    switch = VirtualSwitch()
    switch.query(G4.__class__("0.0.0.0"), port=1, router=1)
    switch.switch.set_proxied(switch.now, 0, G4, ANY_SOURCE)
    switch.switch.set_forwarding(switch.now, 1, forwarding=False)
    assert not switch.switch.has_routers(0)
    switch.switch.set_proxied(switch.now, 0, G4, ANY_SOURCE)
    assert switch.reports(switch.run(20)) == []
    assert switch.switch.set_forwarding(switch.now, 1, forwarding=True).new_routers == (0,)
    assert switch.switch.has_routers(0)


def sources_of(output: SwitchOutput) -> set[IPAddress]:
    """The sources of the frames on port 1, which are all there are."""
    assert {sent.port for sent in output.frames} <= {1}
    frames = [ethernet.parse(sent.frame) for sent in output.frames]
    return {(ipv4 if f.ethertype == EtherType.IPV4 else ipv6).parse(f.payload).source for f in frames}


def test_a_further_port_speaks_from_its_own_addresses() -> None:
    switch = VirtualSwitch()
    output = switch.switch.add_port(switch.now, 1, PortAddresses(IPv4Address("192.0.2.7"), None))
    assert sources_of(output) == {IPv4Address("192.0.2.7"), LINK_LOCAL}, "without IPv6 of its own: from the node's"
    again = switch.switch.add_port(switch.now, 1, PortAddresses(IPv4Address("192.0.2.8"), None))
    assert sources_of(again) <= {IPv4Address("192.0.2.8")}
    own = switch.switch.add_port(switch.now, 1, PortAddresses(IPv4Address("192.0.2.8"), IPv6Address("fe80::8")))
    assert sources_of(own) == {IPv4Address("192.0.2.8"), IPv6Address("fe80::8")}
    switch.report(G4, TO_EX, port=1)
    assert switch.switch.remove_port(switch.now, 1).changes[-1].filter == NO_SOURCE


def test_a_vlan_that_hosts_have_come_to_is_queried_and_begins_with_them() -> None:
    switch = VirtualSwitch()
    switch.run(60)
    for vlan in (0, 7):
        switch.said.clear()
        switch.note(switch.switch.query_arrivals(switch.now, 0, vlan))
        switch.run(1)
        queried = {(said.port, said.vlan) for said in switch.said if isinstance(said.message, MembershipQuery)}
        assert queried == {(0, vlan)}


def test_a_vlan_begins_with_any_frame_of_a_host_and_lives_while_there_are_any() -> None:
    switch = VirtualSwitch()
    switch.said.clear()
    switch.note(switch.switch.saw(switch.now, 1, 7))
    switch.run(200)
    queries = [said for said in switch.said if isinstance(said.message, MembershipQuery) and said.vlan == 7]
    assert {said.port for said in queries} == {1}
    assert queries[0].at == 1000.0, "who listens there may only answer queries"
    for _ in range(20):
        switch.note(switch.switch.saw(switch.now, 1, 7))
        switch.run(60)
    assert [(port, vlan) for port, vlan, _ in switch.switch.segments()] == [(0, 0), (1, 7)]
    switch.run(600)
    assert [(port, vlan) for port, vlan, _ in switch.switch.segments()] == [(0, 0)]


def test_a_vlan_whose_hosts_speak_of_groups_gets_the_room_of_the_longest_silent_one_that_never_did() -> None:
    switch = VirtualSwitch(MembershipConfig(max_vlans=4))
    for vlan in (7, 8):
        switch.note(switch.switch.saw(switch.now, 0, vlan))
        switch.run(1)
    switch.report(G4, TO_EX, vlan=1)
    switch.note(switch.switch.saw(switch.now, 0, 7))
    switch.note(switch.switch.saw(switch.now, 0, 9))
    assert switch.drops.snapshot() == {"membership_vlans_full": 1}, "one whose hosts are only seen waits"
    switch.report(G4, TO_EX, vlan=2)
    switch.report(G4, TO_EX, vlan=3)
    switch.report(G4, TO_EX, vlan=4)
    assert [vlan for _, vlan, _ in switch.switch.segments()] == [0, 1, 2, 3]
    assert switch.drops.snapshot() == {"membership_vlans_full": 2}


def test_vlans_of_a_port_with_other_addresses_are_queried_from_these() -> None:
    switch = VirtualSwitch()
    switch.note(switch.switch.add_port(switch.now, 1, PortAddresses(IPv4Address("192.0.2.8"), None)))
    switch.report(G4, TO_EX, port=1, vlan=7)
    switch.said.clear()
    own = PortAddresses(IPv4Address("192.0.2.8"), IPv6Address("fe80::8"))
    switch.note(switch.switch.add_port(switch.now, 1, own))
    queries = {(said.port, said.vlan) for said in switch.said if isinstance(said.message, MembershipQuery)}
    assert queries == {(1, 0), (1, 7)}


def test_a_port_whose_link_local_address_goes_and_comes_keeps_what_its_hosts_and_routers_want() -> None:
    switch = VirtualSwitch()
    own = PortAddresses(IPv4Address("192.0.2.8"), IPv6Address("fe80::8"))
    switch.note(switch.switch.add_port(switch.now, 1, own))
    joined, joined6 = IPv4Address("239.2.2.2"), IPv6Address("ff35::2")
    for vlan in (0, 7):
        switch.report(G4, TO_EX, port=1, vlan=vlan)
        switch.report(G6, TO_EX, port=1, vlan=vlan)
        for group in (joined, joined6):
            switch.hello(group.version, hold_time=0xFFFF, port=1, vlan=vlan)
            rp = S1 if group.version == 4 else IPv6Address("2001:db8::99")
            any_source = PimSource(rp, is_wildcard=True, is_rpt=True)
            switch.join_prune(group, joins=[any_source], port=1, vlan=vlan)
    switch.query(IPv4Address(0), port=1, router=1)
    switch.run(60)
    before = dict(switch.switch.filters())
    assert len(before) == 8
    for link_local in (None, IPv6Address("fe80::8")):
        switch.changes.clear()
        output = switch.switch.add_port(switch.now, 1, PortAddresses(own.ipv4, link_local))
        switch.note(output)
        assert (dict(switch.switch.filters()), switch.changes) == (before, [])
        not_elected = IPv4Address(0)
        assert sources_of(output) == {own.ipv4, not_elected, link_local or LINK_LOCAL}
        assert {(sent.port, ethernet.parse(sent.frame).vlan_id or 0) for sent in output.frames} == {(1, 0), (1, 7)}
        switch.run(6)
    (querier,) = (segment.igmp.querier() for port, vlan, segment in switch.switch.segments() if (port, vlan) == (1, 0))
    assert not querier.is_querier, "IPv4 has the querier that it had"
    switch.run(70)
    assert dict(switch.switch.filters()) == before
    switch.switch.set_proxied(switch.now, 0, IPv6Address("ff15::9"), ANY_SOURCE)
    assert sources_of(switch.switch.advance(switch.now)) == {IPv6Address("fe80::8")}, "reports to its routers"
