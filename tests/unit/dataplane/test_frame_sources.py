"""Commands about the sources of a node's frames: by certificates, and by claims of hosts."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import CertifyNode, Command, UncertifyNode
from treecast.base.ids import NodeIndex
from treecast.dataplane.frame_sources import FrameSources, GivenSources
from treecast.wire.advertisement import HostContent

NODE = NodeIndex(7)
OWN = (IPv4Address("10.77.0.7"), IPv6Address("fd77::7"))
OTHER = IPv4Address("192.0.2.1")
KEY = bytes(range(32))
MAC = (0, MacAddress.parse("02:54:00:00:00:07"))
LAN_MAC = (0, MacAddress.parse("02:aa:00:00:00:01"))


def claimed(*addresses: IPAddress) -> HostContent:
    return HostContent.of(tuple(address.packed for address in addresses), 1, is_router=False)


def given(
    *, bridge: bool = True, signing_key: bytes = KEY, send_to: tuple[IPv4Network, ...] | None = None
) -> GivenSources:
    return GivenSources(OWN, bridge, signing_key, send_to)


def taken(sources: FrameSources) -> list[Command]:
    commands = list(sources.commands)
    sources.commands.clear()
    return commands


def certified(*, carried: bool, bridge: bool = True) -> CertifyNode:
    return CertifyNode(NODE, bridge, carried, OWN, KEY)


def test_a_node_is_carried_by_bridges_until_it_claims_a_host_with_an_address_of_its_own() -> None:
    sources = FrameSources()
    sources.certify(NODE, given(bridge=True))
    assert taken(sources) == [certified(carried=True)]
    sources.claim(NODE, LAN_MAC, claimed(OTHER))
    assert taken(sources) == []
    sources.claim(NODE, MAC, claimed(OTHER, OWN[1]))
    assert taken(sources) == [certified(carried=False)]
    sources.claim(NODE, LAN_MAC, claimed(OWN[0]))
    sources.claim(NODE, MAC, None)
    assert taken(sources) == []
    sources.claim(NODE, LAN_MAC, claimed(OTHER))
    assert taken(sources) == [certified(carried=True)]


def test_only_what_changes_is_told() -> None:
    sources = FrameSources()
    for bridge in (False, False, True):
        sources.certify(NODE, given(bridge=bridge))
    sources.claim(NODE, MAC, claimed(*OWN))
    sources.claim(NODE, MAC, claimed(*OWN))
    sources.certify(NODE, given(bridge=False))
    expected = [(False, False), (True, True), (False, True), (False, False)]
    assert taken(sources) == [certified(carried=carried, bridge=bridge) for carried, bridge in expected]


def test_another_signing_key_is_another_certificate() -> None:
    sources = FrameSources()
    for key in (KEY, KEY, bytes(32)):
        sources.certify(NODE, given(bridge=False, signing_key=key))
    assert [command.signing_key for command in taken(sources) if isinstance(command, CertifyNode)] == [KEY, bytes(32)]


def test_a_machine_of_a_node_without_the_role_bridge_is_on_no_lan_that_others_carry() -> None:
    sources = FrameSources()
    sources.certify(NODE, given(bridge=False))
    sources.claim(NODE, MAC, claimed(*OWN))
    sources.claim(NODE, MAC, None)
    assert {command.carried for command in taken(sources) if isinstance(command, CertifyNode)} == {False}


def test_the_machine_of_a_lost_node_may_be_behind_a_bridge_whatever_the_node_claimed() -> None:
    sources = FrameSources()
    sources.lose(NODE)
    sources.certify(NODE, given(bridge=True))
    sources.claim(NODE, MAC, claimed(*OWN))
    taken(sources)
    for _ in range(2):
        sources.lose(NODE)
    assert taken(sources) == [certified(carried=True)]
    sources.claim(NODE, LAN_MAC, claimed(OTHER))
    assert taken(sources) == []
    for _ in range(2):
        sources.find(NODE)
    assert taken(sources) == [certified(carried=False)]
    sources.lose(NODE)
    sources.uncertify(NODE)
    sources.certify(NODE, given(bridge=True))
    sources.claim(NODE, MAC, claimed(*OWN))
    assert taken(sources)[-1] == certified(carried=False), "what is known of it begins anew"
    sources.certify(NODE, given(bridge=False))
    taken(sources)
    sources.lose(NODE)
    assert taken(sources) == [], "it is no bridge"


def test_a_node_that_is_gone_has_claimed_nothing() -> None:
    sources = FrameSources()
    sources.claim(NODE, MAC, claimed(*OWN))
    sources.certify(NODE, given(bridge=True))
    sources.claim(NODE, MAC, claimed(*OWN))
    taken(sources)
    sources.uncertify(NODE)
    sources.uncertify(NODE)
    sources.claim(NODE, MAC, None)
    assert taken(sources) == [UncertifyNode(NODE)]
    sources.certify(NODE, given(bridge=True))
    assert taken(sources) == [certified(carried=True)]


def test_the_groups_that_a_certificate_permits_come_with_it() -> None:
    sources, some = FrameSources(), (IPv4Network("239.1.0.0/16"),)
    for send_to in (None, some, some, None):
        sources.certify(NODE, given(send_to=send_to))
    expected = [CertifyNode(NODE, True, True, OWN, KEY, one) for one in (None, some, None)]
    assert taken(sources) == expected
