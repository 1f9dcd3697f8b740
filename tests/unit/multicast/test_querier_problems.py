"""A second querier on a LAN is said, with its version, where a person may have to act."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from tests.sim.multicast.virtual_switch import VirtualSwitch
from treecast.base.problems import Problem

ALL4, ALL6 = IPv4Address(0), IPv6Address(0)
LOWER, HIGHER = 5, 200


def said(switch: VirtualSwitch, *, shared: bool = True) -> list[Problem]:
    return list(switch.switch.problems(lambda _: shared, lambda port: f"eth{port}"))


def test_a_querier_with_a_lower_address_is_a_problem_until_it_is_silent() -> None:
    switch = VirtualSwitch()
    assert said(switch) == []
    switch.query(ALL4, router=HIGHER)
    assert said(switch) == []
    switch.query(ALL4, router=LOWER)
    (problem,) = said(switch)
    assert (problem.kind, problem.subject) == ("second_querier", "eth0 IGMP")
    assert problem.text.startswith("eth0: 10.0.0.5 is the querier (IGMPv3) and this node only listens")
    assert said(switch, shared=False) == []
    switch.run(300.0)
    assert said(switch) == []


def test_a_multicast_router_is_expected_to_query() -> None:
    switch = VirtualSwitch(ipv4_source="10.0.0.250")
    switch.hello()
    switch.query(ALL4)
    assert not switch.switch.segments()[0][2].igmp.querier().is_querier
    assert said(switch) == []


def test_an_older_version_is_a_problem_whoever_is_elected_because_hosts_fall_back_to_it() -> None:
    switch = VirtualSwitch()
    switch.query(ALL4, version=2, router=HIGHER)
    switch.query(ALL6, version=1, router=HIGHER, vlan=7)
    assert [(problem.subject, problem.text.partition(" queries by ")[2][:6]) for problem in said(switch)] == [
        ("eth0 IGMP", "IGMPv2"),
        ("eth0 vlan 7 MLD", "MLDv1,"),
    ]
    assert "set it to IGMPv3, or switch its querier off" in said(switch)[0].text
    switch.query(ALL4, version=1, router=HIGHER)
    assert "queries by IGMPv1" in said(switch)[0].text
    switch.run(200.0)
    switch.query(ALL4, version=2, router=HIGHER)
    switch.run(70.0)
    assert said(switch) == [] or "IGMPv1" not in said(switch)[0].text
    switch.run(400.0)
    assert said(switch) == []
