"""Another node's address or MAC on this machine: the problem names the node, and the command that takes it off."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Network, ip_address, ip_interface

import pytest

from treecast.adapters.interface import Settings, own_addresses
from treecast.base.addresses import IPAddress, MacAddress
from treecast.daemon import interface_changes
from treecast.daemon.interface_changes import ExpectedInterface, addresses_of_others, addresses_within

PREFIXES = (IPv4Network("127.0.0.0/16"), IPv6Network("fd00::/64"))
OWN = MacAddress.parse("02:54:00:00:00:02")


def owner(what: MacAddress | IPAddress) -> str:
    """n0's are 127.0.0.1, which this machine has, an address outside of the overlay, and a MAC."""
    return "n0" if str(what) in ("127.0.0.1", "10.0.0.1", "02:54:00:00:00:01") else ""


def test_this_machine_s_addresses_are_there_with_their_interfaces_and_prefixes() -> None:
    assert ("lo", ip_interface("127.0.0.1/8")) in own_addresses()


def test_an_address_of_another_node_is_named_with_the_node_and_the_command() -> None:
    (problem,) = addresses_of_others(addresses_within(PREFIXES), owner)
    assert (problem.kind, problem.subject) == ("address_of_another_node", "127.0.0.1")
    assert problem.text == (
        "lo has the address 127.0.0.1, which is node n0's, so this machine does not reach n0 by it: "
        "ip address del 127.0.0.1/8 dev lo"
    )


def test_what_is_outside_of_the_overlay_or_no_node_s_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("eth0", ip_interface("10.0.0.1/8")), ("treecast0", ip_interface("127.0.0.9/16"))]
    monkeypatch.setattr(interface_changes, "own_addresses", lambda: found)
    assert list(addresses_of_others(addresses_within(PREFIXES), owner)) == []
    assert ip_address("10.0.0.1") not in PREFIXES[0]


def test_a_mac_of_another_node_is_said_to_be_its(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ExpectedInterface("treecast0", 1374, Settings(OWN, IPv4Interface("10.77.0.2/16"), None, (), ()))
    monkeypatch.setattr(interface_changes, "mac_of", lambda name: MacAddress.parse("02:54:00:00:00:01"))
    (problem,) = made._mac("treecast0", owner)
    assert "has the MAC 02:54:00:00:00:01, which is node n0's, its certificate says 02:54:00:00:00:02" in problem.text
    assert problem.text.endswith("ip link set treecast0 address 02:54:00:00:00:02")
