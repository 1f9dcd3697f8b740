"""Which port is told of which group, and when."""

from __future__ import annotations

from ipaddress import IPv4Address

from treecast.base.commands import Command, SetPortGroup, SetPortSelective
from treecast.base.membership import ANY_SOURCE, NO_SOURCE
from treecast.dataplane.port_groups import PortGroups

G1, G2 = (0, IPv4Address("239.1.1.1")), (7, IPv4Address("239.1.1.2"))


def taken(groups: PortGroups) -> list[Command]:
    commands = list(groups.commands)
    groups.commands.clear()
    return commands


def test_the_tap_becomes_selective_when_it_is_not_alone_and_keeps_its_streams() -> None:
    groups = PortGroups()
    assert groups.ports() == []
    groups.open(1, {G1: ANY_SOURCE})
    assert taken(groups) == [SetPortGroup(0, *G1, ANY_SOURCE), SetPortSelective(0, on=True)]
    assert groups.ports() == [0, 1]
    groups.open(2, {G1: ANY_SOURCE})
    groups.open(2, {G1: ANY_SOURCE})
    assert taken(groups) == []


def test_only_what_changes_is_told() -> None:
    groups = PortGroups()
    groups.open(1, {})
    taken(groups)
    for wanted in (NO_SOURCE, ANY_SOURCE, ANY_SOURCE, NO_SOURCE):
        groups.want(1, G2, wanted)
    assert taken(groups) == [SetPortGroup(1, *G2, ANY_SOURCE), SetPortGroup(1, *G2, NO_SOURCE)]


def test_the_tap_gets_all_again_when_the_last_packet_port_is_gone() -> None:
    groups = PortGroups()
    for port in (1, 2):
        groups.open(port, {G1: ANY_SOURCE})
    groups.want(2, G2, ANY_SOURCE)
    taken(groups)
    groups.close(2)
    assert taken(groups) == []
    groups.close(1)
    assert taken(groups) == [SetPortSelective(0, on=False), SetPortGroup(0, *G1, NO_SOURCE)]
    assert groups.ports() == []
